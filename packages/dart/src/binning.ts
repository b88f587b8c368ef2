// Histogram bins: at most 254 ranges of values a feature and one for missing values, so that a cell is one byte.
import type { Arena, Block } from './arena.ts'
import { forRange, ranges } from './arena.ts'
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
 * Cost: a radix sort of min(rows, 200,000) values a column, about 1 ms each; threads share the columns.
 *
 * @param options.maxBins - bins of values a feature, 2 to 254
 */
export function findEdges(arena: Arena, matrix: FloatMatrix, options: { maxBins: number }): BinEdges {
  const { rows, columns, levels } = matrix
  const taken = Math.min(rows, SAMPLE)
  const sample = arena.floats(taken * columns)
  gatherSample(matrix, sample.view(), taken)
  const numeric = Array.from({ length: columns }, (_, column) => column).filter((column) => !levels[column])
  const numbers = arena.integers(numeric.length)
  numbers.view().set(numeric)
  const edges = arena.floats(columns * EDGES)
  const found = arena.integers(columns)
  found.view().fill(0)
  const parts = ranges(arena.runtime, numeric.length, 1)
  // Each thread sorts one column after the other in memory of its own.
  const own = parts.map(() => [arena.integers(taken), arena.floats(taken), arena.integers(3 * 2048)])
  arena.runtime.fork(
    arena.module,
    'findEdges',
    parts.map(([first, last], part) => [
      ...[sample.address, taken, numbers.address, first, last, options.maxBins],
      ...(own[part] as Block<unknown>[]).map(({ address }) => address),
      ...[edges.address, found.address],
    ]),
  )
  const [all, counts] = [edges.view(), found.view()]
  const each = Array.from(counts, (count, column) => all.slice(column * EDGES, column * EDGES + count))
  for (const block of [sample, numbers, edges, found, ...own.flat()]) arena.free(block)
  return { edges: each, levels: levels.map((names) => names?.length) }
}

/** Floats of a column's edges in the kernel's table. */
const EDGES = 256
/** Rows whose values are turned into columns together: what they fill of a column is one line of the cache. */
const TURNED = 16

/** `taken` evenly spread rows, column after column: the same on every machine, without a random draw. */
function gatherSample({ values, rows, columns }: FloatMatrix, to: Float32Array, taken: number): void {
  const from = new Float64Array(TURNED)
  for (let first = 0; first < taken; first += TURNED) {
    const count = Math.min(TURNED, taken - first)
    for (let i = 0; i < count; i++) from[i] = Math.floor(((first + i) * rows) / taken) * columns
    for (let column = 0; column < columns; column++) {
      const at = column * taken + first
      for (let i = 0; i < count; i++) to[at + i] = values[(from[i] as number) + column] as number
    }
  }
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
  const groups = edges.map((edge) => Math.max(1, Math.ceil(edge.length / GROUP)))
  const table = arena.floats(groups.reduce((sum, count) => sum + (count + 1) * GROUP, 0))
  table.view().fill(Infinity)
  const kinds = arena.integers(KIND * features)
  const shared = bundled.filter((one) => one !== undefined).length
  const bytes = arena.bytes(256 * shared)
  let [at, used] = [0, 0]
  edges.forEach((edge, feature) => {
    const count = groups[feature] as number
    const words = table.view()
    words.set(edge, at + GROUP)
    for (let group = 0; group < count - 1; group++) words[at + group] = edge[(group + 1) * GROUP - 1] as number
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
          ...[table.address + 4 * at, count, levels[feature] ?? NUMERIC],
          ...[columnOf[feature] as number, one ? bytes.address + 256 * used++ : 0],
        ],
        KIND * feature,
      )
    at += (count + 1) * GROUP
  })
  const byColumn = options.byColumn ? arena.bytes(rows * columns) : undefined
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
      columns,
      byColumn ? byColumn.address + first : 0,
      rows,
    ])
  }
  for (const block of [staged, table, kinds, bytes]) arena.free(block)
  return { rows, columns, layout, stride, bins, records: all.address, byColumn }
}

/** Words of a feature's kind. */
const KIND = 5
/** Edges that the kernel compares side by side. */
const GROUP = 16
/** Rows copied into the kernels' memory at a time: small enough to be still in the second-level cache when binned. */
const STAGE = 8192
/** In place of a number of levels. */
const NUMERIC = 0xffffffff
