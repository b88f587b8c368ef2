// Histogram bins: at most 254 ranges of values a feature and one for missing values, so that a cell is one byte.
import type { Arena, Block } from './arena.ts'
import { forRange } from './arena.ts'
import type { FloatMatrix } from './data/schema.ts'
import type { Layout } from './layout.ts'

/**
 * Upper edges of each feature's bins, ascending float32: a value x is in bin 1 + #{edges < x}, and bin 0 is missing. A
 * categorical feature has levels instead, and its code c is in bin c + 1; a code that was never seen in bin 255.
 */
export interface BinEdges {
  readonly edges: readonly Float32Array[]
  readonly levels: readonly (number | undefined)[]
}

/** Binned rows in the kernels' memory. */
export interface BinnedRows {
  readonly rows: number
  /** Bytes of a row in use, and which features they hold. */
  readonly columns: number
  readonly layout: Layout
  /** Bytes between rows, a multiple of 4. */
  readonly stride: number
  readonly bins: Block<Uint8Array>
  /** Address of the first row's record: its packed derivatives, then its bins. Of rows that no tree is grown on, of the bins. */
  readonly records: number
  /** The bins once more, column after column. */
  readonly byColumn: Block<Uint8Array> | undefined
}

export interface BinOptions {
  /** Leave room for packed derivatives before each row's bins. */
  readonly derivatives?: boolean
  readonly byColumn?: boolean
}

/** Bytes of a row's packed derivatives. */
const DERIVATIVES = 8

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
  const { threads } = arena.runtime
  // Evenly spread rows: the same on every machine, without a random draw.
  const taken = Math.min(rows, SAMPLE)
  const staged = arena.floats(taken * columns)
  spread(values, staged.view(), { rows, columns, taken })
  // Each thread sorts a column of its own at a time.
  const own = Array.from({ length: threads }, () => ({
    a: arena.integers(taken),
    b: arena.floats(taken),
    counts: arena.integers(3 * 2048),
  }))
  const present = arena.integers(threads)
  const edges = Array<Float32Array>(columns).fill(new Float32Array(0))
  const numeric = edges.flatMap((_, column) => (matrix.levels[column] ? [] : [column]))
  for (let first = 0; first < numeric.length; first += threads) {
    const batch = numeric.slice(first, first + threads)
    arena.runtime.fork(
      arena.module,
      'sortColumn',
      batch.map((column, t) => {
        const { a, b, counts } = own[t] as (typeof own)[number]
        const places = [a.address, b.address, counts.address, present.address + 4 * t]
        return [staged.address + 4 * column, columns, taken, ...places]
      }),
    )
    batch.forEach((column, t) => {
      edges[column] = edgesOf(own[t]?.b.view().subarray(0, present.view()[t]) as Float32Array, options.maxBins)
    })
  }
  for (const block of [staged, present, ...own.flatMap(({ a, b, counts }) => [a, b, counts])]) arena.free(block)
  return { edges, levels: matrix.levels.map((levels) => levels?.length) }
}

function spread(
  values: Float32Array,
  to: Float32Array,
  { rows, columns, taken }: { rows: number; columns: number; taken: number },
): void {
  if (taken === rows) {
    to.set(values)
    return
  }
  for (let i = 0; i < taken; i++) {
    const from = Math.floor((i * rows) / taken) * columns
    for (let column = 0; column < columns; column++) to[i * columns + column] = values[from + column] as number
  }
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

/** Bins a matrix by given edges, into the columns of a layout. */
export function binRows(
  arena: Arena,
  matrix: FloatMatrix,
  { edges, levels }: BinEdges,
  layout: Layout,
  options: BinOptions = {},
): BinnedRows {
  const { values, rows, columns: features } = matrix
  const { columns, columnOf, bundled } = layout
  // Clearing rows that share columns clears the room before the next row's bins as well: nothing is there yet.
  const head = options.derivatives ? DERIVATIVES : 0
  const stride = options.derivatives ? Math.ceil((head + columns) / 8) * 8 : Math.ceil(columns / 4) * 4
  const all = arena.bytes(rows * stride)
  const bins = {
    address: all.address + head,
    length: Math.max(0, all.length - head),
    view: () => all.view().subarray(head),
  }
  const staged = arena.floats(Math.min(rows, STAGE) * features)
  const table = arena.floats(edges.reduce((sum, edge) => sum + edge.length, 0))
  const kinds = arena.integers(KIND * features)
  const shared = bundled.filter((one) => one !== undefined).length
  const bytes = arena.bytes(256 * shared)
  let [at, used] = [0, 0]
  edges.forEach((edge, feature) => {
    table.view().set(edge, at)
    const one = bundled[feature]
    if (one) {
      const own = bytes
        .view()
        .subarray(256 * used, 256 * (used + 1))
        .fill(0)
      one.bins.forEach((bin, i) => (own[bin] = one.first + i))
    }
    kinds
      .view()
      .set(
        [
          ...[table.address + 4 * at, edge.length, levels[feature] ?? NUMERIC],
          ...[columnOf[feature] as number, one ? bytes.address + 256 * used++ : 0],
        ],
        KIND * feature,
      )
    at += edge.length
  })
  for (let first = 0; first < rows; first += STAGE) {
    const count = Math.min(STAGE, rows - first)
    staged.view().set(values.subarray(first * features, (first + count) * features))
    forRange(arena, 'binRows', { count, least: 1024 }, (start, end) => [
      staged.address,
      features,
      start,
      end,
      kinds.address,
      bins.address + first * stride,
      stride,
      Number(shared > 0),
    ])
  }
  for (const block of [staged, table, kinds, bytes]) arena.free(block)
  const binned = { rows, columns, layout, stride, bins, records: all.address, byColumn: undefined }
  return options.byColumn ? { ...binned, byColumn: columnsOf(arena, binned) } : binned
}

function columnsOf(arena: Arena, { bins, rows, columns, stride }: BinnedRows): Block<Uint8Array> {
  const copy = arena.bytes(rows * columns)
  forRange(arena, 'transpose', { count: rows, least: 16_384 }, (start, end) => [
    bins.address,
    stride,
    start,
    end,
    columns,
    copy.address,
    rows,
  ])
  return copy
}

/** Words of a feature's kind. */
const KIND = 5
/** Rows copied into the kernels' memory at a time: small enough to be still in the second-level cache when binned. */
const STAGE = 8192
/** In place of a number of levels. */
const NUMERIC = 0xffffffff
