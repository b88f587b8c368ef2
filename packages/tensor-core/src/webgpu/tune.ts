// Measures which tile large products should have on this adapter.
import { assertInteger, assertOneOf, throwIfAborted, type Tensor } from '@ft/core'
import { createRandom } from '@ft/core/random'
import { measuredTiles, openDevice } from './device.ts'
import { createWebgpuEngine } from './engine.ts'
import { MOST_BLOCKS, matrixTiles } from './matrices.ts'
import { assertMatrixTile, assertTile, invocations, tiles, workgroupBytes, type Tile } from './tile.ts'
import { tunedName } from './tuned.ts'

export interface TuneOptions {
  /** Rows, columns and steps of the products that are timed; default 1024, on software adapters 128. */
  readonly size?: number
  /** How operands are kept, as the option of engines says. Default 'float32'. */
  readonly storage?: 'float32' | 'float16'
  /** Default: the medium and the large tile, and variants of both; with subgroup matrices, those that the device can have. */
  readonly candidates?: readonly Tile[]
  /** Products of each candidate, in turns; the fastest counts. Default 5. */
  readonly rounds?: number
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: { phase: string; done: number; total: number }) => void
}

export interface Tuning {
  readonly adapter: string
  readonly chosen: Tile
  /** Fastest product of each candidate, in nanoseconds; fastest first. */
  readonly measured: readonly { readonly tile: Tile; readonly nanoseconds: number }[]
  /** The device's own clock, or that of the caller, which counts copies and waiting too. */
  readonly clock: 'device' | 'host'
}

const variants: readonly Tile[] = [
  tiles.medium,
  { ...tiles.medium, depth: 8 },
  { rows: 8, columns: 4, across: 16, down: 8, depth: 16 },
  { rows: 4, columns: 8, across: 8, down: 16, depth: 16 },
  { rows: 8, columns: 8, across: 8, down: 8, depth: 16 },
  tiles.large,
]

/**
 * Times products with several tiles and takes the fastest for all large products on this adapter with this storage: of
 * engines that exist and of those made later in this process. `tunedTiles` gives what other processes need to have it too.
 *
 * Cost: one kernel to compile a candidate, and `rounds + 1` products.
 *
 * @throws `ENGINE_UNAVAILABLE` without a device, `ABORTED` by the signal
 */
export async function tuneWebgpu(options: TuneOptions = {}): Promise<Tuning> {
  const where = 'tuneWebgpu'
  const gpu = await openDevice()
  const { storage = 'float32', rounds = 5, size = gpu.software ? 128 : 1024, signal, onProgress } = options
  assertOneOf(storage, { where, argument: 'options.storage', values: ['float32', 'float16'] })
  const matrices = storage === 'float16' ? gpu.matrices : undefined
  const workgroupStorage = gpu.device.limits.maxComputeWorkgroupStorageSize
  const fitting = matrixTiles.filter((tile) => {
    const kernel = { ...tile, matrices }
    const blocks = matrices === undefined ? 0 : (tile.rows / matrices.m) * (tile.columns / matrices.n)
    return blocks <= MOST_BLOCKS && invocations(kernel) <= 256 && workgroupBytes(kernel) <= workgroupStorage
  })
  const { candidates = matrices === undefined ? variants : fitting } = options
  assertInteger(size, { where, argument: 'options.size', min: 1, max: 16_384 })
  assertInteger(rounds, { where, argument: 'options.rounds', min: 1 })
  candidates.forEach((tile, i) => {
    const at = { where, argument: `options.candidates[${i}]` }
    if (matrices === undefined) assertTile(tile, at)
    else assertMatrixTile(tile, { ...at, matrices, storage: workgroupStorage })
  })
  assertInteger(candidates.length, { where, argument: 'options.candidates.length', min: 1 })
  const clock = gpu.features.has('timestamp-query') ? 'device' : 'host'
  const best = new Float64Array(candidates.length).fill(Infinity)
  const [a, b] = [operand(size, 'a'), operand(size, 'b')]
  const total = candidates.length * (rounds + 1)
  for (let round = 0, done = 0; round <= rounds; round++)
    for (const [i, tile] of candidates.entries()) {
      throwIfAborted(signal, where)
      let nanoseconds = 0
      const engine = await createWebgpuEngine({ storage, tile, onTime: (time) => (nanoseconds = time) })
      const start = performance.now()
      await engine.matmul(a, b)
      if (clock === 'host') nanoseconds = (performance.now() - start) * 1e6
      await engine.dispose()
      // The first round compiles.
      if (round > 0) best[i] = Math.min(best[i] as number, nanoseconds)
      onProgress?.({ phase: 'tiles', done: ++done, total })
    }
  const measured = candidates
    .map((tile, i) => ({ tile, nanoseconds: best[i] as number }))
    .sort((x, y) => x.nanoseconds - y.nanoseconds)
  const chosen = (measured[0] as (typeof measured)[number]).tile
  measuredTiles().set(tunedName(gpu.name, { storage, matrices }), chosen)
  return { adapter: gpu.name, chosen, measured, clock }
}

function operand(size: number, name: string): Tensor {
  const data = createRandom(1)
    .stream(name)
    .fillUniform(new Float32Array(size * size), { low: -1, high: 1 })
  return { data, shape: [size, size], dtype: 'float32' }
}
