// Profiling in the network: every round runs the layers from the first to the last, several times, each time with another
// arm at each layer, and times every layer where it stands. A layer measured alone, over and over, finds its operands in
// the caches; in the network it finds what the layer before has left.
import { assertInteger, throwIfAborted, type LinearLayer } from '@ft/core'
import { createRandom, type Random } from '@ft/core/random'
import { armsOf, chaining, distinctShapes, operandBytes, PLACEMENT_ROUNDS, SHORTEST, shuffled } from './arms.ts'
import { shapeKey, type Arm, type Profile } from './profile.ts'
import type { ProfileOptions } from './profileLayers.ts'

export interface NetworkProfileOptions extends Omit<ProfileOptions, 'cache'> {
  /** Shortest pass in milliseconds: a shorter one is repeated, with the same arms, to fill it. Default 20. */
  readonly shortestMs?: number
}

/**
 * Measures every scheme of the runner at every layer of a network, in passes over the whole network: in each pass every layer runs
 * one of its arms, first untimed, then timed; in a round each of them, in an order drawn anew. Layers of one shape share their
 * samples, a sample being the mean over their calls.
 *
 * Differs from `profileLayers`: times hold what neighbours leave in the caches, so that they add up to a run of the network;
 * short layers are timed one call at a time, so a coarse clock needs more rounds; nothing is resumed.
 *
 * Cost: 2 (schemes + 2) x rounds passes over the network or more (`shortestMs`), and a preparation of every layer's arms every 24 rounds. Operands of all
 * layers are held at once, for as many arms as `memory` (default 1 GiB) allows, two at least; more arms are measured in
 * groups, each beside its own unprotected runs.
 *
 * @throws FtError `INVALID_ARGUMENT` for fewer than 6 rounds or no layers; `ABORTED` by its signal
 * @see Kosaian and Rashmi, SC'21, section 5.2
 */
export async function profileNetwork(layers: readonly LinearLayer[], options: NetworkProfileOptions): Promise<Profile> {
  const { runner, seed, rounds = 20, warmUp = 3, memory = 2 ** 30, signal, onProgress } = options
  const where = 'profileNetwork'
  assertInteger(rounds, { where, argument: 'rounds', min: 6 })
  assertInteger(warmUp, { where, argument: 'warmUp', min: 1 })
  assertInteger(layers.length, { where, argument: 'layers.length', min: 1 })
  const places = placesOf(layers, options)
  const bytes = layers.reduce((sum, layer) => sum + operandBytes(layer), 0)
  const beside = Math.max(1, Math.floor(memory / bytes) - 1)
  const rivals = [...new Set(places.flatMap(({ arms }) => arms))].filter((arm) => arm !== 'none')
  const groups = Array.from({ length: Math.ceil(rivals.length / beside) }, (_, i): Arm[] => [
    'none',
    ...rivals.slice(i * beside, (i + 1) * beside),
  ])

  const random = createRandom(seed).stream('profile network')
  const report = (group: number, done: number) =>
    onProgress?.({ phase: 'profile', done: group * rounds + done, total: groups.length * rounds })
  report(0, 0)
  const times = new Map<string, Partial<Record<Arm, number[]>>>(places.map(({ key }) => [key, {}]))
  for (const [group, arms] of groups.entries()) {
    const measured = await measureGroup(places, arms, {
      ...options,
      rounds,
      warmUp,
      random,
      onRound: (round) => {
        throwIfAborted(signal, where)
        report(group, round)
      },
    })
    for (const [key, { none = [], ...rest }] of measured) {
      const all = times.get(key) as Partial<Record<Arm, number[]>>
      all.none ??= none
      // Ratios belong to a group: its samples are brought to the first group's unprotected time.
      for (const [arm, samples] of Object.entries(rest) as [Arm, number[]][])
        all[arm] = samples.map((time, i) => (time * (all.none?.[i] as number)) / (none[i] as number))
    }
  }
  report(groups.length, 0)
  const { device, build } = runner
  const shapes = [...distinctShapes(layers, options)].map(([key, { layer }]) => ({
    key,
    layer,
    times: times.get(key) ?? {},
  }))
  return { schema: 'ft.profile', version: 1, device, build, order: 'network', shapes }
}

/** A layer where it stands. */
interface Place {
  readonly layer: LinearLayer
  readonly key: string
  readonly chained: boolean
  readonly arms: readonly Arm[]
}

