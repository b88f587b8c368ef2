// The gpu.js engine: products as gpu.js kernels, for programs that have it already and want their products checked.
import {
  FtError,
  assertInteger,
  assertOneOf,
  assertOptionNames,
  type Conv2dOptions,
  type HWIO,
  type MatmulEngine,
  type MatmulOptions,
  type PrepareOptions,
  type PreparedWeights,
  type Product,
  type Tensor,
} from '@ft/core'
import { assertFilter, resolveConv2d } from '../problem/conv2d.ts'
import { matmulWeightSizes, resolveMatmul } from '../problem/matmul.ts'
import { optionsOf } from '../problem/options.ts'
import { createWeightsRegistry } from '../problem/weights.ts'
import { filterWeights, matmulWeights, type Problem, type WeightMatrices } from '../reference/matrices.ts'
import { rowSumsOf } from '../reference/sums.ts'
import { exposeWebgpu } from '../webgpuGlobals.ts'
import { createKernels } from './kernels.ts'
import { multiply } from './multiply.ts'
import { loadGpujs, type GpujsMode } from './peer.ts'

export interface GpujsEngineOptions {
  /** gpu.js' way to run kernels; default 'webasm'. 'webgpu' needs an adapter (in Node, npm `webgpu`). */
  readonly mode?: GpujsMode
}

export interface GpujsEngine extends MatmulEngine {
  readonly name: 'gpujs'
  readonly mode: GpujsMode
}

const modes = ['webasm', 'cpu', 'webgpu'] as const

interface Prepared {
  readonly matrices: WeightMatrices
  readonly filter: HWIO | undefined
}

/**
 * Creates an engine on gpu.js (optional peer, 2.24).
 *
 * Guarantees: elements add up in the order of k, in float32 in modes 'webasm' and 'webgpu', in float64 rounded once in
 * mode 'cpu'; the same bits with and without `emit`; int8 products exact modulo 2^32.
 * Emits `rowSums`, one-sided `tileSums` and `replica` of tiles of one row and three columns, and `rowStatistics`;
 * anything else is `UNSUPPORTED`. Row statistics, bias, activation and the layout of convolutions are the host's work.
 * Operands are copied before the call returns: they may be changed while the product runs. `dispose` waits for products
 * under way.
 * Cost: about 1 GFLOP/s; use the wasm engine for speed.
 *
 * @example
 * ```ts no-run
 * const engine = await createGpujsEngine({ mode: 'webasm' })
 * const { output, tileSums } = await engine.matmul(a, b, { emit: { tileSums: 'one-sided' } })
 * ```
 * @throws FtError `ENGINE_UNAVAILABLE` when gpu.js is not installed, or has no adapter for 'webgpu'
 */
