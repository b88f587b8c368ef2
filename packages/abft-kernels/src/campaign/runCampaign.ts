// A fault-injection campaign: many single faults inside the measured kernels, each classified and counted.
import { assertInteger, FtError, throwIfAborted, type LinearLayer } from '@ft/core'
import { createRandom, type Random } from '@ft/core/random'
import { hashOfBytes } from '../hash.ts'
import { createKernels } from '../kernels.ts'
import { allSources, type FaultSource } from './sources.ts'
import { subjectOfModel, subjectsOfShapes, type Subject } from './subject.ts'
import { Tally } from './tally.ts'
import type { CampaignOptions, CampaignResult } from './types.ts'

/** How often a run that is stopped has said how far it came. */
const REPORT_EVERY = 16

/**
 * Runs a campaign.
 *
 * Trial t takes the sources in turn, a layer in proportion to the places that it offers, and a place and effect of its own
 * random stream: the same for any number of shards. A detected fault is run a second time with correction on, whose output
 * must have the clean bits to count as corrected.
 *
 * Guarantees: seeded; stopped by `signal` it rejects with `ABORTED`, whose `details.result` resumes it: nothing is lost.
 *
 * @throws FtError `INVALID_ARGUMENT` for neither or both of model and shapes, `UNSUPPORTED` for an engine without
 * `instrumented: true`, `FINGERPRINT_MISMATCH` for a resumed result of another campaign, `INVALID_ARGUMENT` for one of
 * another number of shards, `UNSUPPORTED` for random checksum weights of a scheme that takes none
 */
export async function runCampaign(options: CampaignOptions): Promise<CampaignResult> {
  const { engine, calibration, scheme = 'row', trials, seed, shard = { index: 0, count: 1 } } = options
  const { checksumWeights = 'ones' } = options
  assertInteger(trials, { where: 'runCampaign', argument: 'trials', min: 1 })
  assertInteger(shard.index, { where: 'runCampaign', argument: 'shard.index', min: 0, max: shard.count - 1 })
  const weighted = checksumWeights === 'random'
  // Sums with random weights are no registers of the engine.
  const sources = (options.faults ?? allSources()).filter(
    ({ schemes, site }) => (schemes?.includes(scheme) ?? true) && !(weighted && site === 'checksum'),
  )
  const kernels = createKernels({ engine, ...(calibration && { calibration }) })
  const subjects = await subjectsOf(options, kernels)
  try {
    const places = placesOf(subjects, sources)
    const tally = new Tally({
      build: engine.build,
      scheme,
      ...(weighted && { checksumWeights }),
      seed,
      trials,
      threshold: subjects[0]?.threshold ?? 'hard',
      fingerprint: fingerprintOf(subjects, sources, calibration),
    })
    let start = shard.index
    if (options.resume) {
      tally.resume(options.resume)
      start = tally.startOf(shard)
    }
    const random = createRandom(seed).stream('campaign')
    for (let trial = start; trial < trials; trial += shard.count) {
      stopIfAborted(options.signal, () => tally.result([{ ...shard, done: trial }]))
      const drawn = drawTrial(trial, { sources, places, random })
      await strikeOnce(drawn, tally)
      const done = Math.floor((trial - shard.index) / shard.count) + 1
      if (done % REPORT_EVERY === 0 || trial + shard.count >= trials)
        options.onProgress?.({ phase: 'campaign', done, total: Math.ceil((trials - shard.index) / shard.count) })
    }
    return tally.result([{ ...shard, done: trials }])
  } finally {
    for (const subject of subjects) subject.release()
  }
}

function subjectsOf(options: CampaignOptions, kernels: ReturnType<typeof createKernels>): Promise<Subject[]> {
  const { model, shapes, scheme = 'row', seed, checksumWeights = 'ones' } = options
  if ((model === undefined) === (shapes === undefined) || shapes?.length === 0)
    throw new FtError('INVALID_ARGUMENT', 'runCampaign: give either `model` or `shapes`, with at least one layer', {})
  const checks = { scheme, seed, checksumWeights }
  if (model) return subjectOfModel(kernels, model, checks).then((subject) => [subject])
  return subjectsOfShapes(kernels, shapes ?? [], checks)
}

interface Place {
  readonly subject: Subject
  readonly layer: LinearLayer
}

interface Drawn extends Place {
  readonly source: FaultSource
  readonly fault: ReturnType<FaultSource['draw']>
}

interface Places {
  readonly all: readonly Place[]
  /** For each source, cumulative numbers of places. */
  readonly ends: readonly (readonly number[])[]
}

function placesOf(subjects: readonly Subject[], sources: readonly FaultSource[]): Places {
  const all = subjects.flatMap((subject) => subject.layers.map((layer) => ({ subject, layer })))
  const ends = sources.map((source) => {
    let total = 0
    // A wrong input is the network's own, and so belongs to a subject's first layer.
    const weight = ({ subject, layer }: Place) =>
      source.site === 'input' && subject.layers[0] !== layer ? 0 : source.population(layer) * layer.count
    return all.map((place) => (total += weight(place)))
  })
  return { all, ends }
}

function drawTrial(
  trial: number,
  { sources, places, random }: { sources: readonly FaultSource[]; places: Places; random: Random },
): Drawn {
  const own = random.stream('trial', trial)
  const which = trial % sources.length
  const source = sources[which] as FaultSource
  const ends = places.ends[which] as readonly number[]
  const target = own.uniform() * (ends[ends.length - 1] as number)
  const place = places.all[ends.findIndex((end) => target < end)] as Place
  return { ...place, source, fault: source.draw(place.layer, own) }
}

async function strikeOnce({ subject, layer, source, fault }: Drawn, tally: Tally): Promise<void> {
  const { output, reports } = await subject.run(fault, { onFault: 'report' })
  const outcome = subject.classify(output)
  const detected = reports.some(({ detections }) => detections.length > 0)
  const corrected =
    detected && outcome !== 'masked' && subject.same((await subject.run(fault, { onFault: 'correct' })).output)
  tally.add(
    { layer: layer.id, site: source.site, model: source.name, bit: fault.bit },
    { outcome, detected, corrected },
  )
}

function stopIfAborted(signal: AbortSignal | undefined, result: () => CampaignResult): void {
  try {
    throwIfAborted(signal, 'runCampaign')
  } catch (cause) {
    throw new FtError(
      'ABORTED',
      'runCampaign: stopped by its signal; details.result resumes it',
      { result: result() },
      { cause },
    )
  }
}

/** Of shapes, fault models, all data, and what the thresholds were fitted to. */
function fingerprintOf(
  subjects: readonly Subject[],
  sources: readonly FaultSource[],
  calibration: CampaignOptions['calibration'],
): string {
  const text = JSON.stringify([
    subjects.map(({ layers, contents }) => [layers, contents]),
    sources.map(({ name }) => name),
    calibration ?? null,
  ])
  return hashOfBytes(new TextEncoder().encode(text)).toString(16).padStart(8, '0')
}
