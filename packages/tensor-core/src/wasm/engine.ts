// The WebAssembly engine: cache-blocked, packed, register-tiled products with the sums that checksum schemes need.
import {
  FtError,
  assertOneOf,
  assertOptionNames,
  invalidArgument,
  type Conv2dOptions,
  type HWIO,
  type MatmulOptions,
  type PrepareOptions,
  type PreparedWeights,
  type SyncMatmulEngine,
  type Tensor,
  type WasmRuntime,
} from '@ft/core'
import { blockSteps, scratchBytes } from '../../assembly/fields.ts'
import { asyncFace, type SyncFace } from '../problem/async.ts'
import { assertFilter, resolveConv2d } from '../problem/conv2d.ts'
import { matmulWeightSizes, resolveMatmul } from '../problem/matmul.ts'
import { assertSwitch } from '../problem/engine-options.ts'
import { optionsOf } from '../problem/options.ts'
import type { JudgedProduct, Judging } from '../problem/judging.ts'
import { createWeightsRegistry } from '../problem/weights.ts'
import { createWasmRuntime, type OwnedWasmRuntime, type WasmRuntimeOptions } from '../runtime/runtime.ts'
import { convolve } from './conv2d.ts'
import { loadEngine, type Arithmetic } from './kernels.ts'
import { multiplyMatrices } from './matmul.ts'
import type { Engine } from './product.ts'
import { Staging } from './staging.ts'
import {
  hasExactReplica,
  packWeights,
  rowSumsOf,
  stageMatrices,
  type PackedWeights,
  type Reserve,
  type RowMajor,
} from './weights.ts'

export interface WasmEngineOptions extends WasmRuntimeOptions {
  /** A runtime to share; the engine then leaves its threads and memory alone when disposed. */
  readonly runtime?: WasmRuntime
  /** Strict SIMD only: the same bits on every processor. Default false. */
  readonly reproducible?: boolean
  /** Load the kernels that accept fault lists; products without faults have the same bits. Default false. */
  readonly instrumented?: boolean
}

export interface WasmEngine extends SyncMatmulEngine {
  readonly name: 'wasm'
  readonly runtime: WasmRuntime
  matmul(a: Tensor, weights: Tensor | PreparedWeights, options?: MatmulOptions & Judging): Promise<JudgedProduct>
  conv2d(x: Tensor, filter: Tensor | PreparedWeights, options?: Conv2dOptions & Judging): Promise<JudgedProduct>
  matmulSync(a: Tensor, weights: Tensor | PreparedWeights, options?: MatmulOptions & Judging): JudgedProduct
  conv2dSync(x: Tensor, filter: Tensor | PreparedWeights, options?: Conv2dOptions & Judging): JudgedProduct
  /** Resolves when all threads of the engine's own runtime are there. */
  ready(): Promise<void>
}

/** Weights as the engine keeps them. */
interface Kept {
  /** Blocks of wasm memory to free. */
  readonly blocks: number[]
  packed: PackedWeights | undefined
  readonly filter: HWIO | undefined
  readonly groups: number
  /** Address of the filter as given, [taps, channels], when it is depthwise. */
  readonly depthwise: number | undefined
}

