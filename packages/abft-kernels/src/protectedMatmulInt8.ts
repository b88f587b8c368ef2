// Integer products: both sides of a check are equal modulo 2^32, so that thresholds are zero and any difference is a fault.
import { FtError, type MatmulOptions, type Tensor } from '@ft/core'
import { emitFor, judge } from './checks.ts'
import { assertOutputApart } from './outputs.ts'
import { refuseTransposes, type Protected, type ProtectionContext, type ProtectionOptions } from './protectedMatmul.ts'
import { lasting, type RowAccess } from './recompute.ts'
import { assertOnFault, settle } from './settle.ts'
import type { ProtectedWeights } from './weights.ts'

/**
 * Multiplies integers and checks.
 *
 * Shapes: A int8 or uint8 `[m, k]`, weights int8 `[k, n]`; the output is int32, exact modulo 2^32.
 *
 * Guarantees: no false alarm; every fault that changes the sum of its row, column, tile or product is found, of any size.
 */
export async function protectedMatmulInt8(
  { engine }: ProtectionContext,
  operands: { readonly a: Tensor; readonly weights: ProtectedWeights },
  options: Pick<ProtectionOptions, 'scheme' | 'onFault'> & MatmulOptions = {},
): Promise<Protected> {
  const { a, weights } = operands
  const { scheme = 'row', onFault = 'correct', emit, ...rest } = options
  assertOnFault(onFault, 'matmulInt8')
  refuseTransposes(rest, 'matmulInt8')
  assertOutputApart(rest.out, { a, weights: weights.tensor }, 'matmulInt8')
  const [m, k] = a.shape
  if (weights.kind !== 'matmul-int8')
    throw new FtError('INVALID_ARGUMENT', `matmulInt8: these weights were prepared for ${weights.kind}`)
  if (a.shape.length !== 2 || m === undefined || k !== weights.k) {
    throw new FtError('SHAPE_MISMATCH', `matmulInt8: \`a\` must be [m, ${weights.k}], got [${a.shape.join(', ')}]`, {
      expected: weights.k,
      got: a.shape,
    })
  }
  const sums = { ...emitFor(scheme, emit), rowStatistics: emit?.rowStatistics === true }
  const product = await engine.matmulInt8(a, weights.prepared, { ...rest, emit: sums })
  const judgement = judge({
    product,
    scheme,
    items: 1,
    m,
    n: weights.n,
    k,
    norms: weights.norms,
    rounding: 'exact',
    calibration: undefined,
    falseAlarmProbability: 0,
    expectedTotal: scheme === 'global' ? Int32Array.of(expectedTotal(a, weights)) : undefined,
  })
  const settled = settle({
    judgement,
    scheme,
    access: () => {
      const { faults, out: _out, ...plain } = rest
      const again = { ...plain, ...lasting(faults) }
      return integerRows({ engine, a, weights, output: product.output, options: again })
    },
    m,
    n: weights.n,
    onFault,
    where: 'matmulInt8',
  })
  const report = settled instanceof Promise ? await settled : settled
  return { output: product.output, report, ...(product.nextChecksum ? { nextChecksum: product.nextChecksum } : {}) }
}

/** (e^T A) (B e) modulo 2^32. */
function expectedTotal({ data, shape: [m = 0, k = 0] }: Tensor, { prepared }: ProtectedWeights): number {
  const { rowSums } = prepared
  let total = 0
  for (let step = 0; step < k; step++) {
    let column = 0
    for (let row = 0; row < m; row++) column = (column + (data[row * k + step] as number)) | 0
    total = (total + Math.imul(column, rowSums[step] as number)) | 0
  }
  return total
}

interface IntegerRows {
  readonly engine: ProtectionContext['engine']
  readonly a: Tensor
  readonly weights: ProtectedWeights
  readonly output: Tensor
  readonly options: Omit<MatmulOptions, 'out' | 'emit'>
}

function integerRows({ engine, a, weights, output, options }: IntegerRows): RowAccess {
  const { k, n, tensor } = weights
  const out = output.data as Int32Array
  return {
    engine,
    rounding: 'exact',
    k,
    read: (_, row) => out.subarray(row * n, (row + 1) * n),
    write: (_, row, values) => out.set(values, row * n),
    operand: (_, row) => a.data.slice(row * k, (row + 1) * k),
    weight: (_, step, column) => tensor.data[step * n + column] as number,
    async rerun(_, row) {
      const x: Tensor = { ...a, data: a.data.slice(row * k, (row + 1) * k), shape: [1, k] }
      const final = await engine.matmulInt8(x, weights.prepared, options)
      const bare = options.bias === undefined && options.activation === undefined
      const plain = bare ? final : await engine.matmulInt8(x, weights.prepared, lasting(options.faults))
      return { final: final.output.data as Int32Array, plain: plain.output.data as Int32Array }
    },
  }
}
