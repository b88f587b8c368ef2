// Which byte of a binned row holds which feature. Sparse features that are never non-zero together share one: exclusive feature
// bundling (Ke and others, "LightGBM", NeurIPS 2017, algorithms 3 and 4).
import type { BinEdges } from './binning.ts'
import type { FloatMatrix } from './data/schema.ts'

/** A feature that shares its column. Byte 0 of the column says that all its features are in their default bins. */
export interface Bundled {
  /** The bin of value 0. */
  readonly defaultBin: number
  /** Bins that occur besides, ascending: bin number i has the byte `first` + i. */
  readonly bins: Uint8Array
  readonly first: number
}

export interface Layout {
  /** Bytes of a row in use. */
  readonly columns: number
  readonly columnOf: Uint16Array
  /** By feature; undefined for one with a column of its own, whose bytes are its bins. */
  readonly bundled: readonly (Bundled | undefined)[]
}

/** Every feature in a column of its own. */
export function plainLayout(features: number): Layout {
  return {
    columns: features,
    columnOf: Uint16Array.from({ length: features }, (_, feature) => feature),
    bundled: new Array<undefined>(features).fill(undefined),
  }
}

/** Largest share of rows outside the default bin for a feature to be bundled. */
const SPARSE = 0.2
/** Rows looked at to find features that may be sparse. */
const SAMPLE = 2048
/** Bundles that a feature is tried with, the newest first, as LightGBM does: the search must stay linear in the features. */
const TRIED = 100
/** Bytes of a column besides the default one. */
const CODES = 255

/**
 * Bundles features greedily, by falling number of rows outside their default bins (the paper's second order, which needs no graph
 * of conflicts). A row of `matrix` never has two features of a bundle outside their default bins (conflict rate 0), so histograms of
 * the features come back exactly, and the model is the one that unbundled columns give, bit for bit.
 *
 * Cost: one pass over the sparse columns; next to nothing when fewer than two are sparse.
 */
export function findLayout(matrix: FloatMatrix, edges: BinEdges): Layout {
  const candidates = sparseColumns(matrix, edges)
  if (candidates.length < 2) return plainLayout(matrix.columns)
  const features = occupied(matrix, candidates).sort((a, b) => b.rows.length - a.rows.length)
  const bundles: Bundle[] = []
  for (const feature of features) {
    const fitting = bundles.slice(-TRIED).find((bundle) => fits(bundle, feature))
    const bundle = fitting ?? { members: [], codes: 0, taken: new Uint32Array(Math.ceil(matrix.rows / 32)) }
    if (!fitting) bundles.push(bundle)
    bundle.members.push(feature)
    bundle.codes += feature.bins.length
    for (const row of feature.rows) bundle.taken[row >> 5] = (bundle.taken[row >> 5] as number) | (1 << (row & 31))
  }
  return placed(
    matrix.columns,
    bundles.filter(({ members }) => members.length > 1).map(({ members }) => members),
  )
}

/** A sparse column: its default bin holds the values above `low`, up to `high`. */
interface Candidate {
  readonly column: number
  readonly edges: Float32Array
  readonly defaultBin: number
  readonly low: number
  readonly high: number
}

/** And the rows outside of it, with the bins that they are in. */
interface Occupied extends Candidate {
  readonly rows: readonly number[]
  readonly bins: Uint8Array
}

interface Bundle {
  readonly members: Occupied[]
  codes: number
  /** One bit a row. */
  readonly taken: Uint32Array
}

function sparseColumns({ values, rows, columns }: FloatMatrix, { edges, levels }: BinEdges): Candidate[] {
  const taken = Math.min(rows, SAMPLE)
  return edges.flatMap((edge, column) => {
    if (levels[column] !== undefined || edge.length === 0) return []
    const defaultBin = binOf(edge, 0)
    const candidate = {
      ...{ column, edges: edge, defaultBin },
      low: defaultBin > 1 ? (edge[defaultBin - 2] as number) : -Infinity,
      high: edge[defaultBin - 1] ?? Infinity,
    }
    let outside = 0
    for (let i = 0; i < taken; i++) {
      const row = Math.floor((i * rows) / taken)
      outside += Number(isOutside(candidate, values[row * columns + column] as number))
    }
    return outside <= SPARSE * taken ? [candidate] : []
  })
}

