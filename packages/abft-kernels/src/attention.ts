// Attention whose products are checked, and whose softmax is computed twice and summed: softmax(scale Q K^T) V.
import { assertTensor, FtError, type Fault, type Tensor } from '@ft/core'
import type { Kernels } from './kernels.ts'
import type { Protected, ProtectionOptions } from './protectedMatmul.ts'
import { statusOf, type Report } from './report.ts'
import { assertOnFault, faultDetected } from './settle.ts'

export interface AttentionOptions extends Pick<ProtectionOptions, 'scheme' | 'onFault' | 'falseAlarmProbability'> {
  /** Default 1 / sqrt(d). */
  readonly scale?: number
  /** Faults of an instrumented engine in the two products. */
  readonly faults?: { readonly scores?: readonly Fault[]; readonly values?: readonly Fault[] }
  /** Called with the probabilities before they are summed and used. */
  readonly onProbabilities?: (probabilities: Tensor) => void
}

export interface AttentionResult {
  readonly output: Tensor
  /** The gravest part's. */
  readonly status: Report['status']
  readonly scores: Report
  readonly softmax: Report
  readonly values: Report
}

/**
 * Attends and checks.
 *
 * Shapes: Q `[batch, m, d]`, K `[batch, n, d]`, V `[batch, n, e]` (heads count as batch); output `[batch, m, e]`. float32.
 *
 * The products have the checks of `matmul`, with sums of K and V taken anew, since they are no constants. Softmax is computed
 * twice and compared bit for bit, since an error before the division leaves its rows' sums at 1; its rows are then summed,
 * which sees what changed in memory since. Not seen: a score that changes after its product's check and before the softmax
 * reads it, since both softmaxes then read the wrong one, and an output that changes after the last check.
 *
 * @throws FtError `SHAPE_MISMATCH` for operands that do not fit, `FAULT_DETECTED` with `onFault: 'throw'`
 */
export async function protectedAttention(
  kernels: Kernels,
  operands: { readonly q: Tensor; readonly k: Tensor; readonly v: Tensor },
  options: AttentionOptions = {},
): Promise<AttentionResult> {
  const { q, k, v } = operands
  const [batch, m, d, n] = sizesOf(operands)
  const { scale = 1 / Math.sqrt(d), faults = {}, onFault = 'correct', scheme, falseAlarmProbability } = options
  assertOnFault(onFault, 'attention')
  const shared = {
    onFault,
    ...(scheme && { scheme }),
    ...(falseAlarmProbability !== undefined && { falseAlarmProbability }),
  }

  const multiply = async (a: Tensor, b: Tensor, struck: readonly Fault[] | undefined): Promise<Protected> => {
    const weights = await kernels.prepare(b)
    try {
      return await kernels.matmul(a, weights, { ...shared, ...(struck && { faults: struck }) })
    } finally {
      weights.release()
    }
  }
  const scores = await multiply(q, transposed(k), faults.scores)

  const probabilities: Tensor = { data: new Float32Array(batch * m * n), shape: [batch, m, n], dtype: 'float32' }
  const softmax = checkedSoftmax(scores.output, probabilities, { scale, onFault, hook: options.onProbabilities })

  const attended = await multiply(probabilities, v, faults.values)
  const detections = [scores.report, softmax, attended.report].flatMap((report) => report.detections)
  return {
    output: attended.output,
    status: statusOf(detections),
    scores: scores.report,
    softmax,
    values: attended.report,
  }
}

function sizesOf({ q, k, v }: { q: Tensor; k: Tensor; v: Tensor }): [batch: number, m: number, d: number, n: number] {
  const at = (argument: string) => ({ where: 'attention', argument, dtype: 'float32', rank: 3 }) as const
  assertTensor(q, at('q'))
  const [batch = 0, m = 0, d = 0] = q.shape
  assertTensor(k, { ...at('k'), shape: [batch, null, d] })
  const n = k.shape[1] as number
  assertTensor(v, { ...at('v'), shape: [batch, n, null] })
  return [batch, m, d, n]
}

/** The last two axes swapped. */
function transposed({ data, shape: [batch = 0, rows = 0, columns = 0] }: Tensor): Tensor {
  const out = new Float32Array(data.length)
  for (let item = 0; item < batch; item++)
    for (let i = 0; i < rows; i++)
      for (let j = 0; j < columns; j++)
        out[(item * columns + j) * rows + i] = data[(item * rows + i) * columns + j] as number
  return { data: out, shape: [batch, columns, rows], dtype: 'float32' }
}

interface SoftmaxOptions {
  readonly scale: number
  readonly onFault: NonNullable<ProtectionOptions['onFault']>
  readonly hook: ((probabilities: Tensor) => void) | undefined
}

function checkedSoftmax(scores: Tensor, into: Tensor, { scale, onFault, hook }: SoftmaxOptions): Report {
  const n = into.shape[2] as number
  const rows = into.data.length / n
  const data = into.data as Float32Array
  const rowOf = (row: number) => softmaxRow(scores.data as Float32Array, { from: row * n, n, scale })
  for (let row = 0; row < rows; row++) data.set(rowOf(row), row * n)
  hook?.(into)
  const detections: Report['detections'][number][] = []
  // Each probability is rounded once, to within u of itself; together that is u of their sum, which is 1.
  const threshold = 2 ** -24 * (1 + 2 ** -20) + n * 2 ** -150
  for (let row = 0; row < rows; row++) {
    const own = data.subarray(row * n, (row + 1) * n)
    const residual = Math.abs(own.reduce((sum, value) => sum + value, 0) - 1)
    const again = rowOf(row)
    if (residual <= threshold && again.every((value, j) => Object.is(value, own[j]))) continue
    const finite = again.every(Number.isFinite)
    const outcome = !finite ? 'input' : onFault === 'correct' ? 'corrected' : 'reported'
    if (outcome === 'corrected') own.set(again)
    detections.push({ item: 0, region: { kind: 'row', row }, residual, threshold, outcome })
  }
  const report: Report = {
    status: statusOf(detections),
    scheme: 'replication',
    checks: rows,
    threshold: { kind: 'hard', largest: threshold, falseAlarmProbability: 0, smallestDetectable: 2 ** -149 },
    detections,
    recomputed: rows * n,
  }
  if (onFault === 'throw' && report.status !== 'clean') throw faultDetected('attention, softmax', report)
  return report
}

/** In float64, rounded once. */
function softmaxRow(
  scores: Float32Array,
  { from, n, scale }: { from: number; n: number; scale: number },
): Float32Array {
  if (n === 0) throw new FtError('SHAPE_MISMATCH', 'attention: `k` must have at least one row, got none')
  let largest = -Infinity
  for (let j = 0; j < n; j++) largest = Math.max(largest, scale * (scores[from + j] as number))
  const terms = Float64Array.from({ length: n }, (_, j) => Math.exp(scale * (scores[from + j] as number) - largest))
  const sum = terms.reduce((all, term) => all + term, 0)
  return Float32Array.from(terms, (term) => term / sum)
}
