// A CSV file and a schema become samples: dense columns scaled, categorical ones numbered, the last rows kept for a test.
import { readFile } from 'node:fs/promises'
import { parse } from 'csv-parse/sync'
import { FtError } from '@ft/core'
import { z } from 'zod'
import type { CategoricalFeature, Samples } from '../dlrm/samples.ts'

const bagShape = z.strictObject({
  column: z.string(),
  /** Between the values of a field. */
  separator: z.string().min(1),
  /** What the values' embeddings become. */
  pooling: z.enum(['sum', 'mean']).default('sum'),
})

const schemaShape = z.strictObject({
  /** The column to predict. */
  label: z.string(),
  /** Its value that counts as 1; default '1'. */
  positive: z.string().default('1'),
  dense: z.array(z.string()).min(1),
  categorical: z.array(z.union([z.string(), bagShape])).min(1),
})

/** A column whose fields hold several values, or none. */
type BagColumn = z.infer<typeof bagShape>

export interface ReadTable {
  readonly train: Samples
  readonly test: Samples
  /** Ids of each categorical column, the one for values that training did not see included. */
  readonly sizes: readonly number[]
  readonly columns: readonly string[]
  /** Of each categorical column: how the embeddings of a field become one; undefined where a field is one value. */
  readonly bags: readonly (BagColumn['pooling'] | undefined)[]
}

/** A categorical column in numbers. */
interface Column {
  readonly size: number
  readonly ids: Int32Array
  /** Of the rows' bags, where fields hold several values. */
  readonly offsets?: Int32Array
  readonly pooling?: BagColumn['pooling']
}

/**
 * Reads the data of `ecrm train`.
 *
 * Values of a categorical column are numbered by first appearance in the training rows from 1 on; 0 is for all others. A field with
 * several, between separators, is a bag of them; what is empty between separators is none. Dense columns are scaled by the training rows' mean and deviation; what is no number counts as the mean.
 *
 * @throws FtError `IO`, `CORRUPT_DATA`
 */
export async function readTable(data: string, schema: string, { test }: { test: number }): Promise<ReadTable> {
  const wanted = schemaShape.safeParse(parseJson(await read(schema), schema))
  if (!wanted.success) {
    throw new FtError('CORRUPT_DATA', `ecrm: ${schema} is no schema: ${z.prettifyError(wanted.error)}`, { schema })
  }
  const { label, positive, dense, categorical } = wanted.data
  let rows: Record<string, string>[]
  try {
    rows = parse(await read(data), { columns: true, skip_empty_lines: true, trim: true, bom: true })
  } catch (cause) {
    if (cause instanceof FtError) throw cause
    throw new FtError('CORRUPT_DATA', `ecrm: ${data} is no CSV file: ${String(cause)}`, { data }, { cause })
  }
  const first = rows[0]
  const names = categorical.map((one) => (typeof one === 'string' ? one : one.column))
  const missing = [label, ...dense, ...names].filter((column) => first?.[column] === undefined)
  if (first === undefined || missing.length > 0) {
    const why = first === undefined ? 'has no rows' : `lacks the columns ${missing.join(', ')}`
    throw new FtError('CORRUPT_DATA', `ecrm: ${data} ${why}; change the data or the schema`, { missing })
  }
  const split = Math.max(1, Math.min(rows.length - 1, Math.round(rows.length * (1 - test))))

  const values = new Float32Array(rows.length * dense.length)
  dense.forEach((column, j) => {
    const numbers = rows.map((row) => (row[column] === '' ? NaN : Number(row[column])))
    const known = numbers.slice(0, split).filter(Number.isFinite)
    const mean = known.reduce((sum, value) => sum + value, 0) / Math.max(1, known.length)
    const variance = known.reduce((sum, value) => sum + (value - mean) ** 2, 0) / Math.max(1, known.length)
    const deviation = Math.sqrt(variance) || 1
    numbers.forEach(
      (value, i) => (values[i * dense.length + j] = Number.isFinite(value) ? (value - mean) / deviation : 0),
    )
  })
  const columns = categorical.map((column) => numberValues(rows, column, split))
  const labels = Uint8Array.from(rows, (row) => Number(row[label] === positive))
  const part = (start: number, end: number): Samples => ({
    dense: values.slice(start * dense.length, end * dense.length),
    categorical: columns.map((column) => featureOf(column, start, end)),
    label: labels.subarray(start, end),
  })
  return {
    train: part(0, split),
    test: part(split, rows.length),
    sizes: columns.map(({ size }) => size),
    columns: names,
    bags: categorical.map((one) => (typeof one === 'string' ? undefined : one.pooling)),
  }
}

/** @param split - rows from there on are no training rows */
function numberValues(rows: readonly Record<string, string>[], column: string | BagColumn, split: number): Column {
  const numbered = new Map<string, number>()
  const numberOf = (value: string, row: number): number => {
    if (row < split && !numbered.has(value)) numbered.set(value, numbered.size + 1)
    return numbered.get(value) ?? 0
  }
  if (typeof column === 'string') {
    const ids = Int32Array.from(rows, (row, i) => numberOf(row[column] ?? '', i))
    return { size: numbered.size + 1, ids }
  }
  const { separator, pooling } = column
  const offsets = new Int32Array(rows.length + 1)
  const ids: number[] = []
  rows.forEach((row, i) => {
    for (const part of (row[column.column] ?? '').split(separator)) {
      const value = part.trim()
      if (value !== '') ids.push(numberOf(value, i))
    }
    offsets[i + 1] = ids.length
  })
  return { size: numbered.size + 1, ids: Int32Array.from(ids), offsets, pooling }
}

/** Rows `start` to `end` of a column. */
function featureOf({ size, ids, offsets, pooling = 'sum' }: Column, start: number, end: number): CategoricalFeature {
  if (offsets === undefined) return { size, ids: ids.subarray(start, end) }
  const first = offsets[start]!
  const own = offsets.slice(start, end + 1).map((offset) => offset - first)
  return { size, ids: ids.subarray(first, offsets[end]), offsets: own, pooling }
}

async function read(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    throw new FtError('IO', `ecrm: ${path} cannot be read; look at its name`, { path }, { cause })
  }
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new FtError('CORRUPT_DATA', `ecrm: ${path} is not JSON: ${String(cause)}`, { path }, { cause })
  }
}
