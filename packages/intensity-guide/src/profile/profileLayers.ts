// Profiling (SC'21, section 5.2): before deployment every scheme is run at each layer's real shape on the real engine.
// Arms of one shape are interleaved in rounds, in an order drawn anew each round, so that what else the machine does
// meets all of them alike; claims are ratios within a round.
import {
  assertInteger,
  assertNumber,
  throwIfAborted,
  type LayerRunner,
  type LinearLayer,
  type LongRunning,
  type ProtectionScheme,
} from '@ft/core'
import { createRandom } from '@ft/core/random'
import { armsOf, distinctShapes, operandBytes, PLACEMENT_ROUNDS, SHORTEST, shuffled } from './arms.ts'
import { parseProfile, saveProfile, type Arm, type Profile, type ProfiledShape } from './profile.ts'

/**
 * Where measured shapes are kept between runs: texts by name. Names hold the runner's device and build, which may name an
 * engine alone: a cache that several machines can reach keeps them apart itself.
 */
export interface ProfileCache {
  get(name: string): Promise<string | undefined>
  set(name: string, text: string): Promise<void>
}

export interface ProfileOptions extends LongRunning {
  readonly runner: LayerRunner
  /** Of the operands and of the order of the arms. */
  readonly seed: number
  /** Schemes to measure; default every one that the runner has for the layer. */
  readonly schemes?: readonly ProtectionScheme[]
  /** Samples an arm; at least 6, the fewest that give a 95 % interval. Default 20. */
  readonly rounds?: number
  /** Runs of each arm before any counts. Default 3. */
  readonly warmUp?: number
  /** Shortest sample in milliseconds: shorter work is repeated to fill it. Default 4. */
  readonly shortestMs?: number
  /** Whether a layer gets its checksum from the layer before. Default: layers that another names as its `next`. */
  readonly chained?: (layer: LinearLayer) => boolean
  /** Makes profiling resumable: shapes found here, measured on this device and build, are not measured again. */
  readonly cache?: ProfileCache
  /**
   * Bytes of operands held at once; arms that do not fit beside each other are measured in groups, each with its own
   * unprotected runs. Default 1 GiB.
   */
  readonly memory?: number
  /** Clock in milliseconds; default the system's. */
  readonly now?: () => number
}

/**
 * Measures every scheme of the runner at every distinct shape of the layers.
 *
 * Cost: shapes x (schemes + 2) x rounds x max(shortestMs, one call), and a preparation of each arm every 24 rounds; operands of one shape are held for all arms at once,
 * within `memory`.
 * An interrupted run loses the shape in hand only, when it has a cache.
 *
 * @throws FtError `INVALID_ARGUMENT` for fewer than 6 rounds; `ABORTED` by its signal
 * @see Kosaian and Rashmi, SC'21, section 5.2
 */
export async function profileLayers(layers: readonly LinearLayer[], options: ProfileOptions): Promise<Profile> {
  const { runner, seed, rounds = 20, warmUp = 3, shortestMs = 4, cache, signal, onProgress } = options
  const where = 'profileLayers'
  assertInteger(rounds, { where, argument: 'rounds', min: 6 })
  assertInteger(warmUp, { where, argument: 'warmUp', min: 1 })
  assertNumber(shortestMs, { where, argument: 'shortestMs', min: 0 })
  const { device, build } = runner
  const document = (measured: readonly ProfiledShape[]): Profile => ({
    schema: 'ft.profile',
    version: 1,
    device,
    build,
    shapes: measured,
  })

  const distinct = distinctShapes(layers, options)
  const shapes: ProfiledShape[] = []
  const report = (note?: string) =>
    onProgress?.({ phase: 'profile', done: shapes.length, total: distinct.size, ...(note ? { note } : {}) })
  report()
  for (const [key, { layer, chained }] of distinct) {
    throwIfAborted(signal, where)
    const arms = armsOf(layer, options)
    const name = JSON.stringify([device, build, key, shortestMs])
    let shape = fromCache(await cache?.get(name), { key, arms, rounds, device, build })
    if (shape === undefined) {
      const times = await measure(layer, arms, { ...options, chained, rounds, warmUp, shortestMs, seed })
      shape = { key, layer, times }
      await cache?.set(name, saveProfile(document([shape])))
    }
    shapes.push(shape)
    report(layer.id)
  }
  return document(shapes)
}

