// The WebGPU engine: products on the device of this process, in Node through the package `webgpu`, in pages through
// `navigator.gpu`.
import {
  FtError,
  assertOneOf,
  assertOptionNames,
  isFtError,
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
import { assertFaults, type FaultContext } from '../problem/faults.ts'
import { resolveMatmul } from '../problem/matmul.ts'
import { assertSwitch } from '../problem/engine-options.ts'
import { optionsOf } from '../problem/options.ts'
import { createWeightsRegistry } from '../problem/weights.ts'
import { Buffers, type BufferUse } from './buffers.ts'
import { measuredTiles, openDevice } from './device.ts'
import { assertNotLost, deviceError, watched } from './guard.ts'
import { runProduct } from './run.ts'
import type { Storage } from './shader/variant.ts'
import { conv2dTask, matmulTask, type Task } from './task.ts'
import { largeMatrixTile, matrixName } from './matrices.ts'
import { assertMatrixTile, assertTile, chooseTile, tiles, type KernelTile, type Tile } from './tile.ts'
import { savedTile, tunedName, type TileUse, type TunedTiles } from './tuned.ts'
import {
  decodeSums,
  dropWeights,
  encodeSums,
  filterLayout,
  freeWeights,
  matrixLayout,
  placeSums,
  placeWeights,
  rowSumsOf,
  storedValues,
  using,
  type DeviceWeights,
  type WeightLayout,
} from './weights.ts'

export interface WebgpuEngineOptions {
  /** How float32 operands are kept on the device; 'float16' needs the feature shader-f16. Default 'float32'. */
  readonly storage?: 'float32' | 'float16'
  /**
   * Multiply float16 by subgroup matrices ("tensor cores"), float32 sums in them. Default: where storage is 'float16' and the
   * adapter has them: in Node the feature chromium-experimental-subgroup-matrix, in Chrome behind its switch for unsafe
   * WebGPU. Integers are multiplied without them.
   */
  readonly matrices?: boolean
  /** Load the kernels that accept fault lists; products without faults have the same bits. Default false. */
  readonly instrumented?: boolean
  /** The tile of every product (of subgroups, with matrices); default: chosen by the product's size. */
  readonly tile?: Tile
  /** Tiles of large products that another process measured and saved (`tunedTiles`); they go before those of this process. */
  readonly tuned?: TunedTiles
  /** Called after each product with its time on the device; needs the feature timestamp-query, else never called. */
  readonly onTime?: (nanoseconds: number) => void
}

export interface WebgpuEngine extends MatmulEngine {
  readonly name: 'webgpu'
  readonly adapter: {
    readonly name: string
    /** Whether the adapter computes on the processor: slow, for tests. */
    readonly software: boolean
    /** Of those that the engine uses: 'shader-f16', 'timestamp-query', 'subgroups' and those for their matrices. */
    readonly features: ReadonlySet<string>
    /** Rows, columns and steps that a subgroup multiplies at once, as '16x16x16'; undefined: without matrices. */
    readonly matrices: string | undefined
  }
  /** Device buffers of this engine, in use or waiting to be used again. */
  readonly buffers: BufferUse
}

const optionNames: Readonly<Record<keyof WebgpuEngineOptions, true>> = {
  storage: true,
  matrices: true,
  instrumented: true,
  tile: true,
  tuned: true,
  onTime: true,
}

interface Placement {
  readonly where: string
  readonly layout: WeightLayout
  readonly batched: boolean
  readonly integer: boolean
  readonly filter?: HWIO
  readonly sums: boolean
}

interface Placed {
  readonly placed: DeviceWeights
  readonly sums: Float64Array
  /** That the device found nothing wrong. */
  readonly done: Promise<void>
}

/**
 * Creates the WebGPU engine on the device of this process.
 *
 * Guarantees: an element of a product is one float32 chain of fused multiply-adds in the order of k (with subgroup
 * matrices: of their blocks in that order, each summed as the device does), so its bits depend on its row of A, its column
 * of B and `build` only. Sums over C, and predicted
 * row and column sums, are exact but for about 2^-44; predicted tile sums round like float32 chains of 8 to 16 steps times the
 * tile's elements that meet in one accumulator.
 * Operands are copied before the call returns: they may be changed while the product runs.
 *
 * @throws `ENGINE_UNAVAILABLE` with the reason where there is no device, or not the feature that an option needs
 * @example
 * ```ts no-run
 * const engine = await createWebgpuEngine()
 * const a = { data: Float32Array.of(1, 2, 3, 4), shape: [2, 2], dtype: 'float32' } as const
 * const { output, rowSums } = await engine.matmul(a, a, { emit: { rowSums: true } })
 * Array.from(output.data) // => [7, 10, 15, 22]
 * Array.from(rowSums?.actual ?? []) // => [17, 37]
 * await engine.dispose()
 * ```
 */
export async function createWebgpuEngine(options: WebgpuEngineOptions = {}): Promise<WebgpuEngine> {
  const where = 'createWebgpuEngine'
  assertOptionNames(options, optionNames, where)
  assertSwitch(options.instrumented, 'instrumented', where)
  assertSwitch(options.matrices, 'matrices', where)
  const { storage = 'float32', instrumented = false, tile, onTime } = options
  assertOneOf(storage, { where, argument: 'options.storage', values: ['float32', 'float16'] })
  const gpu = await openDevice()
  const { device, name, software, features } = gpu
  if (storage === 'float16' && !features.has('shader-f16'))
    throw new FtError('ENGINE_UNAVAILABLE', `${where}: ${name} has no shader-f16; use storage 'float32'`, { name })
  const { matrices: wish = storage === 'float16' } = options
  const matrices = wish && storage === 'float16' ? gpu.matrices : undefined
  if (options.matrices === true && matrices === undefined)
    throw new FtError(
      'ENGINE_UNAVAILABLE',
      storage === 'float16'
        ? `${where}: ${name} has no subgroup matrices of float16 with float32 sums`
        : `${where}: subgroup matrices need storage 'float16'`,
      { name },
    )
  const workgroupStorage = device.limits.maxComputeWorkgroupStorageSize
  if (tile !== undefined && matrices !== undefined)
    assertMatrixTile(tile, { where, argument: 'options.tile', matrices, storage: workgroupStorage })
  else if (tile !== undefined) assertTile(tile, { where, argument: 'options.tile' })
  const large = {
    floats: largeTileOf({ storage, matrices }),
    integers: largeTileOf({ storage: 'float32' }),
  }
  const build = `webgpu/${storage}${matrices === undefined ? '' : ` ${matrixName(matrices)}`}/${name}`
  const buffers = new Buffers(device)
  const underWay = new Set<Promise<Product>>()
  const registry = createWeightsRegistry<DeviceWeights>(build, (weights) => freeWeights(buffers, weights))

  /** Weights on their way to the device; with their row sums where they are kept or a product asks for them. */
  function place(weights: Tensor, o: Placement): Placed {
    const stored: Storage = o.integer ? 'int8' : storage
    const { value, done } = watched(device, () => {
      const placed = placeWeights(device, buffers, { ...o, data: weights.data, storage: stored })
      if (!o.sums) return { placed, sums: new Float64Array() }
      try {
        const words = encodeSums(rowSumsOf(storedValues(weights.data, stored), o.layout), o.integer)
        placed.checksum = placeSums(device, buffers, { sums: words, where: o.where })
        return { placed, sums: decodeSums(words) }
      } catch (error) {
        dropWeights(buffers, placed)
        throw error
      }
    })
    return { ...value, done }
  }

  async function prepare(weights: Tensor, given?: PrepareOptions): Promise<PreparedWeights> {
    const o: PrepareOptions = optionsOf(given, 'prepare')
    registry.assertOpen('prepare')
    assertNotLost(gpu, 'prepare')
    const { kind = 'matmul', groups = 1, transposeB = false } = o
    assertOneOf(kind, { where: 'prepare', argument: 'options.kind', values: ['matmul', 'conv2d', 'matmul-int8'] })
    const shared = { where: 'prepare', integer: kind === 'matmul-int8', sums: true }
    const filter = kind === 'conv2d' ? assertFilter(weights, groups, 'prepare') : undefined
    const { placed, sums, done } =
      filter === undefined
        ? place(weights, { ...shared, ...matrixWeights(weights, { integer: shared.integer, transposeB }) })
        : place(weights, { ...shared, layout: filterLayout(filter, groups), batched: false, filter })
    try {
      await done
      registry.assertOpen('prepare')
    } catch (error) {
      dropWeights(buffers, placed)
      throw isFtError(error) ? error : await deviceError(gpu, 'prepare', error)
    }
    return registry.add(placed, {
      kind,
      k: placed.k,
      n: placed.n,
      groups: filter === undefined ? 1 : groups,
      bytes: placed.b.bytes + (placed.checksum?.bytes ?? 0),
      rowSums: () => sums,
      batched: placed.batched,
      transposed: transposeB,
    })
  }

  function matrixWeights(
    weights: Tensor,
    o: { integer: boolean; transposeB: boolean },
  ): { layout: WeightLayout; batched: boolean } {
    const layout = matrixLayout(weights, { where: o.integer ? 'matmulInt8' : 'matmul', transposeB: o.transposeB })
    return { layout, batched: layout.batched }
  }

  /** The saved or measured tile of large products; asked at each product, since it may be measured at any time. */
  function largeTileOf(use: TileUse): () => Tile | undefined {
    const saved = savedTile(options.tuned, { gpu, use, where })
    const measured = tunedName(name, use)
    return () => saved ?? measuredTiles().get(measured)
  }

  /** Integers are multiplied without matrices, by tiles of their own. */
  function tileOf(problem: Task['problem']): KernelTile {
    if (matrices !== undefined && !problem.integer) {
      if (tile !== undefined) return { ...tile, matrices }
      const square = large.floats() ?? largeMatrixTile(matrices, { storage: workgroupStorage, software })
      return chooseTile(problem, { ...square, matrices })
    }
    const own = matrices === undefined ? tile : undefined
    const measured = problem.integer ? large.integers() : large.floats()
    return own ?? chooseTile(problem, measured ?? (software ? tiles.medium : tiles.large))
  }

  async function run(task: Task, weights: DeviceWeights, faults: MatmulOptions['faults'] = []): Promise<Product> {
    const { problem, where: at } = task
    const { count, m, n, k, integer } = problem
    if (faults.length > 0 && !instrumented)
      throw new FtError('UNSUPPORTED', `${at}: \`options.faults\` need an engine created with { instrumented: true }`)
    const operand = problem.kind === 'matmul' && integer ? (problem.a.dtype as 'int8' | 'uint8') : 'float32'
    const sums = integer ? 'int32' : 'float64'
    const context: FaultContext = { where: at, integer, count, m, n, k, ownWeights: weights.count > 1, operand, sums }
    assertFaults(faults, context)
    const product = using(buffers, weights, () =>
      runProduct({
        gpu,
        buffers,
        task,
        weights,
        storage: integer ? (operand as 'int8' | 'uint8') : storage,
        tile: tileOf(problem),
        instrumented,
        faults,
        context,
        onTime,
      }),
    )
    underWay.add(product)
    try {
      return await product
    } finally {
      underWay.delete(product)
    }
  }

  async function matrixProduct(
    at: 'matmul' | 'matmulInt8',
    operands: { a: Tensor; weights: Tensor | PreparedWeights },
    o: MatmulOptions,
  ): Promise<Product> {
    const { a, weights } = operands
    const integer = at === 'matmulInt8'
    const known = registry.find(weights, { where: at, kind: integer ? 'matmul-int8' : 'matmul', options: o })
    const transposeB = o.transposeB ?? false
    const plain = known === undefined ? matrixWeights(weights as Tensor, { integer, transposeB }) : undefined
    const { layout, batched } = plain ?? {
      layout: known?.value as WeightLayout,
      batched: known?.facts.batched ?? false,
    }
    const problem = resolveMatmul({ where: at, a, weights, sizes: { ...layout, count: batched ? layout.count : 0 } }, o)
    const task = matmulTask(problem)
    if (plain === undefined) return run(task, known?.value as DeviceWeights, o.faults)
    const placed = place(weights as Tensor, { where: at, ...plain, integer, sums: o.emit?.rowSums === true })
    return passing(placed, at, (w) => run(task, w, o.faults))
  }

  async function conv2d(x: Tensor, filter: Tensor | PreparedWeights, given?: Conv2dOptions): Promise<Product> {
    const o: Conv2dOptions = optionsOf(given, 'conv2d')
    const known = registry.find(filter, { where: 'conv2d', kind: 'conv2d', options: o })
    const groups = known?.facts.groups ?? o.groups ?? 1
    const shape = known?.value.filter ?? assertFilter(filter as Tensor, groups, 'conv2d')
    const task = conv2dTask(resolveConv2d({ x, filter, shape, groups }, o))
    if (known !== undefined) return run(task, known.value, o.faults)
    const layout = filterLayout(shape, groups)
    const shared = { where: 'conv2d', layout, batched: false, integer: false, sums: o.emit?.rowSums === true }
    return passing(place(filter as Tensor, shared), 'conv2d', (w) => run(task, w, o.faults))
  }

  /** Weights for one product. */
  async function passing(
    { placed, done }: Placed,
    where: string,
    use: (weights: DeviceWeights) => Promise<Product>,
  ): Promise<Product> {
    // The weights' failure first: it is why the product failed.
    const [there, product] = await Promise.allSettled([done, use(placed)])
    if (there.status === 'fulfilled' && product.status === 'fulfilled') {
      freeWeights(buffers, placed)
      return product.value
    }
    dropWeights(buffers, placed)
    const failure = [there, product].find((outcome) => outcome.status === 'rejected')
    throw isFtError(failure?.reason) ? failure.reason : await deviceError(gpu, where, failure?.reason)
  }

  return {
    name: 'webgpu',
    build,
    adapter: { name, software, features, matrices: matrices && matrixName(matrices) },
    get buffers() {
      return buffers.use
    },
    prepare,
    matmul: async (a, weights, o) => matrixProduct('matmul', { a, weights }, optionsOf(o, 'matmul')),
    matmulInt8: async (a, weights, o) => matrixProduct('matmulInt8', { a, weights }, optionsOf(o, 'matmulInt8')),
    conv2d,
    async dispose() {
      registry.close()
      await Promise.allSettled(underWay)
      buffers.close()
    },
  }
}
