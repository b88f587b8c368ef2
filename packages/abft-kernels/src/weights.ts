// Weights with the offline sums and norms that thresholds need. Taken from the original tensor once, in float64: a weight
// that changes later no longer agrees with them.
import {
  assertInteger,
  assertOneOf,
  assertTensor,
  FtError,
  type MatmulEngine,
  type PreparedWeights,
  type Tensor,
} from '@ft/core'
import type { ColumnRanges } from '@ft/tensor-core'
import {
  checksumWeightKinds,
  randomChecksums,
  type ChecksumWeights,
  type RandomChecksums,
} from './randomWeights/checksums.ts'
import { matrixRows } from './randomWeights/rows.ts'
import { CHAIN, rangesOf, storedValues } from './rounding.ts'
import type { Screen } from './screen.ts'

/** Norms of one weight matrix `[k, n]` (of one group of a filter). */
export interface WeightNorms {
  /** Square of the Frobenius norm. */
  readonly squares: number
  /** Square of the norm of the column sums: how large a row of C is when A's row is constant. */
  readonly columnSumSquares: number
  /** Sum of all absolute values. */
  readonly absolute: number
  /** Largest sum of absolute values of a row. */
  readonly largestRow: number
  /** Square of each column's norm, and the square of each column's sum. */
  readonly columnSquares: Float64Array
  readonly columnSums: Float64Array
  /** Sum of absolute values of each column. */
  readonly columnAbsolute: Float64Array
  /** Of the matrix's rows within each range of columns that the engine adds up by themselves. */
  readonly rows: { readonly rangeColumns: number; readonly ranges: readonly RowNorms[] }
}

/** Norms of the rows of a range of columns: of the sums that predict row sums, which are added up along k. */
export interface RowNorms {
  /** Square of the norm of the rows' sums of absolute values. */
  readonly absoluteSquares: number
  /** Square of the norm of the rows' sums. */
  readonly sumSquares: number
  /** Sum of the squares of all partial sums of the rows' sums, chain by chain (`CHAIN`). */
  readonly chainSquares: number
}

/** What the thresholds of row sums need of the columns that are added up. */
export interface SumNorms extends Pick<WeightNorms, 'squares' | 'columnSumSquares' | 'absolute'> {
  /** Undefined where the range is not one of those whose rows were measured. */
  readonly rows: RowNorms | undefined
}

const split = new WeakMap<WeightNorms, { readonly rangeColumns: number; readonly norms: readonly SumNorms[] }>()

/** Norms of each range of columns. Cost: O(n), once for weights and width. */
export function rangeNorms(norms: WeightNorms, { ranges, rangeColumns }: ColumnRanges): readonly SumNorms[] {
  const { columnSquares, columnSums, columnAbsolute, rows } = norms
  if (ranges === 1) {
    const { squares, columnSumSquares, absolute } = norms
    return [{ squares, columnSumSquares, absolute, rows: together(rows.ranges) }]
  }
  const known = split.get(norms)
  if (known?.rangeColumns === rangeColumns) return known.norms
  const made = Array.from({ length: ranges }, (_, range) => {
    const measured = rows.rangeColumns === rangeColumns ? rows.ranges[range] : undefined
    const own = { squares: 0, columnSumSquares: 0, absolute: 0, rows: measured }
    for (let j = range * rangeColumns; j < Math.min(columnSums.length, (range + 1) * rangeColumns); j++) {
      own.squares += columnSquares[j] as number
      own.columnSumSquares += (columnSums[j] as number) ** 2
      own.absolute += columnAbsolute[j] as number
    }
    return own
  })
  split.set(norms, { rangeColumns, norms: made })
  return made
}

/** Bounds of the norms of rows across all ranges. */
function together(ranges: readonly RowNorms[]): RowNorms | undefined {
  if (ranges.length < 2) return ranges[0]
  const sum = (of: (norms: RowNorms) => number) => ranges.reduce((all, norms) => all + of(norms), 0)
  return {
    absoluteSquares: sum(({ absoluteSquares }) => Math.sqrt(absoluteSquares)) ** 2,
    sumSquares: ranges.length * sum(({ sumSquares }) => sumSquares),
    chainSquares: ranges.length * sum(({ chainSquares }) => chainSquares),
  }
}

