// CSV with a header, and the text form of LibSVM, SVMlight and LETOR.
// In a page, the entry that brings its own Buffer: see "imports" of package.json
import { parse } from '#csv-parse'
import { FtError } from '@ft/core'
import type { Model } from '../model.ts'
import type { Matrix } from './matrix.ts'
import type { Column, ColumnTable } from './table.ts'

export interface CsvOptions {
  /** Default ','. */
  readonly delimiter?: string
  /** Cells that are missing, besides empty ones. Default 'NA', 'NaN', 'nan', 'null', '?'. */
  readonly missing?: readonly string[]
  /** Columns to read as categories though all their cells are numbers, or as numbers. */
  readonly kinds?: Readonly<Record<string, 'number' | 'category'>>
  /**
   * A model, or the table that it was trained on: columns that it has too are read in its kinds, over `kinds`. Without it a
   * file whose zip codes happen to be all digits has a column of numbers, and 01234 is no longer the category that was trained on.
   */
  readonly like?: Pick<Model, 'featureNames' | 'featureLevels'> | ColumnTable
}

type Kinds = Readonly<Record<string, Column['kind']>>

const MISSING = ['NA', 'NaN', 'nan', 'null', '?']

/**
 * Reads CSV text. A column is numeric when all its cells are numbers (`inf` among them, which training refuses) or missing, else
 * categorical.
 *
 * Cost: holds all cells in memory; about 1 us a cell.
 *
 * @throws FtError `CORRUPT_DATA` naming the line, `INVALID_ARGUMENT` for a column of `kinds` that is not there
 */
export function readCsv(text: string, options: CsvOptions = {}): ColumnTable {
  const { delimiter = ',', missing = MISSING, kinds = {} } = options
  const [header, ...rows] = parseCells(text, delimiter)
  if (!header) throw new FtError('CORRUPT_DATA', 'readCsv: no header line')
  const unknown = Object.keys(kinds).find((name) => !header.includes(name))
  if (unknown !== undefined) {
    throw new FtError('INVALID_ARGUMENT', `readCsv: kinds: no column ${unknown}; columns are ${header.join(', ')}`, {
      column: unknown,
    })
  }
  const absent = new Set([...missing, ''])
  const wanted: Kinds = { ...kinds, ...(options.like ? kindsOf(options.like) : {}) }
  const columns = header.map((name, at): Column => {
    const cells = rows.map((row) => {
      const cell = (row[at] as string).trim()
      return absent.has(cell) ? null : cell
    })
    const numbers = cells.map((cell) => (cell === null ? NaN : numberOf(cell)))
    const isNumeric = cells.every((cell, row) => cell === null || !Number.isNaN(numbers[row]))
    const kind = (Object.hasOwn(wanted, name) ? wanted[name] : undefined) ?? (isNumeric ? 'number' : 'category')
    if (kind === 'category') return { name, kind, values: cells }
    const values = Float64Array.from(numbers)
    const bad = values.findIndex((value, row) => value !== value && cells[row] !== null)
    if (bad >= 0) {
      throw new FtError('CORRUPT_DATA', `readCsv: row ${bad}, column ${name}: '${cells[bad]}' is not a number`, {
        row: bad,
        column: name,
      })
    }
    return { name, kind, values }
  })
  return { rows: rows.length, columns }
}

/** NaN for what is no number. Infinite ones are numbers, that whoever trains with them hears of, and no category of their column. */
function numberOf(cell: string): number {
  const infinite = /^([+-]?)inf(inity)?$/i.exec(cell)
  return infinite ? (infinite[1] === '-' ? -Infinity : Infinity) : Number(cell)
}

function kindsOf(like: NonNullable<CsvOptions['like']>): Kinds {
  return Object.fromEntries(
    'columns' in like
      ? like.columns.map(({ name, kind }) => [name, kind])
      : like.featureNames.map((name, at) => [name, like.featureLevels[at] ? 'category' : 'number']),
  )
}

function parseCells(text: string, delimiter: string): string[][] {
  try {
    return parse(text, { delimiter, bom: true, skip_empty_lines: true })
  } catch (cause) {
    throw new FtError('CORRUPT_DATA', `readCsv: ${(cause as Error).message}`, {}, { cause })
  }
}

