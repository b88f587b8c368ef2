// A kernel of one's own behind the engine contract: any function that multiplies gets the row, column and global checks, the
// thresholds, the correction and the calibration of this package.
import {
  FtError,
  type Emit,
  type MatmulEngine,
  type MatmulOptions,
  type PreparedWeights,
  type Product,
  type Tensor,
} from '@ft/core'

export interface OwnKernel {
  /** Names the kernel and its variant: thresholds and prepared weights belong to it. */
  readonly name: string
  /**
   * C = A B. Shapes: A `[m, k]`, B `[k, n]`, C `[m, n]`; float32. A row's bits must not depend on the other rows, or a
   * corrected row has the right value but not the bits of a clean run.
   */
  multiply(a: Tensor, b: Tensor): Tensor | Promise<Tensor>
}

/**
 * Makes an engine of a kernel. Sums are taken in separate passes in float64, so that stored outputs are covered too.
 *
 * Thresholds without calibration take the accumulator as one float32 chain of length k: kernels that round less keep their
 * guarantee and can be calibrated for more sensitivity.
 *
 * @throws FtError `UNSUPPORTED` from the engine for convolutions, integers, transposes, tile schemes and faults: they need
 * a look inside
 * @example
 * ```ts
 * import { createKernels } from '@ft/abft-kernels'
 * const multiply = (a: Tensor, b: Tensor): Tensor => {
 *   const [m = 0, k = 0] = a.shape
 *   const n = b.shape[1] ?? 0
 *   const data = new Float32Array(m * n)
 *   for (let i = 0; i < m; i++)
 *     for (let s = 0; s < k; s++)
 *       for (let j = 0; j < n; j++) data[i * n + j]! += a.data[i * k + s]! * b.data[s * n + j]!
 *   return { data, shape: [m, n], dtype: 'float32' }
 * }
 * const kernels = createKernels({ engine: engineOf({ name: 'naive', multiply }) })
 * const identity = { data: Float32Array.of(1, 0, 0, 1), shape: [2, 2], dtype: 'float32' } as const
 * const { report } = await kernels.matmul(identity, await kernels.prepare(identity), { scheme: 'row-column' })
 * report.status // => 'clean'
 * ```
 */
export function engineOf(kernel: OwnKernel): MatmulEngine {
  const build = `own/${kernel.name}`
  const tensors = new WeakMap<PreparedWeights, Tensor>()
  const unsupported = (what: string) =>
    Promise.reject(
      new FtError('UNSUPPORTED', `engineOf: kernel ${kernel.name} has no ${what}`, { kernel: kernel.name }),
    )

  const prepare = (weights: Tensor): PreparedWeights => {
    const [k = 0, n = 0] = weights.shape
    const rowSums = new Float64Array(k)
    for (let i = 0; i < k * n; i++)
      rowSums[Math.floor(i / n)] = (rowSums[Math.floor(i / n)] as number) + (weights.data[i] as number)
    const made: PreparedWeights = {
      build,
      kind: 'matmul',
      k,
      n,
      groups: 1,
      bytes: 0,
      rowSums,
      release: () => undefined,
    }
    tensors.set(made, weights)
    return made
  }
  return {
    name: 'reference',
    build,
    prepare: (weights, options = {}) =>
      (options.kind ?? 'matmul') === 'matmul' && weights.shape.length === 2 && options.transposeB !== true
        ? Promise.resolve(prepare(weights))
        : unsupported('such weights'),
    async matmul(a, weights, options = {}) {
      const { emit = {} } = options
      if (options.transposeA === true) return unsupported('transposed operands')
      if (options.transposeB === true) return unsupported('transposed operands')
      if (options.faults && options.faults.length > 0) return unsupported('sites for faults')
      if (emit.tileSums ?? emit.replica) return unsupported('register tiles to sum')
      const prepared = 'release' in weights ? weights : prepare(weights)
      const b = tensors.get(prepared)
      if (!b)
        throw new FtError('INVALID_ARGUMENT', `engineOf: these weights were not prepared by kernel ${kernel.name}`)
      const c = await kernel.multiply(a, b)
      const sums = emitted({ a, b, c, rowSums: prepared.rowSums }, emit)
      return { ...sums, output: finished(c, options) }
    },
    conv2d: () => unsupported('convolution'),
    matmulInt8: () => unsupported('integer product'),
    dispose: () => Promise.resolve(),
  }
}

interface Operands {
  readonly a: Tensor
  readonly b: Tensor
  readonly c: Tensor
  readonly rowSums: Float64Array
}

function emitted({ a, b, c, rowSums }: Operands, emit: Emit): Omit<Product, 'output'> {
  const [m = 0, k = 0] = a.shape
  const n = b.shape[1] ?? 0
  const rows = alongRows(c.data, m, n)
  return {
    ...(emit.rowSums && {
      rowSums: { actual: rows, expected: timesVector(a.data, { m, k, vector: rowSums }), ranges: 1, rangeColumns: n },
    }),
    ...(emit.total && { total: Float64Array.of(rows.reduce((sum, value) => sum + value, 0)) }),
    ...(emit.columnSums && {
      columnSums: {
        actual: vectorTimes(new Float64Array(m).fill(1), c.data, n),
        expected: vectorTimes(vectorTimes(new Float64Array(m).fill(1), a.data, k), b.data, n),
      },
    }),
    ...(emit.rowStatistics && { rowStatistics: statistics(a.data, m, k) }),
  }
}

function alongRows(data: ArrayLike<number>, rows: number, columns: number): Float64Array {
  return timesVector(data, { m: rows, k: columns, vector: new Float64Array(columns).fill(1) })
}

function timesVector(data: ArrayLike<number>, o: { m: number; k: number; vector: Float64Array }): Float64Array {
  const { m, k, vector } = o
  const out = new Float64Array(m)
  for (let i = 0; i < m; i++)
    for (let s = 0; s < k; s++) out[i] = (out[i] as number) + (data[i * k + s] as number) * (vector[s] as number)
  return out
}

function vectorTimes(vector: Float64Array, data: ArrayLike<number>, columns: number): Float64Array {
  const out = new Float64Array(columns)
  for (let i = 0; i < vector.length; i++)
    for (let j = 0; j < columns; j++)
      out[j] = (out[j] as number) + (vector[i] as number) * (data[i * columns + j] as number)
  return out
}

function statistics(data: ArrayLike<number>, m: number, k: number) {
  const [min, max] = [new Float64Array(m).fill(Infinity), new Float64Array(m).fill(-Infinity)]
  const squares = new Float64Array(m)
  for (let i = 0; i < m * k; i++) {
    const row = Math.floor(i / k)
    min[row] = Math.min(min[row] as number, data[i] as number)
    max[row] = Math.max(max[row] as number, data[i] as number)
    squares[row] = (squares[row] as number) + (data[i] as number) ** 2
  }
  return { sum: alongRows(data, m, k), min, max, squares }
}

/** Bias and ReLU behind the product, into a tensor of their own. */
function finished(c: Tensor, { bias, activation, out }: MatmulOptions): Tensor {
  if (activation === 'gelu') throw new FtError('UNSUPPORTED', 'engineOf: no GELU behind a kernel of one’s own', {})
  const n = c.shape[1] ?? 0
  const data = (out?.data as Float32Array | undefined) ?? new Float32Array(c.data.length)
  for (let i = 0; i < data.length; i++) {
    const value = (c.data[i] as number) + (bias?.data[i % n] ?? 0)
    data[i] = activation === 'relu' && value < 0 ? 0 : value
  }
  return out ?? { data, shape: c.shape, dtype: 'float32' }
}