export interface ProtectedWeights {
  readonly tensor: Tensor
  readonly prepared: PreparedWeights
  readonly kind: 'matmul' | 'conv2d' | 'matmul-int8'
  readonly groups: number
  /** Matrices of a batch, each for its own item of A; 0 for one matrix. */
  readonly batch: number
  /** Rows and columns of one matrix. */
  readonly k: number
  readonly n: number
  readonly norms: readonly WeightNorms[]
  /** Checksums with random weights, where these were prepared with them. */
  readonly random?: RandomChecksums
  /**
   * False alarms of statistical thresholds so far. After the first one this layer's data are not what the calibration was
   * made for, and its checks fall back to the hard bound; set it to 0 to trust the calibration again.
   */
  falseAlarms: number
  /** What the engine judged the last product with these weights by; the package's own. */
  screen?: Screen
  release(): void
}

export interface ProtectOptions {
  /** Default 'matmul': `[k, n]` or `[batch, k, n]`. 'conv2d' takes `[h, w, i, o]`; 'matmul-int8' int8 `[k, n]`. */
  readonly kind?: 'matmul' | 'conv2d' | 'matmul-int8'
  readonly groups?: number
  /**
   * What checksums weigh their terms with: 'ones' (default), which the engine adds up beside the product and which miss errors
   * that cancel; or 'random', numbers of `seed` in +-[1/2, 1), by passes of their own. Not for 'matmul-int8'.
   */
  readonly checksumWeights?: ChecksumWeights
  /** Of the random weights. Default 1. Errors that one seed hides are others than those that another one hides. */
  readonly seed?: number
}

/**
 * Prepares weights for an engine and takes their norms.
 *
 * Cost: one pass in float64 over the weights, offline; 24 bytes a column besides the engine's own copy, 32 where a matrix has
 * one column. Random checksum weights take a second pass, and 8 bytes a row and range of columns, 32 a column.
 *
 * @throws FtError `UNSUPPORTED` for random checksum weights of integers; `SHAPE_MISMATCH` for a tensor that is neither `[k, n]` nor `[h, w, i, o]`; `INVALID_ARGUMENT` for
 * weights that are not finite (on an engine that stores float16: beyond 65,504), and for groups of anything but a filter
 */
export async function protectWeights(
  engine: MatmulEngine,
  tensor: Tensor,
  options: ProtectOptions = {},
): Promise<ProtectedWeights> {
  const { kind = 'matmul', groups = 1, checksumWeights = 'ones', seed = 1 } = options
  assertTensor(tensor, { where: 'protectWeights', argument: 'weights' })
  assertOneOf(kind, {
    where: 'protectWeights',
    argument: 'options.kind',
    values: ['matmul', 'conv2d', 'matmul-int8'],
  })
  assertOneOf(checksumWeights, {
    where: 'protectWeights',
    argument: 'options.checksumWeights',
    values: checksumWeightKinds,
  })
  assertInteger(seed, { where: 'protectWeights', argument: 'options.seed', min: 0 })
  if (checksumWeights === 'random' && kind === 'matmul-int8')
    throw new FtError(
      'UNSUPPORTED',
      'protectWeights: no random checksum weights for integers, whose sums are exact modulo 2^32; leave `options.checksumWeights` out',
      { kind },
    )
  const { shape } = tensor
  const wanted = { matmul: '[k, n] or [batch, k, n]', conv2d: '[h, w, i, o]', 'matmul-int8': '[k, n]' }[kind]
  const ranks = { matmul: [2, 3], conv2d: [4], 'matmul-int8': [2] }[kind]
  if (!ranks.includes(shape.length)) {
    throw new FtError(
      'SHAPE_MISMATCH',
      `prepare: ${kind} weights must be ${wanted}, got [${shape.join(', ')}]${shape.length === 4 ? "; a filter takes { kind: 'conv2d' }" : ''}`,
      { shape },
    )
  }
  if (groups !== 1 && (kind !== 'conv2d' || !Number.isSafeInteger((shape[3] as number) / groups) || !(groups >= 1)))
    throw new FtError(
      'INVALID_ARGUMENT',
      `protectWeights: \`options.groups\` must be ${kind === 'conv2d' ? `a divisor of ${shape[3]} outputs` : `1 for ${kind} weights`}, got ${groups}`,
      { kind, groups },
    )
  const batch = kind === 'matmul' && shape.length === 3 ? (shape[0] as number) : 0
  const columns = shape[shape.length - 1] as number
  const k = shape.slice(batch > 0 ? 1 : 0, -1).reduce((all, size) => all * size, 1)
  const n = columns / groups
  const place = { k, columns, n, split: rangesOf(engine.build, n) }
  const data = kind === 'matmul-int8' ? tensor.data : storedValues(engine.build, tensor.data)
  const firsts = Array.from({ length: Math.max(batch, groups) }, (_, item) => item * (batch > 0 ? k * n : n))
  const norms = firsts.map((first) => normsOf(data, { ...place, first }))
  const matrices = () => firsts.map((first) => matrixRows(data, { count: k, length: n, first, step: columns }))
  const random = checksumWeights === 'random' ? randomChecksums({ seed, n, norms, matrices: matrices() }) : undefined
  const prepared = await engine.prepare(tensor, { kind, groups })
  return {
    ...{ tensor, prepared, kind, groups, batch, k, n, norms, falseAlarms: 0 },
    ...(random && { random }),
    release: () => prepared.release(),
  }
}

