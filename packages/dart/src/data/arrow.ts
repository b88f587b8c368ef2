// Apache Arrow tables, by their shape alone: nothing of the library is imported.
import { FtError } from '@ft/core'
import type { Cell, Column, ColumnTable } from './table.ts'

/** What is used of an apache-arrow `Table`. */
export interface ArrowTable {
  readonly numRows: number
  readonly schema: { readonly fields: readonly { readonly name: string; readonly type: { toString(): string } }[] }
  getChild(name: string): ArrowVector | null
}

export interface ArrowVector {
  readonly length: number
  readonly nullCount: number
  get(row: number): unknown
  toArray(): unknown
}

const NUMERIC = /^(U?int(8|16|32|64)|float(16|32|64)|bool)$/i
const TEXT = /^(large)?utf8$|^dictionary</i

/**
 * A table of Arrow columns: numbers and booleans are numeric, text and dictionaries categorical, nulls missing.
 *
 * Cost: numeric columns without nulls are not copied; others one call a cell.
 *
 * @throws FtError `UNSUPPORTED` for a column of another type
 */
export function fromArrow(table: ArrowTable): ColumnTable {
  const columns = table.schema.fields.map(({ name, type }): Column => {
    const vector = table.getChild(name)
    const described = String(type)
    if (!vector || !(NUMERIC.test(described) || TEXT.test(described))) {
      throw new FtError(
        'UNSUPPORTED',
        `fromArrow: column ${name} has type ${described}; numbers, booleans and text are read`,
        {
          column: name,
          type: described,
        },
      )
    }
    if (TEXT.test(described)) return { name, kind: 'category', values: cellsOf(vector, (value) => String(value)) }
    const whole = vector.nullCount === 0 ? vector.toArray() : undefined
    const isPlain = whole instanceof Float32Array || whole instanceof Float64Array || whole instanceof Int32Array
    return {
      name,
      kind: 'number',
      values: isPlain ? whole : cellsOf(vector, (value) => Number(value)),
    }
  })
  return { rows: table.numRows, columns }
}

function cellsOf(vector: ArrowVector, convert: (value: unknown) => Cell): Cell[] {
  return Array.from({ length: vector.length }, (_, row) => {
    const value = vector.get(row)
    return value === null || value === undefined ? null : convert(value)
  })
}