/**
 * Creates the WebAssembly engine.
 *
 * Guarantees: an element of a product has bits that depend on its row of A, its column of B and the engine's `build`
 * only: not on the number of threads, the other rows and columns, what is emitted, or whether weights were prepared.
 * float32 products are summed in blocks of 256 along k, each in the order of k, blocks in their order.
 * Check sums of float products: predicted row sums are products with row sums of B rounded to float32, added up in float32 along
 * chains of 16, then in float64 (`tileSums` and `replica` predict in float32 within a block of k, from folds rounded to
 * float32); sums over C are float32 within a strip of 128 columns, as if each element had rounded nine times more, and float64 from
 * there; of tiles, within a row of the tile, as if twice more. Column sums are float64 throughout.
 * Float products of up to 4 columns have an exact replica. Depthwise convolutions that emit `replica` alone have tiles of one
 * output line and channel, and an exact replica.
 * Tensors whose data lie in `engine.runtime.memory` are read and written in place.
 *
 * @throws `ENGINE_UNAVAILABLE` where the options ask for what this machine has not
 * @example
 * ```ts
 * const engine = createWasmEngine({ threads: 1 })
 * const a = { data: Float32Array.of(1, 2, 3, 4), shape: [2, 2], dtype: 'float32' } as const
 * const { output, rowSums } = engine.matmulSync(a, a, { emit: { rowSums: true } })
 * Array.from(output.data) // => [7, 10, 15, 22]
 * Array.from(rowSums?.actual ?? []) // => [17, 37]
 * await engine.dispose()
 * ```
 */
