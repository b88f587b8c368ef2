// A matrix product that checks itself (Kosaian and Rashmi, SC'21, section 4; thresholds and correction are this package's).
import {
  FtError,
  type FaultEffect,
  type MatmulEngine,
  type MatmulOptions,
  type ProtectionScheme,
  type Tensor,
} from '@ft/core'
import type { ColumnRanges, JudgedProduct, Judging } from '@ft/tensor-core'
import { columnChecksum } from './activationChecksum.ts'
import type { Calibration } from './calibrate.ts'
import { emitFor, judge, replicaAlone } from './checks.ts'
import { matmulRows } from './matmulRows.ts'
import { assertOutputApart } from './outputs.ts'
import { randomChecksumsOf, type ChecksumWeights, type RandomChecksums } from './randomWeights/checksums.ts'
import { assertBare, protectRandomly } from './randomWeights/protect.ts'
import { matrixRows } from './randomWeights/rows.ts'
import { lasting } from './recompute.ts'
import type { Report } from './report.ts'
import { roundingOf, storedTensor, storesFloat16 } from './rounding.ts'
import { isScreened, screened, screenFor } from './screen.ts'
import { assertChance, assertOnFault, settle, type OnFault } from './settle.ts'
import type { ProtectedWeights } from './weights.ts'

export interface ProtectionOptions {
  /** Default 'row'. */
  readonly scheme?: ProtectionScheme
  /** 'correct' (default) writes the right bits, 'report' leaves the output, 'throw' raises `FAULT_DETECTED`. */
  readonly onFault?: OnFault
  /** Chance that a clean product raises a first-stage alarm, for statistical thresholds. Default 1e-6. */
  readonly falseAlarmProbability?: number
  /** Column sums of A, from the layer before (`chain`): spares the global check its pass over A. */
  readonly activationChecksum?: Float64Array
  /**
   * What the checksums weigh their terms with; default what the weights were prepared for. 'random' takes weights that were
   * prepared so, the schemes row, column, row-column and global, and no `emit` and GELU; `activationChecksum` is not used then.
   */
  readonly checksumWeights?: ChecksumWeights
  /** Strikes the first threshold of the product: what campaigns do to the check path. */
  readonly thresholdFault?: FaultEffect
}

export interface Protected {
  readonly output: Tensor
  readonly report: Report
  /** Checksum of the output for the next layer, when asked for. */
  readonly nextChecksum?: Tensor
}

export interface ProtectionContext {
  readonly engine: MatmulEngine
  readonly calibration: Calibration | undefined
}

type Writable<T> = { -readonly [Key in keyof T]: T[Key] }

/**
 * Multiplies and checks.
 *
 * Shapes: A `[m, k]` with weights `[k, n]`; a batch A `[batch, m, k]` with one matrix (checked as batch x m rows) or with
 * weights `[batch, k, n]` (each product checked on its own). float32.
 *
 * Differs: an engine that stores float16 multiplies rounded operands, and what is known of them is what was stored; so
 * `activationChecksum`, which adds up numbers before they are stored, is then not used.
 *
 * @throws FtError `SHAPE_MISMATCH`; `INVALID_ARGUMENT` for transposes
 */