interface MatrixPlace {
  readonly k: number
  /** Of all matrices that lie side by side. */
  readonly columns: number
  readonly first: number
  readonly n: number
  readonly split: ColumnRanges
}

function normsOf(data: ArrayLike<number>, { k, columns, first, n, split }: MatrixPlace): WeightNorms {
  const [columnSquares, columnSums, columnAbsolute] = [new Float64Array(n), new Float64Array(n), new Float64Array(n)]
  const { ranges, rangeColumns } = split
  const rows = Array.from({ length: ranges }, () => new RowsSoFar())
  let [squares, absolute, largestRow] = [0, 0, 0]
  for (let row = 0; row < k; row++) {
    let rowAbsolute = 0
    for (let range = 0; range < ranges; range++) {
      const end = Math.min(n, (range + 1) * rangeColumns)
      let [sum, size] = [0, 0]
      for (let j = range * rangeColumns; j < end; j++) {
        const value = data[row * columns + first + j] as number
        if (!Number.isFinite(value)) {
          throw new FtError(
            'INVALID_ARGUMENT',
            `protectWeights: weight [${row}, ${first + j}] is ${value}; checksums need finite weights`,
            { row, column: first + j },
          )
        }
        columnSquares[j] = (columnSquares[j] as number) + value * value
        columnSums[j] = (columnSums[j] as number) + value
        columnAbsolute[j] = (columnAbsolute[j] as number) + Math.abs(value)
        squares += value * value
        sum += value
        size += Math.abs(value)
      }
      rows[range]?.add(row, sum, size)
      rowAbsolute += size
    }
    absolute += rowAbsolute
    largestRow = Math.max(largestRow, rowAbsolute)
  }
  if (n === 1) return new OneColumn({ squares, columnSum: columnSums[0] as number, absolute, largestRow })
  const columnSumSquares = columnSums.reduce((sum, value) => sum + value * value, 0)
  return {
    ...{ squares, columnSumSquares, absolute, largestRow, columnSquares, columnSums, columnAbsolute },
    rows: { rangeColumns, ranges: rows.map((own) => own.norms()) },
  }
}

/** Lanes of the vectors that the engine adds up along k. */
const LANES = 4

/** Norms of a range's rows while they are measured, in their order. */
class RowsSoFar {
  readonly #partial = new Float64Array(LANES)
  #absoluteSquares = 0
  #sumSquares = 0
  #chainSquares = 0

  add(row: number, sum: number, absolute: number): void {
    const lane = row % LANES
    if (row % (LANES * CHAIN) === 0) this.#partial.fill(0)
    const partial = (this.#partial[lane] as number) + sum
    this.#partial[lane] = partial
    this.#chainSquares += partial * partial
    this.#sumSquares += sum * sum
    this.#absoluteSquares += absolute * absolute
  }

  norms(): RowNorms {
    return {
      absoluteSquares: this.#absoluteSquares,
      sumSquares: this.#sumSquares,
      chainSquares: this.#chainSquares,
    }
  }
}

/** Of a matrix with one column, as depthwise filters have by the hundred: four numbers instead of three arrays of one each. */
class OneColumn implements WeightNorms {
  readonly squares: number
  readonly absolute: number
  readonly largestRow: number
  readonly #columnSum: number

  constructor(o: Pick<WeightNorms, 'squares' | 'absolute' | 'largestRow'> & { readonly columnSum: number }) {
    this.squares = o.squares
    this.absolute = o.absolute
    this.largestRow = o.largestRow
    this.#columnSum = o.columnSum
  }

  get columnSumSquares(): number {
    return this.#columnSum ** 2
  }

  /** Its rows' sums are its values; those of a chain add up to its length times their squares at most. */
  get rows(): WeightNorms['rows'] {
    const { squares } = this
    const chainSquares = ((CHAIN * (CHAIN + 1)) / 2) * squares
    return { rangeColumns: 1, ranges: [{ absoluteSquares: squares, sumSquares: squares, chainSquares }] }
  }

  get columnSquares(): Float64Array {
    return Float64Array.of(this.squares)
  }

  get columnSums(): Float64Array {
    return Float64Array.of(this.#columnSum)
  }

  get columnAbsolute(): Float64Array {
    return Float64Array.of(this.absolute)
  }
}