export function createWasmEngine(options: WasmEngineOptions = {}): WasmEngine {
  assertOptions(options)
  const { reproducible = false, instrumented = false } = options
  if (reproducible && (options.relaxed === true || options.runtime?.relaxed === true))
    throw new FtError('INVALID_ARGUMENT', 'createWasmEngine: `reproducible` needs strict SIMD; leave `relaxed` out', {})
  const { runtime, owned } = runtimeOf(options)
  const kernels = loadEngine(runtime, instrumented)
  const staging = new Staging(runtime)
  const engine: Engine = { kernels, staging, scratch: runtime.alloc(runtime.threads * scratchBytes) }
  const registry = createWeightsRegistry<Kept>(kernels.build, (kept) => {
    for (const block of kept.blocks) runtime.free(block)
  })
  let disposed = false

  /** Memory that lives as long as the weights. */
  const keeping =
    (blocks: number[]): Reserve =>
    (_name, bytes) => {
      const address = runtime.alloc(bytes + 64)
      blocks.push(address)
      return address
    }
  /** The engine's memory for one product. */
  const passing: Reserve = (name, bytes) => staging.reserve(name, bytes)

  function packMatrices(
    weights: Tensor,
    o: { where: 'matmul' | 'matmulInt8'; transposeB: boolean; reserve: Reserve },
  ): PackedWeights {
    const arithmetic = o.where === 'matmul' ? kernels.floats : kernels.integers
    const { count, k, n } = matmulWeightSizes(weights, o)
    const own = weights.shape.length === 3 ? count : 1
    const rows = stageMatrices(kernels, staging, {
      data: weights.data,
      count: own,
      k,
      n,
      transpose: o.transposeB,
      arithmetic,
    })
    return packWeights(kernels, staging, { arithmetic, count: own, k, n, rows, reserve: o.reserve })
  }

  function packFilter(o: { address: number; filter: HWIO; groups: number; reserve: Reserve }): PackedWeights {
    const [kh, kw, i, channels] = o.filter
    const n = channels / o.groups
    const rows = (group: number): RowMajor => ({ address: o.address + group * n * 4, stride: channels * 4 })
    const arithmetic: Arithmetic = kernels.floats
    return packWeights(kernels, staging, { arithmetic, count: o.groups, k: kh * kw * i, n, rows, reserve: o.reserve })
  }

  /** A filter in wasm memory as it is given: row-major [taps * channels, out]. */
  function stageFilter(filter: Tensor, reserve: Reserve): number {
    const here = staging.addressOf(filter.data)
    if (here !== undefined) return here
    const address = reserve('weights', filter.data.byteLength)
    staging.write(address, filter.data)
    return address
  }

  function prepareSync(weights: Tensor, options?: PrepareOptions): PreparedWeights {
    const o: PrepareOptions = optionsOf(options, 'prepare')
    registry.assertOpen('prepare')
    const { kind = 'matmul', groups = 1, transposeB = false } = o
    assertOneOf(kind, { where: 'prepare', argument: 'options.kind', values: ['matmul', 'conv2d', 'matmul-int8'] })
    const blocks: number[] = []
    try {
      const kept =
        kind === 'conv2d' ? keepFilter(weights, groups, blocks) : keepMatrices(weights, { kind, transposeB, blocks })
      return remember(kept, { kind, weights, transposed: transposeB })
    } catch (error) {
      for (const block of blocks) runtime.free(block)
      throw error
    }
  }

  function keepMatrices(
    weights: Tensor,
    o: { kind: 'matmul' | 'matmul-int8'; transposeB: boolean; blocks: number[] },
  ): Kept {
    const where = o.kind === 'matmul' ? 'matmul' : 'matmulInt8'
    const packed = packMatrices(weights, { where, transposeB: o.transposeB, reserve: keeping(o.blocks) })
    return { blocks: o.blocks, packed, filter: undefined, groups: 1, depthwise: undefined }
  }

  function keepFilter(weights: Tensor, groups: number, blocks: number[]): Kept {
    const filter = assertFilter(weights, groups, 'prepare')
    const reserve = keeping(blocks)
    if (!isDepthwise(filter, groups)) {
      const address = stageFilter(weights, passing)
      return { blocks, packed: packFilter({ address, filter, groups, reserve }), filter, groups, depthwise: undefined }
    }
    // Kept as it is: the packed form, sixteen times as large, is made when a product needs it.
    const address = reserve('weights', weights.data.byteLength)
    staging.write(address, weights.data)
    return { blocks, packed: undefined, filter, groups, depthwise: address }
  }

  function remember(
    kept: Kept,
    o: { kind: PreparedWeights['kind']; weights: Tensor; transposed: boolean },
  ): PreparedWeights {
    const { kind, weights, transposed } = o
    const packed = kept.packed
    const facts =
      packed === undefined
        ? depthwiseFacts(staging, { filter: kept.filter as HWIO, address: kept.depthwise as number })
        : {
            k: packed.k,
            n: packed.n,
            rowSums: () => rowSumsOf(staging, packed),
            ...(hasExactReplica(packed) && { exactReplica: true }),
          }
    const bytes =
      packed === undefined
        ? weights.data.byteLength
        : packed.count * (packed.itemBytes + packed.split.ranges * packed.checksumBytes)
    const batched = kind !== 'conv2d' && weights.shape.length === 3
    return registry.add(kept, { kind, groups: kept.groups, bytes, batched, transposed, ...facts })
  }

  function product(
    where: 'matmul' | 'matmulInt8',
    operands: { a: Tensor; weights: Tensor | PreparedWeights },
    o: MatmulOptions & Judging,
  ): JudgedProduct {
    const { a, weights } = operands
    const known = registry.find(weights, { where, kind: where === 'matmul' ? 'matmul' : 'matmul-int8', options: o })
    const kept = known?.value.packed
    const sizes =
      kept === undefined
        ? matmulWeightSizes(weights as Tensor, { where, transposeB: o.transposeB })
        : { count: known?.facts.batched === true ? kept.count : 0, k: kept.k, n: kept.n }
    const problem = resolveMatmul({ where, a, weights, sizes }, o)
    const packed =
      kept ?? packMatrices(weights as Tensor, { where, transposeB: o.transposeB ?? false, reserve: passing })
    const reserve = known === undefined ? passing : keeping(known.value.blocks)
    return multiplyMatrices(engine, { problem, weights: packed, reserve, faults: o.faults, limits: o.limits })
  }

  function conv2dSync(x: Tensor, filter: Tensor | PreparedWeights, options?: Conv2dOptions): JudgedProduct {
    const o: Conv2dOptions & Judging = optionsOf(options, 'conv2d')
    const known = registry.find(filter, { where: 'conv2d', kind: 'conv2d', options: o })
    const groups = known?.facts.groups ?? o.groups ?? 1
    const shape = known?.value.filter ?? assertFilter(filter as Tensor, groups, 'conv2d')
    const problem = resolveConv2d({ x, filter, shape, groups }, o)
    const reserve = known === undefined ? passing : keeping(known.value.blocks)
    const depthwise = known === undefined ? isDepthwise(shape, groups) : known.value.depthwise !== undefined
    const address = known === undefined ? stageFilter(filter as Tensor, passing) : (known.value.depthwise ?? 0)
    const weights = (): PackedWeights => {
      if (known?.value.packed !== undefined) return known.value.packed
      const packed = packFilter({ address, filter: shape, groups, reserve })
      if (known !== undefined) known.value.packed = packed
      return packed
    }
    return convolve(engine, {
      problem,
      weights,
      depthwise: depthwise ? address : undefined,
      reserve,
      faults: o.faults,
      limits: o.limits,
    })
  }

  const sync: SyncFace = {
    prepareSync,
    matmulSync: (a, weights, o) => product('matmul', { a, weights }, optionsOf(o, 'matmul')),
    matmulInt8Sync: (a, weights, o) => product('matmulInt8', { a, weights }, optionsOf(o, 'matmulInt8')),
    conv2dSync,
  }
  return {
    name: 'wasm',
    build: kernels.build,
    runtime,
    async ready() {
      await owned?.ready()
    },
    ...sync,
    ...asyncFace(sync),
    async dispose() {
      if (disposed) return
      disposed = true
      registry.close()
      staging.releaseAll()
      runtime.free(engine.scratch)
      await owned?.dispose()
    },
  }
}

