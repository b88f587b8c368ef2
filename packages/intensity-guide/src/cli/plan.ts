// The command's main flow: open the model, know the device, measure where asked, choose, show.
import { assertInteger, assertOneOf, FtError, type DType, type LayerRunner, type PlanTarget } from '@ft/core'
import type { Output } from '@ft/report'
import { planWithinBudget, tradeOffOf, type BudgetPlan } from '../budget.ts'
import { choosePerLayer, type ChooseOptions } from '../choosePerLayer.ts'
import { findDevice, type Device } from '../devices.ts'
import { measureDevice } from '../measureDevice.ts'
import type { ReadNetwork } from '../models/network.ts'
import { planNetwork, savePlan } from '../plan.ts'
import { baseTimesOf, measurementsOf } from '../profile/overheads.ts'
import type { Profile } from '../profile/profile.ts'
import { profileLayers } from '../profile/profileLayers.ts'
import { profileNetwork } from '../profile/profileNetwork.ts'
import { measuredTotals, type MeasuredTotals } from '../profile/totals.ts'
import { targetSchemes } from '../targets.ts'
import { assertWritable, fileCache, writeText } from './files.ts'
import { openModel, type OpenFlags } from './open.ts'
import { loadRunnerModule, type OpenedRunner } from './runner.ts'
import { showPlan, type Shown } from './show.ts'
import { parseSweep, showSweep, type Sweep } from './sweep.ts'

export interface Flags extends OpenFlags {
  readonly device?: string
  readonly target?: string
  readonly rule: string
  readonly sensitivity?: number
  readonly budget?: number
  readonly dtype?: string
  readonly profile?: string | true
  readonly runner: string
  readonly cache?: string
  readonly rounds: number
  readonly seed: number
  readonly json: boolean
  readonly html?: string
  readonly svg?: string
  readonly sweep?: string
}

export interface Call {
  readonly flags: Flags
  readonly output: Output
  /** The command line, for "again". */
  readonly command: string
  readonly signal: AbortSignal
  readonly zooOnly?: boolean
}

export async function plan(model: string, call: Call): Promise<void> {
  const { flags, output } = call
  for (const file of [flags.html, flags.svg]) if (file !== undefined) assertWritable(file)
  if (flags.sweep !== undefined) return sweep(model, call, parseSweep(flags.sweep))
  const network = openModel(model, { ...flags, zooOnly: call.zooOnly === true })
  const measuring = flags.profile !== undefined || flags.device === 'measured'
  const runner = measuring ? await loadRunnerModule(flags.runner, { seed: flags.seed }) : undefined
  try {
    const device = await deviceOf(flags, runner, call)
    const options = chooseOptions(flags, device, runner)
    const measured =
      runner && flags.profile !== undefined ? await measure(network, { ...call, options, runner }) : undefined
    const choose = { ...options, ...(measured ? { measurements: measured.measurements } : {}) }
    const times = measured?.times ? { times: measured.times } : {}
    const budgeted = planWithinBudget(network, { ...choose, ...times, budget: (flags.budget ?? 0) / 100 })
    const made = flags.budget === undefined ? planNetwork(network, choose) : budgeted.plan
    const tradeOff = { ...budgeted, here: tradeOffOf(made, { device, dtype: options.dtype, ...times }) }

    const totals = measured?.whole ? totalsOf(network, measured.profile, { made, seed: flags.seed }) : undefined
    const shown = {
      plan: made,
      network,
      device,
      dtype: options.dtype,
      ...(totals ? { measured: totals } : {}),
      tradeOff,
    }
    showPlan(shown, { output, rule: options.rule, command: call.command, budget: flags.budget })
    if (flags.json) output.result(JSON.parse(savePlan(made)) as Record<string, unknown>)
    await writePictures(flags, { ...shown, ...(measured ? { profile: measured.profile } : {}), command: call.command })
  } finally {
    await runner?.dispose?.()
  }
}

/** Totals by the cost model for each value of a sweep. */
function sweep(model: string, { flags, output, zooOnly = false }: Call, { what, values }: Sweep): void {
  const cases = values.map((value) => {
    const number = Number(value)
    const pixels = value.split('x').map(Number) as [number, number]
    const given =
      what === 'resolution' ? { resolution: pixels } : what === 'device' ? { device: value } : { [what]: number }
    const at: Flags = { ...flags, ...given }
    const options = chooseOptions(at, findDevice(at.device ?? 't4'), undefined)
    return { label: value, network: openModel(model, { ...at, zooOnly }), options }
  })
  output.settings(model, { sweep: what, rule: flags.rule })
  showSweep(cases, { what, output })
}

