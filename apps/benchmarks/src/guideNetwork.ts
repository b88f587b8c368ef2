// One network of bench "guide": profile, plan on the even rounds, score on the odd ones, then in a fresh process.
import type { Interval, LayerRunner, LinearLayer, ProtectionScheme } from '@ft/core'
import { distinguishable, median } from '@ft/core/statistics'
import {
  measuredTotals,
  measurementsOf,
  overheadsOf,
  planNetwork,
  predict,
  profileLayers,
  profileNetwork,
  zoo,
  type Choice,
  type MeasuredDevice,
  type Profile,
  type ZooName,
} from '@ft/intensity-guide'
import type { BenchContext } from './bench.ts'
import type { Overheads } from './guideSequence.ts'
import type { Clock } from './support/clock.ts'
import { roundsFor } from './support/pilot.ts'

export interface GuidedNetwork {
  readonly zoo: ZooName
  readonly batch: number
}

interface Parts {
  readonly engine: 'wasm' | 'webgpu'
  readonly runner: LayerRunner
  readonly clock: Clock
  readonly device: MeasuredDevice
  readonly network: GuidedNetwork
}

/** Plans that are compared: what a user could do without the guide, and a control of the unprotected network. */
const uniform = {
  global: () => 'global',
  'thread-one-sided': () => 'thread-one-sided',
  row: () => 'row',
  replication: () => 'replication',
  control: () => 'control',
} satisfies Record<string, Choice>

export async function guidedNetwork(
  context: BenchContext,
  { engine, runner, clock, device, network }: Parts,
): Promise<void> {
  const { name, layers } = zoo(network.zoo, { batch: network.batch, dtype: 'float32' })
  const title = `${name}, batch ${network.batch}`
  // The fresh process goes through the network under six plans in step.
  const [budget, sequenceBudget] = context.quick ? [60, 60] : [400, 400]
  // A pass of ResNet-50 takes so long that 250 s held 26 rounds of all arms. One layer at a time each shape is measured once a
  // round, instead of once for each layer that has it.
  const passMs =
    (1e3 * layers.reduce((sum, { m, n, k, count }) => sum + 2 * m * n * k * count, 0)) / device.measured.peak.value
  const inPasses = passMs < LONG_PASS_MS
  const measure = async (rounds: number): Promise<Measured> => {
    const shared = { runner, seed: context.seed, rounds, now: clock.now }
    const profile = inPasses
      ? await profileNetwork(layers, { ...shared, memory: 2 ** 31 })
      : await profileLayers(layers, { ...shared, shortestMs: 3 })
    const measurements = measurementsOf(profile, { layers, rounds: 'even' })
    const plan = planNetwork({ name, layers }, { device, target: engine, measurements })
    const schemes = new Map(plan.layers.map((layer) => [layer.id, layer.scheme]))
    const guided = ({ id }: LinearLayer): ProtectionScheme => schemes.get(id) ?? 'none'
    const choices = { guided, ...uniform }
    return { profile, guided, ...measuredTotals(profile, { layers, rounds: 'odd', seed: context.seed, choices }) }
  }
  const pilot = await timed(PILOT, () => measure(PILOT))
  const rounds = roundsFor(pilot, { wanted: WANTED, budget })
  const { profile, guided, ...totals } = await measure(rounds)
  context.note(
    `${title}: ${profile.shapes.length} shapes of ${layers.length} layers, ${rounds} rounds${inPasses ? ' in passes' : ', a layer at a time'}; ${counted(layers.map(guided))}`,
  )
  context.emit({ case: title, metric: 'unprotected', value: totals.baseMs, unit: 'ms' })
  verdicts(context, { title: `${title}, other half`, ...totals })
  prediction(context, { title, layers, profile, device })

  // Imported here, so that a bundle keeps the module and its exports apart: the fresh process loads it by its address.
  const { guideSequence } = await import('./guideSequence.ts')
  const inSequence = (rounds: number) =>
    guideSequence.inFreshProcess({
      engine,
      layers,
      seed: context.seed,
      rounds,
      plans: {
        guided: layers.map(guided),
        global: layers.map(uniform.global),
        row: layers.map(uniform.row),
        'thread-one-sided': layers.map(uniform['thread-one-sided']),
        control: layers.map(() => 'none'),
      },
    })
  const short = await timed(PILOT_IN_SEQUENCE, () => inSequence(PILOT_IN_SEQUENCE))
  const found = await inSequence(roundsFor(short, { wanted: WANTED_IN_SEQUENCE, budget: sequenceBudget }))
  verdicts(context, { title: `${title}, fresh process`, ...found })
  for (const [name, { value, low, high, n }] of Object.entries(found.rareIncluded)) {
    const share = { value: 100 * value, low: 100 * low, high: 100 * high }
    context.emit({ case: `${title}, fresh process`, metric: `${name}, by means`, unit: '%', ...share, n })
  }
}

