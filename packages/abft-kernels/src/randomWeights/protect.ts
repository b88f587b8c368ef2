// A product that checks itself with random checksum weights: any errors of a row or column, cancelling pairs among them, are
// hidden with a chance that is known.
import {
  assertOneOf,
  assertTensor,
  FtError,
  type Activation,
  type Emit,
  type Fault,
  type MatmulEngine,
  type Product,
  type Tensor,
} from '@ft/core'
import { assertOutputApart } from '../outputs.ts'
import type { Protected, ProtectionContext, ProtectionOptions } from '../protectedMatmul.ts'
import type { RowAccess } from '../recompute.ts'
import { roundingOf } from '../rounding.ts'
import { settle } from '../settle.ts'
import type { ProtectedWeights } from '../weights.ts'
import type { RandomChecksums } from './checksums.ts'
import { judgeRandomly, type ProductRows } from './judge.ts'

export interface RandomTask {
  readonly context: ProtectionContext
  readonly where: 'matmul' | 'conv2d'
  readonly weights: ProtectedWeights
  readonly checksums: RandomChecksums
  readonly items: number
  readonly m: number
  readonly options: Pick<ProtectionOptions, 'falseAlarmProbability' | 'thresholdFault'> &
    Required<Pick<ProtectionOptions, 'scheme' | 'onFault'>>
  /** C without bias and activation, with the statistics of A's rows. */
  readonly product: Product
  readonly rows: ProductRows
  access(): RowAccess
  readonly finish: Finish
}

/** What follows the product. */
export interface Finish {
  readonly bias: Tensor | undefined
  readonly activation: Activation | undefined
  /** Which element of the bias an element of the output takes. */
  channelOf(index: number): number
}

/**
 * Checks a bare product: both sides of each check by passes over A and the stored C; what failed is computed again; then come bias
 * and ReLU, as the engine would have added them.
 *
 * Errors of a row, the largest of size E, escape its check with a chance of at most 2 x / E + 2^-24, x being twice the threshold
 * (the threshold, and rounding that may be as large). So do those of a column its check; pairs escape the global one with twice
 * that chance.
 */
export async function protectRandomly(task: RandomTask): Promise<Protected> {
  const { context, where, weights, checksums, items, m, options, product, access, finish } = task
  const { engine, calibration } = context
  const { scheme, onFault, falseAlarmProbability = 1e-6, thresholdFault } = options
  const { output } = product
  const judgement = judgeRandomly({
    ...{ scheme, checksums, items, m, output, falseAlarmProbability, thresholdFault },
    rows: task.rows,
    n: weights.n,
    k: weights.k,
    norms: weights.norms,
    statistics: product.rowStatistics,
    rounding: roundingOf(engine.build, 'float32'),
    calibration: weights.falseAlarms > 0 ? undefined : calibration,
  })
  const report = await settle({ judgement, scheme, access, m, n: weights.n, onFault, where })
  for (const { outcome } of report.detections) if (outcome === 'false-alarm') weights.falseAlarms++
  finished(output, finish)
  return { output, report }
}

/** Bias and ReLU in float32, each rounded as engines round them behind a float32 sum. */
function finished({ data }: Tensor, { bias, activation, channelOf }: Finish): void {
  const values = data as Float32Array
  if (bias) {
    const added = bias.data as Float32Array
    for (let i = 0; i < values.length; i++) values[i] = (values[i] as number) + (added[channelOf(i)] as number)
  }
  if (activation === 'relu') for (let i = 0; i < values.length; i++) if ((values[i] as number) < 0) values[i] = 0
}

/**
 * Refuses what would come between the product and its check.
 *
 * @throws FtError `UNSUPPORTED` for GELU, for bias and activation on the reference engine (which rounds once behind them, and so
 * would give other bits), for sums besides, and for faults in registers that this check does not have
 */
export function assertBare(
  options: { bias?: Tensor; activation?: Activation; out?: Tensor; emit?: Emit; faults?: readonly Fault[] },
  { engine, channels, where }: { engine: MatmulEngine; channels: number; where: string },
): void {
  const { bias, activation, out, emit, faults } = options
  // What the engine would have said: it does not see them.
  if (bias !== undefined) {
    assertTensor(bias, { where, argument: 'options.bias', dtype: 'float32', shape: [channels] })
    assertOutputApart(out, { 'options.bias': bias }, where)
  }
  if (activation !== undefined)
    assertOneOf(activation, { where, argument: 'options.activation', values: ['relu', 'gelu'] })
  const refuse = (what: string, remedy: string) =>
    new FtError('UNSUPPORTED', `${where}: no ${what} with random checksum weights; ${remedy}`, { build: engine.build })
  if (emit !== undefined) throw refuse('`options.emit`', "leave it out, or give { checksumWeights: 'ones' }")
  if (activation === 'gelu') throw refuse('GELU', 'apply it to the output')
  if ((bias ?? activation) !== undefined && engine.build.startsWith('reference'))
    throw refuse('bias and activation on the reference engine', 'add them to the output')
  if (faults?.some(({ site }) => site.kind === 'checksum') === true)
    throw refuse('faults at check registers', 'strike the threshold or another site')
}