function placesOf(layers: readonly LinearLayer[], options: NetworkProfileOptions): Place[] {
  const isChained = chaining(layers, options.chained)
  return layers.map((layer) => {
    const chained = isChained(layer)
    return { layer, chained, key: shapeKey(layer, { chained }), arms: armsOf(layer, options) }
  })
}

interface Run extends NetworkProfileOptions {
  readonly rounds: number
  readonly warmUp: number
  readonly random: Random
  onRound(round: number): void
}

type Samples = Map<string, Partial<Record<Arm, number[]>>>

async function measureGroup(places: readonly Place[], arms: readonly Arm[], options: Run): Promise<Samples> {
  const { rounds, warmUp, shortestMs = 20, random, onRound, now = () => performance.now() } = options
  const samples: Samples = new Map()
  let passMs = Infinity
  const tick = costOf(now)
  for (let start = 0; start < rounds; start += PLACEMENT_ROUNDS) {
    const held: { release(): void }[] = []
    try {
      const stations = await prepare(places, arms, { ...options, held })
      for (let round = start - warmUp; round < Math.min(rounds, start + PLACEMENT_ROUNDS); round++) {
        if (round >= start) onRound(round)
        const sums = new Map<string, Map<Arm, Sum>>()
        const repeats = Math.max(1, Math.ceil(shortestMs / Math.max(passMs, 1e-3)))
        const roundBegun = now()
        const orders = stations.map(({ prepared }) => shuffled(prepared, random))
        for (let pass = 0; pass < arms.length; pass++) {
          const chosen = stations.map((_, i) => {
            const order = orders[i] as readonly Prepared[]
            return order[pass % order.length] as Prepared
          })
          // Once without a clock: what these arms leave in the caches is then what a network leaves that runs over and over.
          for (let repeat = -1; repeat < repeats; repeat++) {
            for (const [i, { place }] of stations.entries()) {
              const { arm, run } = chosen[i] as Prepared
              const { count } = place.layer
              const begun = now()
              for (let call = 0; call < count; call++) await run()
              const took = now() - begun - tick
              // A layer that lacks an arm of the group fills the pass with one of its own, which would count twice.
              if (repeat >= 0 && pass < (orders[i] as readonly Prepared[]).length)
                add(sums, { key: place.key, arm, took, count })
            }
          }
        }
        passMs = (now() - roundBegun) / (arms.length * (repeats + 1))
        if (round >= start) take(samples, sums)
      }
    } finally {
      for (const handle of held) handle.release()
    }
  }
  return samples
}

interface Prepared {
  readonly arm: Arm
  readonly run: () => Promise<void>
}

interface Station {
  readonly place: Place
  readonly prepared: readonly Prepared[]
}

/** Every arm of the group at every layer, in an order drawn anew: where operands lie is drawn as rounds are. */
async function prepare(
  places: readonly Place[],
  arms: readonly Arm[],
  { runner, seed, random, held }: Run & { readonly held: { release(): void }[] },
): Promise<Station[]> {
  const stations: Station[] = []
  for (const place of places) {
    const prepared: Prepared[] = []
    for (const arm of shuffled(
      arms.filter((one) => place.arms.includes(one)),
      random,
    )) {
      const { layer, chained } = place
      const handle = await runner.prepare(layer, arm === 'control' ? 'none' : arm, { seed, chained })
      held.push(handle)
      prepared.push({ arm, run: () => handle.run() })
    }
    stations.push({ place, prepared })
  }
  return stations
}

interface Sum {
  took: number
  calls: number
}

function add(
  sums: Map<string, Map<Arm, Sum>>,
  { key, arm, took, count }: { key: string; arm: Arm; took: number; count: number },
): void {
  const ofKey = sums.get(key) ?? new Map<Arm, Sum>()
  const sum = ofKey.get(arm) ?? { took: 0, calls: 0 }
  sum.took += took
  sum.calls += count
  sums.set(key, ofKey.set(arm, sum))
}

function take(samples: Samples, sums: ReadonlyMap<string, ReadonlyMap<Arm, Sum>>): void {
  for (const [key, ofKey] of sums) {
    const all = samples.get(key) ?? {}
    for (const [arm, { took, calls }] of ofKey) (all[arm] ??= []).push(Math.max(took / calls, SHORTEST))
    samples.set(key, all)
  }
}

/** What reading the clock itself takes: a share of a short layer. */
function costOf(now: () => number): number {
  const readings = 2000
  const begun = now()
  for (let i = 1; i < readings; i++) now()
  return (now() - begun) / readings
}