/** Passes from here on are profiled a layer at a time. */
const LONG_PASS_MS = 100
/** Rounds of a pilot: the fewest that give both halves an interval, and some. */
const PILOT = 24
/** Half-width that rounds are planned for, as a share of the network: the target is 0.01. */
const WANTED = 0.006
/** The same for the fresh process. */
const PILOT_IN_SEQUENCE = 48
const WANTED_IN_SEQUENCE = 0.005

interface Measured extends Overheads {
  readonly profile: Profile
  readonly guided: (layer: LinearLayer) => ProtectionScheme
  readonly baseMs: number
}

async function timed(rounds: number, run: () => Promise<Overheads>) {
  const begun = performance.now()
  const { overhead } = await run()
  const { low, high } = overhead['guided'] as Interval
  return { rounds, halfWidth: (high - low) / 2, seconds: (performance.now() - begun) / 1000 }
}

function verdicts(context: BenchContext, { title, overhead, difference }: Overheads & { title: string }): void {
  for (const [name, interval] of Object.entries(overhead)) {
    context.emit({
      case: title,
      metric: name,
      value: 100 * interval.value,
      unit: '%',
      low: 100 * interval.low,
      high: 100 * interval.high,
      n: interval.n,
      ...(name === 'control' ? { target: 'interval holds 0' } : {}),
      ...(name === 'guided' ? { target: 'half-width <= 1 point' } : {}),
    })
  }
  for (const rival of ['global', 'row', 'thread-one-sided']) {
    const less = difference('guided', rival)
    context.emit({
      case: title,
      metric: `guided less ${rival}`,
      value: 100 * less.value,
      unit: 'points',
      low: 100 * less.low,
      high: 100 * less.high,
      n: less.n,
      target: 'value <= 0',
    })
    reduction(context, { title, rival, guided: overhead['guided'] as Interval, other: overhead[rival] as Interval })
  }
}

/** The paper's figure of merit; a quotient of overheads means nothing where either may be 0. */
function reduction(
  context: BenchContext,
  { title, rival, guided, other }: { title: string; rival: string; guided: Interval; other: Interval },
): void {
  const certain = [guided, other].every((interval) => distinguishable(interval, 0) === 'higher')
  if (!certain) return context.note(`${title}: reduction factor against ${rival}: not distinguishable`)
  context.emit({ case: title, metric: `reduction, ${rival}`, value: other.value / guided.value, unit: 'x' })
}

/** The cost model on the measured device against each distinct shape's measurement. */
function prediction(
  context: BenchContext,
  {
    title,
    layers,
    profile,
    device,
  }: { title: string; layers: readonly LinearLayer[]; profile: Profile; device: MeasuredDevice },
): void {
  const errors: number[] = []
  const times: number[] = []
  for (const { layer, times: samples, ...shape } of profile.shapes) {
    const base = predict(layer, 'none', { device }).base * 1000
    const measured = median(samples.none ?? [])
    times.push(Math.abs(base / measured - 1))
    const each = [...overheadsOf({ layer, times: samples, ...shape })].map(([scheme, { value }]) => {
      const error = predict(layer, scheme, { device }).overhead - value
      errors.push(Math.abs(error))
      return `${scheme} ${(100 * error).toFixed(1)}`
    })
    context.note(
      `${title}, ${layer.id}: predicted ${base.toPrecision(3)} ms, measured ${measured.toPrecision(3)}; ` +
        `overhead predicted less measured, points: ${each.join(', ')}`,
    )
  }
  const [error, time] = [median(errors), median(times)]
  context.emit({ case: title, metric: 'prediction of overheads', value: 100 * error, unit: 'points, median |error|' })
  context.emit({ case: title, metric: 'prediction of time', value: 100 * time, unit: '%, median |error|' })
  context.note(`${title}: ${layers.length} layers, ${errors.length} predictions`)
}

function counted(schemes: Iterable<string>): string {
  const counts = new Map<string, number>()
  for (const scheme of schemes) counts.set(scheme, (counts.get(scheme) ?? 0) + 1)
  return [...counts].map(([scheme, count]) => `${count} ${scheme}`).join(', ')
}
