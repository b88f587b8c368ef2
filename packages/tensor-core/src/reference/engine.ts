// The reference engine: plain TypeScript, float64 accumulation, every operation counted. The oracle for the others.
import {
  FtError,
  assertInteger,
  assertOneOf,
  assertOptionNames,
  invalidArgument,
  type Conv2dOptions,
  type Fault,
  type HWIO,
  type MatmulOptions,
  type PrepareOptions,
  type PreparedWeights,
  type Product,
  type SyncMatmulEngine,
  type Tensor,
} from '@ft/core'
import { assertFilter, resolveConv2d } from '../problem/conv2d.ts'
import { assertFaults, type FaultContext } from '../problem/faults.ts'
import { matmulWeightSizes, resolveMatmul } from '../problem/matmul.ts'
import { asyncFace, type SyncFace } from '../problem/async.ts'
import { assertSwitch } from '../problem/engine-options.ts'
import { optionsOf } from '../problem/options.ts'
import { createWeightsRegistry } from '../problem/weights.ts'
import { zeroCounts, type Counts } from './counts.ts'
import { filterWeights, matmulWeights, type Problem, type WeightMatrices } from './matrices.ts'
import { multiply } from './multiply.ts'
import { rowSumsOf } from './sums.ts'

export interface ReferenceOptions {
  /** Accept fault lists. */
  readonly instrumented?: boolean
  /** Rows and columns of the tiles that `tileSums` and `replica` speak of; default [4, 8]. */
  readonly tile?: readonly [number, number]
}

export interface ReferenceEngine extends SyncMatmulEngine {
  readonly name: 'reference'
  /** What the products since the last reset cost, the product itself and each kind of emitted sums apart. */
  readonly counts: Counts
  resetCounts(): void
}

interface Prepared {
  readonly matrices: WeightMatrices
  /** Of a convolution's weights. */
  readonly filter: HWIO | undefined
}

const build = 'reference/float64'
const optionNames: Readonly<Record<keyof ReferenceOptions, true>> = { instrumented: true, tile: true }

/**
 * Creates the reference engine.
 *
 * Guarantees: elements are accumulated in float64 in the order of k and rounded once to float32; sums are float64.
 * Cost: one multiply-add every few nanoseconds; for tests and small products.
 *
 * @example
 * ```ts
 * const engine = createReferenceEngine()
 * const identity = { data: Float32Array.of(1, 0, 0, 1), shape: [2, 2], dtype: 'float32' } as const
 * const { output } = engine.matmulSync({ data: Float32Array.of(1, 2, 3, 4), shape: [2, 2], dtype: 'float32' }, identity)
 * Array.from(output.data) // => [1, 2, 3, 4]
 * engine.counts.product.multiplyAdds // => 8
 * ```
 */
export function createReferenceEngine(options: ReferenceOptions = {}): ReferenceEngine {
  assertOptionNames(options, optionNames, 'createReferenceEngine')
  assertSwitch(options.instrumented, 'instrumented', 'createReferenceEngine')
  const { instrumented = false, tile = [4, 8] } = options
  if (!Array.isArray(tile))
    throw invalidArgument({ where: 'createReferenceEngine', argument: 'options.tile' }, 'a pair', tile)
  const [rows, columns] = tile as readonly [number, number]
  for (const size of [rows, columns])
    assertInteger(size, { where: 'createReferenceEngine', argument: 'options.tile', min: 1 })
  const registry = createWeightsRegistry<Prepared>(build)
  let counts = zeroCounts()

  function prepareSync(weights: Tensor, options?: PrepareOptions): PreparedWeights {
    const o: PrepareOptions = optionsOf(options, 'prepare')
    const { kind = 'matmul', groups = 1 } = o
    registry.assertOpen('prepare')
    assertOneOf(kind, { where: 'prepare', argument: 'options.kind', values: ['matmul', 'conv2d', 'matmul-int8'] })
    const where = kind === 'matmul-int8' ? 'matmulInt8' : 'matmul'
    let prepared: Prepared
    if (kind === 'conv2d') {
      const filter = assertFilter(weights, groups, 'prepare')
      prepared = { matrices: filterWeights(weights, groups), filter }
    } else {
      matmulWeightSizes(weights, { where, transposeB: o.transposeB })
      prepared = { matrices: matmulWeights(weights, o.transposeB ?? false), filter: undefined }
    }
    const { count, k, n, values } = prepared.matrices
    const rowSums = rowSumsOf(values, count * k, n)
    return registry.add(prepared, {
      kind,
      k,
      n,
      groups: kind === 'conv2d' ? groups : 1,
      bytes: values.byteLength,
      rowSums: () => rowSums,
      batched: kind !== 'conv2d' && weights.shape.length === 3,
      transposed: o.transposeB === true,
    })
  }

  function run(
    problem: Problem,
    weights: WeightMatrices,
    o: { where: string; faults: readonly Fault[] | undefined },
  ): Product {
    const { where, faults = [] } = o
    const { count, m, n, k, integer } = problem
    if (faults.length > 0 && !instrumented)
      throw new FtError(
        'UNSUPPORTED',
        `${where}: \`options.faults\` need an engine created with { instrumented: true }`,
      )
    const operand = problem.kind === 'matmul' && integer ? (problem.a.dtype as 'int8' | 'uint8') : 'float32'
    const sums = integer ? 'int32' : 'float64'
    const context: FaultContext = { where, integer, count, m, n, k, ownWeights: weights.count > 1, operand, sums }
    assertFaults(faults, context)
    return multiply(problem, { weights, faults, context, tile: { rows, columns }, counts })
  }

  function product(
    where: 'matmul' | 'matmulInt8',
    operands: { a: Tensor; weights: Tensor | PreparedWeights },
    o: MatmulOptions,
  ): Product {
    const { a, weights } = operands
    const known = registry.find(weights, { where, kind: where === 'matmul' ? 'matmul' : 'matmul-int8', options: o })
    const sizes =
      known === undefined
        ? matmulWeightSizes(weights as Tensor, { where, transposeB: o.transposeB })
        : { count: known.facts.batched ? known.value.matrices.count : 0, ...known.facts }
    const problem = resolveMatmul({ where, a, weights, sizes }, o)
    const matrices = known?.value.matrices ?? matmulWeights(weights as Tensor, o.transposeB ?? false)
    return run(problem, matrices, { where, faults: o.faults })
  }

  function conv2dSync(x: Tensor, filter: Tensor | PreparedWeights, options?: Conv2dOptions): Product {
    const o: Conv2dOptions = optionsOf(options, 'conv2d')
    const known = registry.find(filter, { where: 'conv2d', kind: 'conv2d', options: o })
    const groups = known?.facts.groups ?? o.groups ?? 1
    const shape = known?.value.filter ?? assertFilter(filter as Tensor, groups, 'conv2d')
    const problem = resolveConv2d({ x, filter, shape, groups }, o)
    const matrices = known?.value.matrices ?? filterWeights(filter as Tensor, groups)
    return run(problem, matrices, { where: 'conv2d', faults: o.faults })
  }

  const sync: SyncFace = {
    prepareSync,
    matmulSync: (a, weights, o) => product('matmul', { a, weights }, optionsOf(o, 'matmul')),
    matmulInt8Sync: (a, weights, o) => product('matmulInt8', { a, weights }, optionsOf(o, 'matmulInt8')),
    conv2dSync,
  }
  return {
    name: 'reference',
    build,
    get counts() {
      return counts
    },
    resetCounts() {
      counts = zeroCounts()
    },
    ...sync,
    ...asyncFace(sync),
    async dispose() {
      registry.close()
    },
  }
}