const optionNames: Readonly<Record<keyof WasmEngineOptions, true>> = {
  threads: true,
  relaxed: true,
  maximumBytes: true,
  runtime: true,
  reproducible: true,
  instrumented: true,
}

function assertOptions(options: WasmEngineOptions): void {
  const where = 'createWasmEngine'
  assertOptionNames(options, optionNames, where)
  assertSwitch(options.reproducible, 'reproducible', where)
  assertSwitch(options.instrumented, 'instrumented', where)
  const { runtime } = options
  if (runtime !== undefined && typeof (runtime as Partial<WasmRuntime> | null)?.fork !== 'function')
    throw invalidArgument({ where, argument: 'options.runtime' }, 'what createWasmRuntime made', runtime)
}

/** The runtime to work on, and whether it is the engine's own. */
function runtimeOf(options: WasmEngineOptions): { runtime: WasmRuntime; owned: OwnedWasmRuntime | undefined } {
  if (options.runtime !== undefined) return { runtime: options.runtime, owned: undefined }
  const { threads, maximumBytes, relaxed = 'auto' } = options
  const owned = createWasmRuntime({
    relaxed: options.reproducible === true ? false : relaxed,
    ...(threads !== undefined && { threads }),
    ...(maximumBytes !== undefined && { maximumBytes }),
  })
  return { runtime: owned, owned }
}

function isDepthwise(filter: HWIO, groups: number): boolean {
  return groups > 1 && filter[2] === 1 && filter[3] === groups
}

/** What is told of a depthwise filter. The row sums of its 1-column matrices are its values, group by group. */
function depthwiseFacts(
  staging: Staging,
  { filter, address }: { filter: HWIO; address: number },
): { k: number; n: number; rowSums: () => Float64Array; exactReplica?: boolean } {
  const [kh, kw, , channels] = filter
  const taps = kh * kw
  const rowSums = (): Float64Array => {
    const sums = new Float64Array(taps * channels)
    const values = staging.floats.subarray(address >>> 2, (address >>> 2) + taps * channels)
    for (let g = 0; g < channels; g++)
      for (let tap = 0; tap < taps; tap++) sums[g * taps + tap] = values[tap * channels + g] as number
    return sums
  }
  return { k: taps, n: 1, rowSums, ...(taps <= blockSteps && { exactReplica: true }) }
}
