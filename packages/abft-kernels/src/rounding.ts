// How an engine rounds: what thresholds are derived from.
import { FtError, type DType, type Tensor, type TypedArray } from '@ft/core'
import { decodeFloat16, encodeFloat16, fromFloat16Array, toFloat16Array, unitRoundoff } from '@ft/core/formats'
import { columnRanges, type ColumnRanges } from '@ft/tensor-core'

export interface Rounding {
  /** Unit roundoff of the stored output. */
  readonly stored: number
  /** Unit roundoff of the accumulator. */
  readonly accumulated: number
  /** Longest chain of additions that one output passes through, for k products. */
  chain(k: number): number
  /** Standard deviation of storing alone, u / sqrt(3) per unit of the stored value, whatever its parts. */
  readonly storing: { readonly centred: number; readonly aligned: number }
  /** Whether the accumulator is so much wider than the stored type that only storing rounds. */
  readonly wide: boolean
  /** How row sums round, where they are not float64 sums from the start. */
  readonly rowSums?: RowSumRounding
}

/** Row sums that begin in the accumulator's type. */
export interface RowSumRounding {
  /** Additions that an output passes through in that type, beyond the two that every bound allows for. */
  readonly summed: number
  /** Roundings on the way of a term of the predicted sum: of the row sum of B, of the product, of additions. */
  readonly predicted: number
}

/** Predicted row sums of the wasm engine are float32 along so many vectors of k, in each lane. */
export const CHAIN = 16
/** Sums over C of the wasm engine are float32 along the eight panels of a strip of 128 columns. */
const PANELS = 8

/** float32 products of the wasm engine are summed in blocks of so many along k, blocks one after another. */
const WASM_BLOCK = 256

/**
 * Rounding of an engine's build.
 *
 * Builds that are not known are taken at their worst: one float32 chain of length k.
 *
 * Builds that store operands in float16 multiply what `storedTensor` makes of them, and round like others from there on: the
 * output is not stored in float16.
 *
 * @throws FtError `UNSUPPORTED` for element types without rounding analysis
 */
export function roundingOf(build: string, dtype: DType): Rounding {
  const known = dtype === 'float32' ? roundings.get(build) : undefined
  if (known !== undefined) return known
  const rounding = analysed(build, dtype)
  roundings.set(build, rounding)
  return rounding
}

/** A process has one engine or a few, and each of their products asks. */
const roundings = new Map<string, Rounding>()

function analysed(build: string, dtype: DType): Rounding {
  if (dtype !== 'float32') throw new FtError('UNSUPPORTED', `roundingOf: no analysis for ${dtype}`, { dtype })
  const u = unitRoundoff('float32')
  const storing = { centred: u / Math.sqrt(3), aligned: u / Math.sqrt(3) }
  if (build.startsWith('reference')) {
    return { stored: u, storing, accumulated: unitRoundoff('float64'), chain: (k) => k, wide: true }
  }
  if (build.startsWith('wasm')) {
    // A product, then additions within a block, then one addition a block.
    return {
      stored: u,
      storing,
      accumulated: u,
      chain: (k) => Math.min(k, WASM_BLOCK) + Math.ceil(k / WASM_BLOCK),
      wide: false,
      rowSums: { summed: PANELS - 1, predicted: 2 + CHAIN },
    }
  }
  const block = matrixSteps(build)
  if (block !== undefined) {
    // Taken: the products of a block and the sum so far are added cut off below the largest of them, at 24 bits or later, as
    // Fasi et al. found of tensor cores ("Numerical behavior of NVIDIA tensor cores", 2021): each of block + 1 terms errs by 2 u
    // of it. Not tried on one.
    return { stored: u, storing, accumulated: 2 * u, chain: (k) => k + Math.ceil(k / block), wide: false }
  }
  return { stored: u, storing, accumulated: u, chain: (k) => k + 1, wide: false }
}

/** Steps of k that a build with subgroup matrices adds up at once; undefined for other builds. */
function matrixSteps(build: string): number | undefined {
  const [, steps] = /^webgpu\/float16 \d+x\d+x(\d+)\//.exec(build) ?? []
  return steps === undefined ? undefined : Number(steps)
}

/** Whether a build rounds its operands to float16 before it multiplies. */
export function storesFloat16(build: string): boolean {
  return build.startsWith('webgpu/float16')
}

/** What a build multiplies of a float32 operand: the operand, or a copy of it rounded to float16. */
export function storedTensor(build: string, tensor: Tensor): Tensor {
  return storesFloat16(build) ? { ...tensor, data: storedValues(build, tensor.data) } : tensor
}

export function storedValues<T extends TypedArray>(build: string, data: T): T | Float32Array {
  return storesFloat16(build) ? fromFloat16Array(toFloat16Array(data as Float32Array)) : data
}

/** One number of an operand as a build multiplies it. */
export function storedNumber(build: string, value: number): number {
  return storesFloat16(build) ? decodeFloat16(encodeFloat16(value)) : value
}

/** gamma_n = n u / (1 - n u) (Higham, "Accuracy and Stability", section 3.1). Infinity once n u reaches 1. */
export function gamma(n: number, u: number): number {
  return n * u < 1 ? (n * u) / (1 - n * u) : Infinity
}

/** Ranges of columns that an engine build sums the rows of float products by. */
export function rangesOf(build: string, n: number): ColumnRanges {
  return /^(wasm|reference)\//.test(build) ? columnRanges(n) : { ranges: 1, rangeColumns: n }
}

/**
 * Rows and columns of the register tile that an engine build's tile sums speak of; the largest one where the build chooses
 * by the product's size (webgpu: 1 x 4, 4 x 4 or 8 x 8; subgroups with matrices up to 64 x 64), so that no tile's threshold is larger than what it says.
 */
export function tileOf(build: string): readonly [number, number] {
  if (matrixSteps(build) !== undefined) return [64, 64]
  if (build.startsWith('webgpu')) return [8, 8]
  if (build.startsWith('gpujs')) return [1, 3]
  const [, rows, columns] = /\/(\d+)x(\d+)x\d+$/.exec(build) ?? []
  return rows === undefined ? [4, 8] : [Number(rows), Number(columns)]
}