/** A cached shape that answers the question; anything else, damage included, is measured anew. */
function fromCache(
  text: string | undefined,
  wanted: { key: string; arms: readonly Arm[]; rounds: number; device: string; build: string },
): ProfiledShape | undefined {
  if (text === undefined) return undefined
  try {
    const [shape] = parseProfile(text, wanted).shapes
    const enough = wanted.arms.every((arm) => (shape?.times[arm]?.length ?? 0) >= wanted.rounds)
    return shape?.key === wanted.key && enough ? shape : undefined
  } catch {
    return undefined
  }
}

interface Run extends Omit<ProfileOptions, 'chained'> {
  readonly chained: boolean
  readonly rounds: number
  readonly warmUp: number
  readonly shortestMs: number
}

type Times = Partial<Record<Arm, number[]>>

/** All arms of a shape, in as few groups as memory allows. */
async function measure(layer: LinearLayer, arms: readonly Arm[], options: Run): Promise<Times> {
  const { memory = 2 ** 30 } = options
  const beside = Math.max(1, Math.floor(memory / operandBytes(layer)) - 1)
  const rest = arms.filter((arm) => arm !== 'none')
  const all = await measureGroup(layer, ['none', ...rest.slice(0, beside)], options)
  for (let start = beside; start < rest.length; start += beside) {
    const { none = [], ...group } = await measureGroup(layer, ['none', ...rest.slice(start, start + beside)], options)
    // Ratios belong to a group: its samples are brought to the first group's unprotected time.
    for (const [arm, samples] of Object.entries(group) as [Arm, number[]][])
      all[arm] = samples.map((time, i) => (time * (all.none?.[i] as number)) / (none[i] as number))
  }
  return all
}

interface Prepared {
  readonly arm: Arm
  readonly run: () => Promise<void>
  readonly repeats: number
}

async function measureGroup(layer: LinearLayer, arms: readonly Arm[], options: Run): Promise<Times> {
  const { seed, rounds, signal, now = () => performance.now() } = options
  const order = createRandom(seed).stream(`profile ${layer.id}`)
  const time = async (run: () => Promise<void>, repeats: number): Promise<number> => {
    const start = now()
    for (let i = 0; i < repeats; i++) await run()
    return (now() - start) / repeats
  }
  const samples: Times = {}
  for (let start = 0; start < rounds; start += PLACEMENT_ROUNDS) {
    const held: { release(): void }[] = []
    try {
      const prepared = await place(layer, shuffled(arms, order), { ...options, held, time })
      for (let round = start; round < Math.min(rounds, start + PLACEMENT_ROUNDS); round++) {
        throwIfAborted(signal, 'profileLayers')
        for (const { arm, run, repeats } of shuffled(prepared, order))
          (samples[arm] ??= []).push(Math.max(await time(run, repeats), SHORTEST))
      }
    } finally {
      for (const handle of held) handle.release()
    }
  }
  return Object.fromEntries(arms.map((arm) => [arm, samples[arm]]))
}

interface Placing extends Run {
  /** Takes what has to be released. */
  readonly held: { release(): void }[]
  time(run: () => Promise<void>, repeats: number): Promise<number>
}

async function place(layer: LinearLayer, arms: readonly Arm[], options: Placing): Promise<Prepared[]> {
  const { runner, seed, chained, warmUp, shortestMs, held, time } = options
  const prepared: Prepared[] = []
  for (const arm of arms) {
    const handle = await runner.prepare(layer, arm === 'control' ? 'none' : arm, { seed, chained })
    held.push(handle)
    const run = () => handle.run()
    for (let i = 0; i < warmUp; i++) await run()
    const once = await time(run, 1)
    prepared.push({ arm, run, repeats: Math.max(1, Math.ceil(shortestMs / Math.max(once, 1e-4))) })
  }
  return prepared
}
