// Matrix products: bringing A to the kernels.
import type { Fault, Product, Tensor } from '@ft/core'
import { aFloats, aInt8, aUint8 } from '../../assembly/fields.ts'
import type { FaultContext } from '../problem/faults.ts'
import type { MatmulProblem } from '../problem/matmul.ts'
import { multiply, matrixTarget, type Engine, type Operand } from './multiply.ts'
import { addressOf, bytesAt, rawBytes } from './staging.ts'
import { transpose2d, type PackedWeights, type Reserve } from './weights.ts'

export interface MatmulRequest {
  readonly problem: MatmulProblem
  readonly weights: PackedWeights
  readonly reserve: Reserve
  readonly faults: readonly Fault[]
}

export function multiplyMatrices(engine: Engine, request: MatmulRequest): Product {
  const { weights } = request
  const { runtime } = engine.kernels
  const problem = flattened(request.problem, weights.count)
  const { m, n, k, count, integer, a } = problem
  const output = problem.out ?? newOutput(problem)
  const operand = problem.transposeA ? transposedOperand(engine, problem) : rowsOperand(engine, problem)
  const address = addressOf(runtime, output.data)
  const context: FaultContext = {
    where: integer ? 'matmulInt8' : 'matmul',
    integer,
    ownWeights: weights.count > 1,
    operand: integer ? (a.dtype as 'int8' | 'uint8') : 'float32',
    sums: integer ? 'int32' : 'float64',
    count,
    m,
    n,
    k,
  }
  const target = matrixTarget(engine, { output, m, n, address })
  return multiply(engine, { ...request, problem, operand, target, output, context })
}

/**
 * A batch of A with one B is one product with more rows, unless sums are wanted of each item. No element's bits depend
 * on it.
 */
function flattened(problem: MatmulProblem, weightCount: number): MatmulProblem {
  const { count, m, transposeA, emit } = problem
  const perItem = emit.columnSums || emit.total || emit.replica || emit.tileSums || emit.nextChecksum
  if (count === 1 || weightCount > 1 || problem.strideA === 0 || transposeA || perItem) return problem
  return { ...problem, count: 1, m: count * m }
}

function newOutput(problem: MatmulProblem): Tensor {
  const size = problem.outShape.reduce((x, y) => x * y, 1)
  const data = problem.integer ? new Int32Array(size) : new Float32Array(size)
  return { data, shape: problem.outShape, dtype: problem.outType }
}

function kindOf(problem: MatmulProblem): number {
  if (!problem.integer) return aFloats
  return problem.a.dtype === 'int8' ? aInt8 : aUint8
}

/** Rows as they lie, copied when they are about to be used. A product with k = 0 reads zeros. */
function rowsOperand({ kernels, staging }: Engine, problem: MatmulProblem): Operand {
  const { a, k, strideA } = problem
  const elementBytes = problem.integer ? 1 : 4
  const stride = k * elementBytes
  const here = addressOf(kernels.runtime, a.data)
  const kind = kindOf(problem)
  if (k === 0) return { kind, stride: 0, rowBytes: 0, rows: () => zeros({ kernels, staging }, 4) }
  if (here !== undefined)
    return { kind, stride, rowBytes: 0, rows: (item) => here + item * strideA * elementBytes }
  const source = rawBytes(a.data)
  return {
    kind,
    stride,
    rowBytes: stride,
    rows(item, from, to) {
      const address = staging.reserve('A', (to - from) * stride)
      const start = item * strideA * elementBytes + from * stride
      bytesAt(kernels.runtime, address, (to - from) * stride).set(source.subarray(start, start + (to - from) * stride))
      return address - from * stride
    },
  }
}

function zeros({ kernels, staging }: Pick<Engine, 'kernels' | 'staging'>, bytes: number): number {
  const address = staging.reserve('A', bytes)
  bytesAt(kernels.runtime, address, bytes).fill(0)
  return address
}

/** Columns of the stored matrix as rows: transposed as a whole when a product begins. */
function transposedOperand(engine: Engine, problem: MatmulProblem): Operand {
  const { kernels, staging } = engine
  const { a, m, k, strideA, integer } = problem
  const arithmetic = integer ? kernels.integers : kernels.floats
  const stride = k * arithmetic.operandBytes
  const bytes = m * stride
  if (k === 0) return { kind: kindOf(problem), stride: 0, rowBytes: 0, rows: () => zeros(engine, 4) }
  let staged = -1
  return {
    kind: kindOf(problem),
    stride,
    rowBytes: 0,
    rows(item) {
      const own = strideA === 0 ? 0 : item
      const to = staging.reserve('A transposed', bytes)
      if (staged === own) return to
      const from = addressOf(kernels.runtime, a.data) ?? staging.reserve('A', bytes)
      if (addressOf(kernels.runtime, a.data) === undefined)
        bytesAt(kernels.runtime, from, bytes).set(rawBytes(a.data).subarray(own * bytes, (own + 1) * bytes))
      const offset = addressOf(kernels.runtime, a.data) === undefined ? 0 : own * bytes
      transpose2d(kernels, { from: from + offset, to, rows: k, columns: m, arithmetic })
      staged = own
      return to
    },
  }
}