export async function protectedMatmul(
  { engine, calibration }: ProtectionContext,
  operands: { readonly a: Tensor; readonly weights: ProtectedWeights },
  options: ProtectionOptions & MatmulOptions = {},
): Promise<Protected> {
  const { weights } = operands
  const { scheme = 'row', onFault = 'correct', falseAlarmProbability = 1e-6, out, bias, activation, emit } = options
  assertOnFault(onFault, 'matmul')
  assertChance(falseAlarmProbability, 'matmul')
  refuseTransposes(options, 'matmul')
  assertOutputApart(out, { a: operands.a, weights: weights.tensor }, 'matmul')
  const sizes = sizesOf(operands.a, weights)
  const { a, items, m, outShape } = sizes
  const { k, n } = weights
  const checksums = randomChecksumsOf(weights, { checksumWeights: options.checksumWeights, scheme }, 'matmul')
  if (checksums)
    return withRandomWeights({ engine, calibration }, { sizes, weights, checksums }, { ...options, scheme, onFault })
  const rounding = roundingOf(engine.build, 'float32')

  // 1. The product, with both sides of the scheme's sums from the same registers.
  const exact = scheme === 'replication' && !emit && weights.prepared.exactReplica === true
  const wish: Writable<MatmulOptions & Judging> = { emit: exact ? replicaAlone : emitFor(scheme, emit) }
  if (bias) wish.bias = bias
  if (activation) wish.activation = activation
  if (out) wish.out = items === 1 && out.shape.length === 3 ? { ...out, shape: [m, n] } : out
  if (options.faults) wish.faults = options.faults
  const calibrated = weights.falseAlarms > 0 ? undefined : calibration
  const screenable = exact || scheme === 'row' || (scheme === 'column' && byColumns(weights, calibrated))
  const screen =
    items === 1 && screenable && isScreened(rounding, options)
      ? screenFor(weights, {
          scheme: exact ? 'replication' : scheme === 'column' ? 'column' : 'row',
          build: engine.build,
          rounding,
          m,
          calibration: calibrated,
          falseAlarmProbability,
        })
      : undefined
  if (screen !== undefined) wish.limits = screen.limits
  const product: JudgedProduct = await engine.matmul(a, weights.prepared, wish)
  if (screen !== undefined && product.passed !== undefined) {
    const output = outShape === undefined ? product.output : { ...product.output, shape: outShape }
    return { output, report: screened(screen, product.passed) }
  }

  // 2. Compare each pair of sums with its threshold.
  const judgement = judge({
    product,
    scheme,
    items,
    m,
    n,
    k,
    norms: weights.norms,
    rounding,
    calibration: calibrated,
    falseAlarmProbability,
    thresholdFault: options.thresholdFault,
    rowSquares:
      rounding.wide && !bias && !activation
        ? (split) => rowSquares(product.output, { rows: items * m, n, split })
        : undefined,
    expectedTotal:
      scheme === 'global'
        ? expectedTotals(storedTensor(engine.build, a), weights, {
            ...{ items, m },
            activationChecksum: storesFloat16(engine.build) ? undefined : options.activationChecksum,
          })
        : undefined,
  })

  // 3. Compute what failed again, decide, correct.
  const settled = settle({
    judgement,
    scheme,
    access: () => {
      const again = { ...(bias && { bias }), ...(activation && { activation }), ...lasting(options.faults) }
      return matmulRows({ engine, rounding, a, weights, m, output: product.output, options: again })
    },
    m,
    n,
    onFault,
    where: 'matmul',
  })
  const report = settled instanceof Promise ? await settled : settled
  for (const { outcome } of report.detections) if (outcome === 'false-alarm') weights.falseAlarms++
  const { nextChecksum } = product
  const output = outShape === undefined ? product.output : { ...product.output, shape: outShape }
  return nextChecksum === undefined ? { output, report } : { output, report, nextChecksum }
}

/** Whether the engine judges columns: of products of few of them, by what its rounding was measured to be. */
function byColumns({ prepared, k }: ProtectedWeights, calibration: Calibration | undefined): boolean {
  return prepared.exactReplica === true && k > 0 && calibration !== undefined && calibration.points.length > 0
}

/** The same product, checked with random weights instead of the sums that the engine makes. */
async function withRandomWeights(
  context: ProtectionContext,
  { sizes, weights, checksums }: { sizes: ProductSizes; weights: ProtectedWeights; checksums: RandomChecksums },
  options: ProtectionOptions & MatmulOptions & Required<Pick<ProtectionOptions, 'scheme' | 'onFault'>>,
): Promise<Protected> {
  const { engine } = context
  const { items, m, outShape } = sizes
  const { k, n, batch, tensor } = weights
  const { faults, bias, activation } = options
  assertBare(options, { engine, channels: n, where: 'matmul' })
  const out = options.out && { ...options.out, ...(outShape && { shape: [items * m, n] }) }
  const [a, b] = [storedTensor(engine.build, sizes.a), storedTensor(engine.build, tensor)]
  const product = await engine.matmul(sizes.a, weights.prepared, {
    emit: { rowStatistics: true },
    ...(out && { out }),
    ...(faults && { faults }),
  })
  const { output } = product
  const done = await protectRandomly({
    ...{ context, where: 'matmul', weights, checksums, items, m, options, product },
    rows: {
      a: (item) => matrixRows(a.data, { count: m, length: k, first: item * m * k, step: k }),
      b: (item) => matrixRows(b.data, { count: k, length: n, first: batch > 0 ? item * k * n : 0, step: n }),
      c: (item) => matrixRows(output.data, { count: m, length: n, first: item * m * n, step: n }),
    },
    access: () => {
      const rounding = roundingOf(engine.build, 'float32')
      return matmulRows({ engine, rounding, a: sizes.a, weights, m, output, options: lasting(faults) })
    },
    finish: { bias, activation, channelOf: (index) => index % n },
  })
  return outShape === undefined ? done : { ...done, output: { ...done.output, shape: outShape } }
}