export async function createGpujsEngine(options: GpujsEngineOptions = {}): Promise<GpujsEngine> {
  assertOptionNames(options, { mode: true }, 'createGpujsEngine')
  const { mode = 'webasm' } = options
  assertOneOf(mode, { where: 'createGpujsEngine', argument: 'options.mode', values: modes })
  const Gpu = await loadGpujs()
  if (mode === 'webgpu') await exposeWebgpu()
  const kernels = createKernels(new Gpu({ mode }))
  const build = `gpujs/${mode}`
  const registry = createWeightsRegistry<Prepared>(build)
  const underWay = new Set<Promise<Product>>()
  let closing: Promise<void> | undefined

  async function run(problem: Problem, matrices: WeightMatrices, where: string, faults: MatmulOptions['faults']) {
    assertSupported(problem, where, faults)
    const running = multiply(kernels, problem, matrices)
    underWay.add(running)
    try {
      return await running
    } finally {
      underWay.delete(running)
    }
  }

  async function product(
    where: 'matmul' | 'matmulInt8',
    { a, weights }: { a: Tensor; weights: Tensor | PreparedWeights },
    o: MatmulOptions,
  ): Promise<Product> {
    const known = registry.find(weights, { where, kind: where === 'matmul' ? 'matmul' : 'matmul-int8', options: o })
    const sizes =
      known === undefined
        ? matmulWeightSizes(weights as Tensor, { where, transposeB: o.transposeB })
        : { ...known.facts, count: known.facts.batched ? known.value.matrices.count : 0 }
    const problem = resolveMatmul({ where, a, weights, sizes }, o)
    const matrices = known?.value.matrices ?? matmulWeights(weights as Tensor, o.transposeB ?? false)
    return run(problem, matrices, where, o.faults)
  }

  /** Products under way have kernels still to run. */
  async function close(): Promise<void> {
    registry.close()
    await Promise.allSettled(underWay)
    await kernels.destroy()
  }

  return {
    name: 'gpujs',
    mode,
    build,
    async prepare(weights: Tensor, options?: PrepareOptions) {
      const o: PrepareOptions = optionsOf(options, 'prepare')
      const { kind = 'matmul', groups = 1 } = o
      registry.assertOpen('prepare')
      assertOneOf(kind, { where: 'prepare', argument: 'options.kind', values: ['matmul', 'conv2d', 'matmul-int8'] })
      assertInteger(groups, { where: 'prepare', argument: 'options.groups', min: 1 })
      const filter = kind === 'conv2d' ? assertFilter(weights, groups, 'prepare') : undefined
      if (filter === undefined)
        matmulWeightSizes(weights, {
          where: kind === 'matmul-int8' ? 'matmulInt8' : 'matmul',
          transposeB: o.transposeB,
        })
      const matrices =
        filter === undefined ? matmulWeights(weights, o.transposeB ?? false) : filterWeights(weights, groups)
      const { count, k, n, values } = matrices
      const rowSums = rowSumsOf(values, count * k, n)
      return registry.add(
        { matrices, filter },
        {
          kind,
          k,
          n,
          groups: filter === undefined ? 1 : groups,
          bytes: values.byteLength,
          rowSums: () => rowSums,
          batched: filter === undefined && weights.shape.length === 3,
          transposed: o.transposeB === true,
        },
      )
    },
    matmul: async (a, weights, o) => product('matmul', { a, weights }, optionsOf(o, 'matmul')),
    matmulInt8: async (a, weights, o) => product('matmulInt8', { a, weights }, optionsOf(o, 'matmulInt8')),
    async conv2d(x, filter, options) {
      const o: Conv2dOptions = optionsOf(options, 'conv2d')
      const known = registry.find(filter, { where: 'conv2d', kind: 'conv2d', options: o })
      const groups = known?.facts.groups ?? o.groups ?? 1
      const shape = known?.value.filter ?? assertFilter(filter as Tensor, groups, 'conv2d')
      const problem = resolveConv2d({ x, filter, shape, groups }, o)
      return run(problem, known?.value.matrices ?? filterWeights(filter as Tensor, groups), 'conv2d', o.faults)
    },
    dispose: () => (closing ??= close()),
  }
}

/** @throws FtError `UNSUPPORTED` for sums that a kernel of one value, or four, a thread cannot give */
function assertSupported({ emit, integer }: Problem, where: string, faults: MatmulOptions['faults']): void {
  const refuse = (what: string, instead: string): never => {
    throw new FtError('UNSUPPORTED', `${where}: the gpujs engine has no ${what}; ${instead}`, { engine: 'gpujs' })
  }
  if (faults !== undefined && faults.length > 0) refuse('instrumented build', "inject faults on 'wasm' or 'reference'")
  for (const kind of ['columnSums', 'total', 'nextChecksum'] as const)
    if (emit[kind] !== undefined && emit[kind] !== false) refuse(`\`emit.${kind}\``, "use 'wasm' or 'reference'")
  if (emit.tileSums === 'two-sided') refuse('two-sided tile sums: its tile has one row', "ask for 'one-sided'")
  if (integer && (emit.rowSums === true || emit.tileSums !== undefined || emit.replica === true))
    refuse('sums of integer products: float32 kernels hold them only below 2^24', "use 'wasm'")
}
