// Histogram bins: at most 254 ranges of values a feature and one for missing values, so that a cell is one byte.
import type { Arena, Block } from './arena.ts'
import { forRange } from './arena.ts'
import type { FloatMatrix } from './data.ts'

/** Upper edges of each feature's bins, ascending float32. A value x is in bin 1 + #{edges < x}; bin 0 is missing. */
export interface BinEdges {
  readonly edges: readonly Float32Array[]
}

/** Binned rows in the kernels' memory. */
export interface BinnedRows {
  readonly rows: number
  readonly columns: number
  /** Bytes between rows, a multiple of 4. */
  readonly stride: number
  readonly bins: Block<Uint8Array>
}

/** Most rows looked at to place edges. More would move them by less than a thousandth of the rows. */
const SAMPLE = 200_000

/**
 * Places edges so that bins hold about equally many rows; features with few distinct values get one bin a value.
 *
 * Cost: a radix sort of min(rows, 200,000) values a column, about 1 ms each.
 *
 * @param options.maxBins - bins of values a feature, 2 to 254
 */
export function findEdges(arena: Arena, matrix: FloatMatrix, options: { maxBins: number }): BinEdges {
  const { values, rows, columns } = matrix
  // Evenly spread rows: the same on every machine, without a random draw.
  const taken = Math.min(rows, SAMPLE)
  const row = (i: number) => (taken === rows ? i : Math.floor((i * rows) / taken))
  const staged = arena.floats(taken * columns)
  const view = staged.view()
  for (let i = 0; i < taken; i++) view.set(values.subarray(row(i) * columns, (row(i) + 1) * columns), i * columns)
  const [a, b, counts] = [arena.integers(taken), arena.floats(taken), arena.integers(3 * 2048)]
  const edges = Array.from({ length: columns }, (_, column) => {
    counts.view().fill(0)
    const sort = arena.kernels['sortColumn'] as (...args: number[]) => number
    const present = sort(staged.address + 4 * column, columns, taken, a.address, b.address, counts.address)
    return edgesOf(b.view().subarray(0, present), options.maxBins)
  })
  for (const block of [staged, a, b, counts]) arena.free(block)
  return { edges }
}

/** First position after `start` with another value. */
function runEnd(sorted: Float32Array, start: number): number {
  const value = sorted[start]
  let end = start + 1
  while (end < sorted.length && sorted[end] === value) end++
  return end
}

function edgesOf(sorted: Float32Array, maxBins: number): Float32Array {
  const cuts: number[] = []
  for (let at = 0; at < sorted.length && cuts.length <= maxBins; at = runEnd(sorted, at)) cuts.push(at)
  const starts = cuts.length <= maxBins ? cuts.slice(1) : equalCounts(sorted, maxBins)
  const edges: number[] = []
  for (const at of starts) edges.push(between(sorted[at - 1] as number, sorted[at] as number))
  return Float32Array.from(edges)
}

/** Where bins begin, by greedy equal counts: a value that alone fills a bin keeps it, the rest share what is left. */
function equalCounts(sorted: Float32Array, maxBins: number): number[] {
  const starts: number[] = []
  let bins = maxBins
  let rest = sorted.length
  let since = 0
  for (let start = runEnd(sorted, 0); start < sorted.length && bins > 1;) {
    const next = runEnd(sorted, start)
    const filled = start - since
    const target = rest / bins
    // Cut before this value when the bin is full, or when the value would overfill it by more than it lacks.
    if (filled >= target || filled + (next - start) - target > target - filled) {
      starts.push(start)
      bins--
      rest -= filled
      since = start
    }
    start = next
  }
  return starts
}

/** A float32 e with low <= e < high, near the middle: values on the edge of a cut stay on their side. */
function between(low: number, high: number): number {
  const middle = Math.fround(low / 2 + high / 2)
  return middle >= high || middle < low ? low : middle
}

/** Bins a matrix by given edges. */
export function binRows(arena: Arena, matrix: FloatMatrix, { edges }: BinEdges): BinnedRows {
  const { values, rows, columns } = matrix
  const stride = Math.ceil(columns / 4) * 4
  const bins = arena.bytes(rows * stride)
  const staged = arena.floats(Math.min(rows, STAGE) * columns)
  const table = arena.floats(Math.max(1, ...edges.map((edge) => edge.length)) * columns)
  const width = table.length / columns
  edges.forEach((edge, column) => table.view().set(edge, column * width))
  for (let first = 0; first < rows; first += STAGE) {
    const count = Math.min(STAGE, rows - first)
    staged.view().set(values.subarray(first * columns, (first + count) * columns))
    edges.forEach((edge, column) => {
      forRange(arena, 'binColumn', { count }, (start, end) => [
        staged.address + 4 * column,
        columns,
        start,
        end,
        table.address + 4 * column * width,
        edge.length,
        bins.address + first * stride + column,
        stride,
      ])
    })
  }
  arena.free(staged)
  arena.free(table)
  return { rows, columns, stride, bins }
}

/** Rows copied into the kernels' memory at a time. */
const STAGE = 65_536