/** Checks read both operands as they lie; a transposed one would have its sums taken along the wrong axis. */
export function refuseTransposes(
  { transposeA, transposeB }: Pick<MatmulOptions, 'transposeA' | 'transposeB'>,
  where: string,
): void {
  if (transposeA !== true && transposeB !== true) return
  const name = transposeA === true ? 'transposeA' : 'transposeB'
  throw new FtError(
    'INVALID_ARGUMENT',
    `${where}: \`options.${name}\` must not be true; a protected product takes operands as they lie: transpose them before`,
    { [name]: true },
  )
}

interface ProductSizes {
  /** As the engine takes it: a batch with one matrix is one tall product. */
  readonly a: Tensor
  readonly items: number
  readonly m: number
  /** Where the output's shape is not the engine's. */
  readonly outShape: readonly number[] | undefined
}

function sizesOf(a: Tensor, weights: ProtectedWeights): ProductSizes {
  if (weights.kind !== 'matmul')
    throw new FtError('INVALID_ARGUMENT', `matmul: these weights were prepared for ${weights.kind}`)
  const { batch, k, n } = weights
  const [first = 0, m = 0, last] = a.shape
  const fits = batch > 0 ? a.shape.length === 3 && first === batch : a.shape.length === 2 || a.shape.length === 3
  if (!fits || a.shape[a.shape.length - 1] !== k) {
    const wanted = batch > 0 ? `[${batch}, m, ${k}]` : `[m, ${k}]`
    throw new FtError('SHAPE_MISMATCH', `matmul: \`a\` must be ${wanted}, got [${a.shape.join(', ')}]`, {
      expected: k,
      got: a.shape,
    })
  }
  if (batch > 0) return { a, items: batch, m, outShape: undefined }
  if (last === undefined) return { a, items: 1, m: first, outShape: undefined }
  return { a: { ...a, shape: [first * m, k] }, items: 1, m: first * m, outShape: [first, m, n] }
}

/**
 * Sum of squares of each row in each range of columns. A wrong element of size D raises its row's threshold by kappa u D / sqrt(3): far less than D.
 */
function rowSquares(
  { data }: Tensor,
  { rows, n, split }: { rows: number; n: number; split: ColumnRanges },
): Float64Array {
  const { ranges, rangeColumns } = split
  return Float64Array.from({ length: ranges * rows }, (_, at) => {
    const [range, row] = [Math.floor(at / rows), at % rows]
    let sum = 0
    for (let j = range * rangeColumns; j < Math.min(n, (range + 1) * rangeColumns); j++)
      sum += (data[row * n + j] as number) ** 2
    return sum
  })
}

function expectedTotals(
  a: Tensor,
  { k, prepared }: ProtectedWeights,
  { items, m, activationChecksum }: { items: number; m: number; activationChecksum: Float64Array | undefined },
): Float64Array {
  const { rowSums } = prepared
  return Float64Array.from({ length: items }, (_, item) => {
    const own = { ...a, data: a.data.subarray(item * m * k, (item + 1) * m * k), shape: [m, k] }
    const sums = activationChecksum?.subarray(item * k, (item + 1) * k) ?? columnChecksum(own)
    return dot(sums, rowSums.subarray(item * k, (item + 1) * k))
  })
}

export function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += (a[i] as number) * (b[i] as number)
  return sum
}