type Chosen = ChooseOptions & {
  readonly target: PlanTarget
  readonly dtype: DType
  readonly rule: 'intensity' | 'cost'
}

function chooseOptions(flags: Flags, device: Device, runner: LayerRunner | undefined): Chosen {
  const { target = runner ? targetOf(runner) : 'webgpu', rule, sensitivity } = flags
  const where = 'intensity-guide'
  assertOneOf(target, { where, argument: '--target', values: Object.keys(targetSchemes) as PlanTarget[] })
  assertOneOf(rule, { where, argument: '--rule', values: ['intensity', 'cost'] })
  return {
    device,
    target,
    rule,
    dtype: (flags.dtype ?? device.dtype) as DType,
    ...(sensitivity === undefined ? {} : { sensitivity }),
    ...(runner
      ? {
          schemes: (layer) => runner.schemes(layer),
          detectable: (layer, scheme) => runner.smallestDetectable(layer, scheme),
        }
      : {}),
  }
}

/** Builds begin with their engine's name. */
function targetOf({ build }: LayerRunner): PlanTarget {
  return (['webgpu', 'gpujs'] as const).find((engine) => build.startsWith(engine)) ?? 'wasm'
}

async function deviceOf(flags: Flags, runner: OpenedRunner | undefined, { output, signal }: Call): Promise<Device> {
  const { device = runner ? 'measured' : 't4', seed, cache } = flags
  if (device !== 'measured') return findDevice(device)
  if (!runner) throw new FtError('INVALID_ARGUMENT', 'intensity-guide: --device measured needs a runner')
  const progress = { signal, onProgress: output.onProgress }
  return measureDevice({ runner, seed, ...progress, ...(cache === undefined ? {} : { cache: fileCache(cache) }) })
}

interface Measured {
  readonly profile: Profile
  readonly measurements: NonNullable<ChooseOptions['measurements']>
  readonly times?: ReadonlyMap<string, number>
  /** Whether every layer was measured, so that totals are. */
  readonly whole: boolean
}

async function measure(
  network: ReadNetwork,
  { flags, output, signal, options, runner }: Call & { options: Chosen; runner: OpenedRunner },
): Promise<Measured> {
  const { profile: which = true, cache, rounds, seed } = flags
  assertInteger(rounds, { where: 'intensity-guide', argument: '--rounds', min: 12 })
  assertOneOf(which, { where: 'intensity-guide', argument: '--profile', values: [true, 'all', 'band', 'network'] })
  const whole = which !== 'band'
  const layers = whole
    ? network.layers
    : choosePerLayer(network.layers, options).flatMap(({ bound, layer }) => (bound === 'measure' ? [layer] : []))
  const shared = { runner, rounds, seed, signal, schemes: targetSchemes[options.target], onProgress: output.onProgress }
  const profile =
    which === 'network'
      ? await profileNetwork(layers, shared)
      : await profileLayers(layers, { ...shared, ...(cache === undefined ? {} : { cache: fileCache(cache) }) })
  // What selects is never what scores: one half of the rounds chooses, the other is what totals are made of.
  const measurements = measurementsOf(profile, { layers, rounds: 'even' })
  return { profile, measurements, whole, ...(whole ? { times: baseTimesOf(profile, { layers, rounds: 'even' }) } : {}) }
}

function totalsOf(
  network: ReadNetwork,
  profile: Profile,
  { made, seed }: { made: BudgetPlan['plan']; seed: number },
): MeasuredTotals {
  const { layers } = network
  const chosen = new Map(made.layers.map(({ id, scheme }) => [id, scheme]))
  const everywhere = targetSchemes[made.target].filter((scheme) => profile.shapes.every((shape) => shape.times[scheme]))
  const uniform = Object.fromEntries(everywhere.map((scheme) => [scheme, () => scheme]))
  return measuredTotals(profile, {
    layers,
    seed,
    choices: { guided: ({ id }) => chosen.get(id) ?? 'none', ...uniform },
  })
}

interface Pictures extends Shown {
  readonly profile?: Profile
  readonly command: string
}

async function writePictures(flags: Flags, { plan: made, network, command, ...shown }: Pictures): Promise<void> {
  if (flags.html === undefined && flags.svg === undefined) return
  // Drawing loads a plotting library: only when there is something to draw.
  const [{ planReport, rooflineChart }, { chart }] = await Promise.all([
    import('../report.ts'),
    import('@ft/report/charts'),
  ])
  if (flags.svg !== undefined) writeText(flags.svg, chart(rooflineChart(made, shown)))
  if (flags.html !== undefined) writeText(flags.html, planReport(made, { ...shown, left: network, repeat: command }))
}