const isOutside = ({ low, high }: Candidate, x: number): boolean => !((x > low || low === -Infinity) && x <= high)

/** Bin of a value; NaN is in bin 0. */
function binOf(edges: Float32Array, x: number): number {
  if (x !== x) return 0
  let [low, high] = [0, edges.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((edges[middle] as number) < x) low = middle + 1
    else high = middle
  }
  return low + 1
}

function occupied({ values, rows, columns }: FloatMatrix, candidates: readonly Candidate[]): Occupied[] {
  const lists = candidates.map(() => [] as number[])
  const seen = candidates.map(() => new Uint8Array(256))
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < candidates.length; i++) {
      const candidate = candidates[i] as Candidate
      const x = values[row * columns + candidate.column] as number
      if (!isOutside(candidate, x)) continue
      ;(lists[i] as number[]).push(row)
      ;(seen[i] as Uint8Array)[binOf(candidate.edges, x)] = 1
    }
  }
  return candidates.map((candidate, i) => ({
    ...candidate,
    rows: lists[i] as number[],
    bins: Uint8Array.from(Array.from(seen[i] as Uint8Array, (is, bin) => (is ? [bin] : [])).flat()),
  }))
}

function fits({ codes, taken }: Bundle, { rows, bins }: Occupied): boolean {
  return codes + bins.length <= CODES && rows.every((row) => (((taken[row >> 5] as number) >>> (row & 31)) & 1) === 0)
}

/** Columns in the order of their first features. */
function placed(features: number, bundles: readonly (readonly Occupied[])[]): Layout {
  const columnOf = new Uint16Array(features)
  const bundled = new Array<Bundled | undefined>(features).fill(undefined)
  const bundleOf = new Map(bundles.flatMap((members) => members.map(({ column }) => [column, members] as const)))
  const placedBundles = new Map<readonly Occupied[], number>()
  let columns = 0
  for (let feature = 0; feature < features; feature++) {
    const members = bundleOf.get(feature)
    const known = members && placedBundles.get(members)
    columnOf[feature] = known ?? columns
    if (known !== undefined) continue
    if (members) placedBundles.set(members, columns)
    columns++
  }
  for (const members of bundles) {
    let first = 1
    for (const { column, defaultBin, bins } of members) {
      bundled[column] = { defaultBin, bins, first }
      first += bins.length
    }
  }
  return { columns, columnOf, bundled }
}

/** Bins that go left under a split by a threshold, as a 256-bit set. */
export function binsLeft({ bin, missingLeft }: { readonly bin: number; readonly missingLeft: boolean }): Uint32Array {
  const words = new Uint32Array(8)
  for (let word = 0; word < 8; word++) {
    const count = Math.min(Math.max(bin + 1 - 32 * word, 0), 32)
    words[word] = count === 32 ? 0xffffffff : (1 << count) - 1
  }
  if (!missingLeft) words[0] = (words[0] as number) & ~1
  return words
}

/** Bytes of a bundled feature's column that go left under a split of its bins, as a 256-bit set. */
export function bytesLeft(
  { defaultBin, bins, first }: Bundled,
  split: { readonly bin: number; readonly missingLeft: boolean },
): Uint32Array {
  const isLeft = (bin: number): boolean => (bin === 0 ? split.missingLeft : bin <= split.bin)
  // The bytes of other features say that this one is in its default bin.
  const words = new Uint32Array(8).fill(isLeft(defaultBin) ? 0xffffffff : 0)
  bins.forEach((bin, i) => {
    const byte = first + i
    const bit = 1 << (byte & 31)
    const word = words[byte >> 5] as number
    words[byte >> 5] = isLeft(bin) ? word | bit : word & ~bit
  })
  return words
}
