// The sizes of a matrix product, from its operands.
import {
  assertTensor,
  shapeMismatch,
  type DType,
  type MatmulOptions,
  type PreparedWeights,
  type Tensor,
} from '@ft/core'
import { resolveOptions, type ProductOptions } from './options.ts'

/** `count` products C[m,n] = A[m,k] B[k,n] of the same size. */
export interface Sizes {
  /** Batch items of a matmul, groups of a convolution. */
  readonly count: number
  readonly m: number
  readonly n: number
  readonly k: number
}

export interface MatmulProblem extends Sizes, ProductOptions {
  readonly kind: 'matmul'
  readonly integer: boolean
  readonly a: Tensor
  readonly transposeA: boolean
  /** Elements from one batch item's A, B to the next; 0 when all share one. */
  readonly strideA: number
  readonly strideB: number
  readonly outShape: readonly number[]
  readonly outType: DType
}

/** Weights as far as sizes go: `[count, k, n]`, `count` 0 for a plain matrix. */
export interface WeightSizes {
  readonly count: number
  readonly k: number
  readonly n: number
}

export const int8Operands = ['int8', 'uint8'] as const

/** Checks a weight matrix and gives its sizes, transposed where asked. */
export function matmulWeightSizes(
  weights: Tensor,
  o: { where: string; transposeB?: boolean | undefined },
): WeightSizes {
  const integer = o.where === 'matmulInt8'
  assertTensor(weights, { where: o.where, argument: 'weights', dtype: integer ? 'int8' : 'float32', rank: [2, 3] })
  const [rows, columns] = weights.shape.slice(-2) as [number, number]
  const count = weights.shape.length === 3 ? (weights.shape[0] as number) : 0
  return o.transposeB === true ? { count, k: columns, n: rows } : { count, k: rows, n: columns }
}

/** @throws FtError `SHAPE_MISMATCH` or `INVALID_ARGUMENT` when operands and options do not fit each other */
export function resolveMatmul(
  operands: { where: 'matmul' | 'matmulInt8'; a: Tensor; weights: Tensor | PreparedWeights; sizes: WeightSizes },
  options: MatmulOptions,
): MatmulProblem {
  const { where, a, sizes: weights } = operands
  const integer = where === 'matmulInt8'
  assertTensor(a, { where, argument: 'a', dtype: integer ? int8Operands : 'float32', rank: [2, 3] })
  const transposeA = options.transposeA ?? false
  const [rows, columns] = a.shape.slice(-2) as [number, number]
  const [m, k] = transposeA ? [columns, rows] : [rows, columns]
  if (k !== weights.k)
    throw shapeMismatch(
      { where, argument: 'a' },
      `${weights.k} ${transposeA ? 'rows' : 'columns'}, as \`weights\` say`,
      a.shape,
    )
  const batched = a.shape.length === 3
  const count = batched ? (a.shape[0] as number) : Math.max(1, weights.count)
  if (batched && weights.count !== 0 && weights.count !== count)
    throw shapeMismatch({ where, argument: 'a' }, `a batch of ${weights.count}, as \`weights\` say`, a.shape)
  const { n } = weights
  const outShape = batched || weights.count !== 0 ? [count, m, n] : [m, n]
  const outType = integer ? 'int32' : 'float32'
  return {
    kind: 'matmul',
    integer,
    a,
    transposeA,
    count,
    m,
    n,
    k,
    strideA: batched ? m * k : 0,
    strideB: weights.count === 0 ? 0 : k * n,
    outShape,
    outType,
    ...resolveOptions(options, { where, n, outShape, outType, operands: { a, weights: operands.weights } }),
  }
}
