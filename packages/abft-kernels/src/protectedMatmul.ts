// A matrix product that checks itself (Kosaian and Rashmi, SC'21, section 4; thresholds and correction are this package's).
import {
  FtError,
  type FaultEffect,
  type MatmulEngine,
  type MatmulOptions,
  type ProtectionScheme,
  type Tensor,
} from '@ft/core'
import { columnChecksum } from './activationChecksum.ts'
import type { Calibration } from './calibrate.ts'
import { emitFor, judge } from './checks.ts'
import { lasting, rowTensor, type RowAccess } from './recompute.ts'
import type { Report } from './report.ts'
import { roundingOf } from './rounding.ts'
import { settle, type OnFault } from './settle.ts'
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

/**
 * Multiplies and checks.
 *
 * Shapes: A `[m, k]`, weights `[k, n]`; float32.
 */
export async function protectedMatmul(
  { engine, calibration }: ProtectionContext,
  operands: { readonly a: Tensor; readonly weights: ProtectedWeights },
  options: ProtectionOptions & MatmulOptions = {},
): Promise<Protected> {
  const { a, weights } = operands
  const {
    scheme = 'row',
    onFault = 'correct',
    falseAlarmProbability = 1e-6,
    activationChecksum,
    thresholdFault,
    emit,
    ...rest
  } = options
  const [m, k] = sizesOf(a, weights)

  // 1. The product, with both sides of the scheme's sums from the same registers.
  const product = await engine.matmul(a, weights.prepared, { ...rest, emit: { ...emit, ...emitFor(scheme) } })

  // 2. Compare each pair of sums with its threshold.
  const rounding = roundingOf(engine.build, 'float32')
  const judgement = judge({
    product,
    scheme,
    items: 1,
    m,
    n: weights.n,
    k,
    norms: weights.norms,
    rounding,
    calibration: weights.falseAlarms > 0 ? undefined : calibration,
    falseAlarmProbability,
    thresholdFault,
    rowSquares: rounding.wide && !rest.bias && !rest.activation ? rowSquares(product.output, m) : undefined,
    expectedTotal:
      scheme === 'global'
        ? Float64Array.of(dot(activationChecksum ?? columnChecksum(a), weights.prepared.rowSums))
        : undefined,
  })

  // 3. Compute what failed again, decide, correct.
  const { faults, out: _out, ...plain } = rest
  const again = { ...plain, ...lasting(faults) }
  const access = matmulRows({ engine, rounding, a, weights, output: product.output, options: again })
  const report = await settle({ judgement, scheme, access, m, n: weights.n, onFault, where: 'matmul' })
  weights.falseAlarms += report.detections.filter((item) => item.outcome === 'false-alarm').length
  return { output: product.output, report, ...(product.nextChecksum ? { nextChecksum: product.nextChecksum } : {}) }
}

function sizesOf(a: Tensor, weights: ProtectedWeights): [number, number] {
  const [m, k] = a.shape
  if (weights.kind !== 'matmul') throw new FtError('INVALID_ARGUMENT', 'matmul: these weights were prepared for conv2d')
  if (a.shape.length !== 2 || m === undefined || k !== weights.k) {
    throw new FtError('SHAPE_MISMATCH', `matmul: \`a\` must be [m, ${weights.k}], got [${a.shape.join(', ')}]`, {
      expected: weights.k,
      got: a.shape,
    })
  }
  return [m, k]
}

/**
 * Sum of squares of each row. A wrong element of size D raises its row's threshold by kappa u D / sqrt(3): far less than D.
 */
function rowSquares({ data }: Tensor, m: number): Float64Array {
  const n = data.length / m
  return Float64Array.from({ length: m }, (_, row) => {
    let sum = 0
    for (let j = row * n; j < (row + 1) * n; j++) sum += (data[j] as number) ** 2
    return sum
  })
}

export function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += (a[i] as number) * (b[i] as number)
  return sum
}

interface MatmulRows {
  readonly engine: MatmulEngine
  readonly rounding: ReturnType<typeof roundingOf>
  readonly a: Tensor
  readonly weights: ProtectedWeights
  readonly output: Tensor
  readonly options: Omit<MatmulOptions, 'out' | 'emit'>
}

function matmulRows({ engine, rounding, a, weights, output, options }: MatmulRows): RowAccess {
  const { k, n } = weights
  const out = output.data as Float32Array
  const operand = (_: number, row: number) =>
    Float32Array.from((a.data as Float32Array).subarray(row * k, (row + 1) * k))
  return {
    engine,
    rounding,
    k,
    read: (_, row) => out.subarray(row * n, (row + 1) * n),
    write: (_, row, values) => out.set(values, row * n),
    operand,
    weight: (_, step, column) => weights.tensor.data[step * n + column] as number,
    async rerun(item, row) {
      const x = rowTensor(operand(item, row))
      const final = await engine.matmul(x, weights.prepared, options)
      const bare = options.bias === undefined && options.activation === undefined
      const plain = bare ? final : await engine.matmul(x, weights.prepared, lasting(options.faults))
      return { final: Float32Array.from(final.output.data), plain: Float32Array.from(plain.output.data) }
    },
  }
}