/** Rows of a LibSVM file: features, labels, and the sizes of queries where lines name them. */
export interface LibSvmRows {
  readonly features: Matrix
  readonly label: Float64Array
  /** Rows of each run of one `qid`; present when all lines have one. */
  readonly group?: Int32Array
}

/** Most cells that a file may ask for: an index alone must not allocate the machine. */
const MOST_CELLS = 2 ** 28

/**
 * Reads lines `label [qid:query] index:value ... [# comment]`. Indices rise from 1 and become columns f1, f2, ...; absent ones
 * are 0, as in LIBSVM, or missing.
 *
 * @param options.absent - what an absent index means. Default 'zero'
 * @param options.columns - columns that there are, as in training: of a file alone only those that a row names are known
 * @throws FtError `CORRUPT_DATA` naming the line; `SHAPE_MISMATCH` for an index beyond `columns`
 */
export function readLibSvm(text: string, options: { absent?: 'zero' | 'missing'; columns?: number } = {}): LibSvmRows {
  const rows: { label: number; query: string | undefined; cells: [number, number][] }[] = []
  text.split(/\r?\n/).forEach((raw, i) => {
    const content = (raw.split('#', 1)[0] as string).trim()
    if (content !== '') rows.push(parseLine(content, i + 1))
  })
  const widest = rows.reduce((most, { cells }) => Math.max(most, cells.at(-1)?.[0] ?? 0), 0)
  const { columns = widest } = options
  if (widest > columns) {
    throw new FtError('SHAPE_MISMATCH', `readLibSvm: index ${widest}, but there are ${columns} columns`, { columns })
  }
  if (columns * rows.length > MOST_CELLS) {
    throw new FtError('UNSUPPORTED', `readLibSvm: ${rows.length} rows of ${columns} columns are too many`, { columns })
  }
  const data = new Float32Array(rows.length * columns).fill(options.absent === 'missing' ? NaN : 0)
  rows.forEach(({ cells }, row) => {
    for (const [index, value] of cells) data[row * columns + index - 1] = value
  })
  const names = Array.from({ length: columns }, (_, i) => `f${i + 1}`)
  const group = groupsOf(rows.map(({ query }) => query))
  return {
    features: { data, rows: rows.length, columns, names },
    label: Float64Array.from(rows, ({ label }) => label),
    ...(group ? { group } : {}),
  }
}

function parseLine(
  line: string,
  number: number,
): { label: number; query: string | undefined; cells: [number, number][] } {
  const wrong = (expected: string, got: string): FtError =>
    new FtError('CORRUPT_DATA', `readLibSvm: line ${number}: expected ${expected}, got '${got}'`, { line: number })
  const [first = '', ...rest] = line.split(/\s+/)
  const label = Number(first)
  if (!Number.isFinite(label)) throw wrong('a number as label', first)
  let query: string | undefined
  const cells: [number, number][] = []
  for (const part of rest) {
    const [key = '', value = '', ...more] = part.split(':')
    if (more.length > 0 || value === '') throw wrong('index:value', part)
    if (key === 'qid' && cells.length === 0 && query === undefined) {
      query = value
      continue
    }
    const index = Number(key)
    const x = value.toLowerCase() === 'nan' ? NaN : Number(value)
    if (!Number.isInteger(index) || index < 1 || index > 65_535) throw wrong('an index from 1 to 65,535', part)
    if (index <= (cells.at(-1)?.[0] ?? 0)) throw wrong('rising indices', part)
    if (x !== x && value.toLowerCase() !== 'nan') throw wrong('a number', part)
    cells.push([index, x])
  }
  return { label, query, cells }
}

/** Sizes of runs of equal queries; undefined unless every row has one. */
function groupsOf(queries: readonly (string | undefined)[]): Int32Array | undefined {
  if (queries.length === 0 || queries.includes(undefined)) return undefined
  const sizes: number[] = []
  queries.forEach((query, row) => {
    if (row > 0 && query === queries[row - 1]) sizes[sizes.length - 1] = (sizes.at(-1) as number) + 1
    else sizes.push(1)
  })
  return Int32Array.from(sizes)
}
