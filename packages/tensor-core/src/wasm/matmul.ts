// Matrix products: bringing A to the kernels.
import type { Fault } from '@ft/core'
import { aFloats, aInt8, aUint8 } from '../../assembly/fields.ts'
import type { JudgedProduct } from '../problem/judging.ts'
import type { MatmulProblem } from '../problem/matmul.ts'
import { multiply } from './multiply.ts'
import { matrixTarget, type Engine, type Operand } from './product.ts'
import { Output } from './output.ts'
import type { Staging } from './staging.ts'
import { transpose2d, type PackedWeights, type Reserve } from './weights.ts'

export interface MatmulRequest {
  readonly problem: MatmulProblem
  readonly weights: PackedWeights
  readonly reserve: Reserve
  readonly faults: readonly Fault[] | undefined
  readonly limits: Float64Array | undefined
}

export function multiplyMatrices(engine: Engine, request: MatmulRequest): JudgedProduct {
  const { weights, reserve, faults, limits } = request
  const problem = flattened(request.problem, weights.count)
  const { m, n, integer } = problem
  const output = new Output(engine.staging, problem)
  const operand = problem.transposeA ? transposedOperand(engine, problem) : rowsOperand(engine.staging, problem)
  const target = matrixTarget(engine.staging, { output, m, n })
  const where = integer ? 'matmulInt8' : 'matmul'
  return multiply(engine, { where, problem, weights, reserve, operand, target, output, faults, limits })
}

/**
 * A batch of A with one B is one product with more rows, unless sums are wanted of each item. No element's bits depend
 * on it.
 */
function flattened(problem: MatmulProblem, weightCount: number): MatmulProblem {
  const { count, m, transposeA, emit } = problem
  if (count === 1 || weightCount > 1 || problem.strideA === 0 || transposeA) return problem
  if (emit.columnSums || emit.total || emit.replica || emit.tileSums || emit.nextChecksum) return problem
  return { ...problem, count: 1, m: count * m }
}

function kindOf(problem: MatmulProblem): number {
  if (!problem.integer) return aFloats
  return problem.a.dtype === 'int8' ? aInt8 : aUint8
}

/** Rows as they lie, copied when they are about to be used. */
function rowsOperand(staging: Staging, problem: MatmulProblem): Operand {
  const { a, k, strideA } = problem
  if (k === 0) return zeroOperand(staging, problem)
  const elementBytes = problem.integer ? 1 : 4
  const stride = k * elementBytes
  const here = staging.addressOf(a.data)
  const kind = kindOf(problem)
  if (here !== undefined) return { kind, stride, rowBytes: 0, rows: (item) => here + item * strideA * elementBytes }
  return {
    kind,
    stride,
    rowBytes: stride,
    rows(item, from, to) {
      const address = staging.reserve('A', (to - from) * stride)
      const start = item * strideA + from * k
      const all = start === 0 && (to - from) * k === a.data.length
      staging.write(address, all ? a.data : a.data.subarray(start, start + (to - from) * k))
      return address - from * stride
    },
  }
}

/** A product with k = 0 is computed with one step of zeros. */
function zeroOperand(staging: Staging, problem: MatmulProblem): Operand {
  return {
    kind: kindOf(problem),
    stride: 0,
    rowBytes: 0,
    rows() {
      const address = staging.reserve('A', 4)
      staging.clear(address, 4)
      return address
    },
  }
}

/** Columns of the stored matrix as rows: transposed as a whole when a product begins. */
function transposedOperand({ kernels, staging }: Engine, problem: MatmulProblem): Operand {
  const { a, m, k, strideA, integer } = problem
  if (k === 0) return zeroOperand(staging, problem)
  const arithmetic = integer ? kernels.integers : kernels.floats
  const stride = k * arithmetic.operandBytes
  const bytes = m * stride
  let staged = -1
  return {
    kind: kindOf(problem),
    stride,
    rowBytes: 0,
    rows(item) {
      const own = strideA === 0 ? 0 : item
      const to = staging.reserve('A transposed', bytes)
      if (staged === own) return to
      const here = staging.addressOf(a.data)
      const from = here === undefined ? staging.reserve('A', bytes) : here + own * bytes
      if (here === undefined) staging.write(from, a.data.subarray(own * m * k, (own + 1) * m * k))
      transpose2d(kernels, { from, to, rows: k, columns: m, arithmetic })
      staged = own
      return to
    },
  }
}
