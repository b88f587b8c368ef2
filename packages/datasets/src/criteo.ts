// Criteo's click logs: tab-separated, a label, 13 integers, 26 hashes, any of which may be empty.
import { assertInteger } from '@ft/core'
import { corrupt } from './internal/corrupt.ts'
import { csvRecords } from './internal/csv.ts'
import type { Source } from './internal/source.ts'
import { locate, type LocatedSet } from './locate.ts'

export const CRITEO_NUMBERS = 13
export const CRITEO_HASHES = 26

export interface CriteoRows {
  readonly rows: number
  /** 1 for a click. */
  readonly label: Uint8Array
  /** float32 `[rows, 13]`: I1..I13 as they stand, NaN where empty; some are negative. */
  readonly numbers: Float32Array
  /** `[rows, 26]`: C1..C26, 32-bit hashes; 0 where empty. */
  readonly hashes: Uint32Array
}

const READER = 'criteoBatches'

/** One of the three parts of the 8,000 rows. */
export async function readCriteo(
  part: 'train' | 'dev' | 'test',
  options: { readonly set?: LocatedSet } = {},
): Promise<CriteoRows> {
  const set = options.set ?? locate('criteo-kaggle-8k')
  const batches: CriteoRows[] = []
  for await (const batch of criteoBatches(set.source(`${part}.tsv`))) batches.push(batch)
  return joined(batches)
}

/**
 * Streams a log of any length, gzip-compressed or not, in batches.
 *
 * @returns batches of `batchRows` rows (default 8192), the last one with the rest
 * @throws FtError `IO`, or `CORRUPT_DATA` naming the line
 */
export async function* criteoBatches(
  source: Source,
  { batchRows = 8192 }: { readonly batchRows?: number } = {},
): AsyncGenerator<CriteoRows, void, undefined> {
  assertInteger(batchRows, { where: READER, argument: 'batchRows', min: 1, max: 1 << 24 })
  let batch = emptyBatch(batchRows)
  let rows = 0
  for await (const { cells, line } of csvRecords(source, READER, { delimiter: '\t', quote: false })) {
    const trouble = writeRow(cells, batch, rows)
    if (trouble !== undefined) throw corrupt({ reader: READER, source, where: `line ${line}`, ...trouble })
    rows++
    if (rows === batchRows) {
      yield batch
      batch = emptyBatch(batchRows)
      rows = 0
    }
  }
  if (rows > 0) yield cut(batch, rows)
}

function writeRow(
  cells: readonly string[],
  batch: CriteoRows,
  row: number,
): { readonly expected: string; readonly got: string } | undefined {
  const width = 1 + CRITEO_NUMBERS + CRITEO_HASHES
  if (cells.length !== width) return { expected: `${width} cells`, got: `${cells.length}` }
  const label = cells[0]!
  if (label !== '0' && label !== '1') return { expected: 'label 0 or 1', got: `'${label}'` }
  batch.label[row] = Number(label)
  for (let i = 0; i < CRITEO_NUMBERS; i++) {
    const cell = cells[1 + i]!
    if (!/^(-?\d{1,15})?$/.test(cell)) return { expected: `I${i + 1} an integer or empty`, got: `'${cell}'` }
    batch.numbers[row * CRITEO_NUMBERS + i] = cell === '' ? NaN : Number(cell)
  }
  for (let i = 0; i < CRITEO_HASHES; i++) {
    const cell = cells[1 + CRITEO_NUMBERS + i]!
    if (!/^([0-9a-f]{8})?$/.test(cell)) return { expected: `C${i + 1} eight hex digits or empty`, got: `'${cell}'` }
    batch.hashes[row * CRITEO_HASHES + i] = cell === '' ? 0 : Number.parseInt(cell, 16)
  }
  return undefined
}

function emptyBatch(rows: number): CriteoRows {
  return {
    rows,
    label: new Uint8Array(rows),
    numbers: new Float32Array(rows * CRITEO_NUMBERS),
    hashes: new Uint32Array(rows * CRITEO_HASHES),
  }
}

function cut(batch: CriteoRows, rows: number): CriteoRows {
  return {
    rows,
    label: batch.label.slice(0, rows),
    numbers: batch.numbers.slice(0, rows * CRITEO_NUMBERS),
    hashes: batch.hashes.slice(0, rows * CRITEO_HASHES),
  }
}

function joined(batches: readonly CriteoRows[]): CriteoRows {
  const whole = emptyBatch(batches.reduce((sum, batch) => sum + batch.rows, 0))
  let row = 0
  for (const batch of batches) {
    whole.label.set(batch.label, row)
    whole.numbers.set(batch.numbers, row * CRITEO_NUMBERS)
    whole.hashes.set(batch.hashes, row * CRITEO_HASHES)
    row += batch.rows
  }
  return whole
}
