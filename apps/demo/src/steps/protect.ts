// Step "protect": test flights through the trained network on checked kernels, while bits flip inside the kernels.
import type { Fault, Interval, Tensor } from '@ft/core'
import { createRandom, type Random } from '@ft/core/random'
import { aucDifference, aucInterval, wilson } from '@ft/core/statistics'
import { createKernels, type Kernels, type ProtectedWeights, type Report } from '@ft/abft-kernels'
import { createWasmEngine } from '@ft/tensor-core/wasm'
import type { TrainedNetwork } from '../trainNetwork.ts'
import { protectExported } from './protectExported.ts'
import type { Claim, Step } from '../story.ts'

/** Flights in one pass. */
const BATCH = 256
/** A change of a flight's probability that someone would notice. */
const CRITICAL = 0.01
/** Flips in one batch, where many strike at once. */
const SHOWER = 40

interface Layer {
  readonly weights: ProtectedWeights
  readonly bias: Tensor
}

interface Pass {
  readonly scores: Float32Array
  readonly reports: readonly Report[]
}

interface Counts {
  faults: number
  changed: number
  critical: number
  criticalFound: number
  found: number
  exact: number
}

export const protectStep: Step = {
  name: 'protect',
  title: 'Protect the network while bits flip inside its products',
  async run(context) {
    const { options, output, flights, network } = context
    const { task } = await flights()
    const trained = await network()
    const engine = createWasmEngine({ threads: 1, instrumented: true })
    try {
      output.text(
        'Calibrating thresholds for this engine, then one fault at a time in a random product, at a random bit.',
      )
      const kernels = await createKernels({ engine }).calibrated({
        trials: 4,
        seed: options.seed + 1,
        onProgress: output.onProgress,
      })
      const layers = await Promise.all(
        trained.layers.map(async ({ weights, bias }): Promise<Layer> => ({
          weights: await kernels.prepare(weights),
          bias,
        })),
      )
      const random = createRandom(options.seed).stream('protect')
      const { start, end } = task.split.test
      const batches = Math.floor((end - start) / BATCH)
      const input = (batch: number) => rowsOf(trained, start + batch * BATCH)

      const { falseAlarms, checks } = await cleanRuns(
        kernels,
        layers,
        Array.from({ length: Math.min(batches, 40) }, (_, batch) => input(batch)),
      )
      const showers = await underShowers(kernels, layers, {
        input,
        batches: Math.min(batches, options.quick ? 16 : 60),
        random,
      })
      const labels = task.label.subarray(start, start + showers.clean.length)
      const aucOf = (scores: readonly number[]) => aucInterval({ scores, labels })

      const trials = options.quick ? 600 : 2000
      const counts: Counts = { faults: 0, changed: 0, critical: 0, criticalFound: 0, found: 0, exact: 0 }
      for (let trial = 0; trial < trials; trial++) {
        await strike(kernels, layers, input(random.integer(0, batches - 1)), random, counts)
        output.onProgress({ phase: 'inject faults', done: trial + 1, total: trials })
      }
      const share = (successes: number, of: number): Interval => wilson({ successes, trials: Math.max(1, of) })
      const found = share(counts.criticalFound, counts.critical)
      const exact = share(counts.exact, counts.found)
      const alarms = share(falseAlarms, checks)
      output.table(
        [
          { what: 'faults injected (accumulators, outputs; any bit)', count: counts.faults },
          { what: 'layer outputs changed', count: counts.changed },
          { what: 'critical: a probability moved by more than 0.01', count: counts.critical },
          { what: 'critical and found', count: counts.criticalFound, share: found },
          { what: 'found in all, of those changed', count: counts.found, share: share(counts.found, counts.changed) },
          { what: 'corrected to the clean bits, of those found', count: counts.exact, share: exact },
          { what: `false alarms in ${checks.toLocaleString('en-US')} clean checks`, count: falseAlarms, share: alarms },
        ],
        [
          { header: 'what', value: (row) => row.what },
          { header: 'count', value: (row) => row.count, format: 'plain' },
          { header: 'share', value: (row) => row.share, format: 'percent' },
        ],
      )
      output.table(
        [
          { what: 'nothing struck', auc: aucOf(showers.clean) },
          { what: `${SHOWER} flips in each batch of ${BATCH}, unprotected`, auc: aucOf(showers.hurt) },
          { what: 'the same flips, protected', auc: aucOf(showers.guarded) },
        ],
        [
          { header: 'flights under a shower of flips', value: (row) => row.what },
          { header: 'AUC', value: (row) => row.auc, digits: 4 },
        ],
      )
      output.result({ step: 'protect', ...counts, falseAlarms, checks })
      return [
        ...claims(found, exact, alarms),
        {
          text: 'protected flights keep the clean ranking under a shower of flips (AUC lost)',
          measured: aucDifference({ first: showers.clean, second: showers.guarded, labels }),
          below: 1e-4,
        },
        ...(await protectExported(context, trained)),
      ]
    } finally {
      await engine.dispose()
    }
  },
}

function claims(found: Interval, exact: Interval, alarms: Interval): Claim[] {
  return [
    { text: 'more than 95 % of the critical faults are found', measured: found, above: 0.95 },
    { text: 'more than 98 % of the found faults are corrected to the clean bits', measured: exact, above: 0.98 },
    { text: 'clean checks alarm less than once in 1,000', measured: alarms, below: 1e-3 },
  ]
}

function rowsOf({ dense }: TrainedNetwork, row: number): Tensor {
  return {
    data: dense.data.slice(row * dense.width, (row + BATCH) * dense.width),
    shape: [BATCH, dense.width],
    dtype: 'float32',
  }
}

/** The network's forward pass; `fault` strikes one layer. Scores are log odds. */
async function forward(
  kernels: Kernels,
  layers: readonly Layer[],
  input: Tensor,
  { scheme, fault }: { scheme: 'none' | 'row'; fault?: { layer: number; fault: Fault | readonly Fault[] } },
): Promise<Pass & { readonly layerOutputs: readonly Tensor[] }> {
  let x = input
  const reports: Report[] = []
  const layerOutputs: Tensor[] = []
  for (const [index, { weights, bias }] of layers.entries()) {
    const { output, report } = await kernels.matmul(x, weights, {
      scheme,
      bias,
      ...(index < layers.length - 1 ? { activation: 'relu' as const } : {}),
      ...(fault?.layer === index ? { faults: [fault.fault].flat() } : {}),
    })
    reports.push(report)
    layerOutputs.push(output)
    x = output
  }
  return { scores: Float32Array.from(x.data), reports, layerOutputs }
}

/** Scores of whole batches: clean, and with many flips in the last product's accumulators, unprotected and protected. */
async function underShowers(
  kernels: Kernels,
  layers: readonly Layer[],
  { input, batches, random }: { input: (batch: number) => Tensor; batches: number; random: Random },
): Promise<Record<'clean' | 'hurt' | 'guarded', number[]>> {
  const scores = { clean: [] as number[], hurt: [] as number[], guarded: [] as number[] }
  const layer = layers.length - 1
  const { k } = (layers[layer] as Layer).weights
  for (let batch = 0; batch < batches; batch++) {
    const fault = Array.from({ length: SHOWER }, (): Fault => ({
      site: { kind: 'accumulator', row: random.integer(0, BATCH - 1), column: 0, step: random.integer(0, k - 1) },
      effect: { kind: 'flip', bits: [random.integer(23, 31)] },
    }))
    const x = input(batch)
    const add = (to: number[], pass: Pass) =>
      // What is not a number says nothing of its flight
      pass.scores.forEach((score) => to.push(Number.isNaN(score) ? 0 : score))
    add(scores.clean, await forward(kernels, layers, x, { scheme: 'none' }))
    add(scores.hurt, await forward(kernels, layers, x, { scheme: 'none', fault: { layer, fault } }))
    add(scores.guarded, await forward(kernels, layers, x, { scheme: 'row', fault: { layer, fault } }))
  }
  return scores
}

async function cleanRuns(
  kernels: Kernels,
  layers: readonly Layer[],
  inputs: readonly Tensor[],
): Promise<{ falseAlarms: number; checks: number }> {
  let [falseAlarms, checks] = [0, 0]
  for (const input of inputs) {
    const { reports } = await forward(kernels, layers, input, { scheme: 'row' })
    for (const report of reports) {
      falseAlarms += report.detections.length
      checks += report.checks
    }
  }
  return { falseAlarms, checks }
}

async function strike(
  kernels: Kernels,
  layers: readonly Layer[],
  input: Tensor,
  random: Random,
  counts: Counts,
): Promise<void> {
  const layer = random.integer(0, layers.length - 1)
  const { k, n } = (layers[layer] as Layer).weights
  const place = { row: random.integer(0, BATCH - 1), column: random.integer(0, n - 1) }
  const fault: Fault = {
    site: random.bernoulli(0.5)
      ? { kind: 'accumulator', ...place, step: random.integer(0, k - 1) }
      : { kind: 'output', ...place },
    effect: { kind: 'flip', bits: [random.integer(0, 31)] },
  }
  const clean = await forward(kernels, layers, input, { scheme: 'none' })
  const hurt = await forward(kernels, layers, input, { scheme: 'none', fault: { layer, fault } })
  const guarded = await forward(kernels, layers, input, { scheme: 'row', fault: { layer, fault } })
  counts.faults++
  const before = clean.layerOutputs[layer] as Tensor
  if (!same(before, hurt.layerOutputs[layer] as Tensor)) counts.changed++
  const critical = clean.scores.some(
    (score, row) => !(Math.abs(probability(score) - probability(hurt.scores[row] as number)) <= CRITICAL),
  )
  const found = guarded.reports[layer]?.status === 'corrected'
  if (critical) counts.critical++
  if (critical && found) counts.criticalFound++
  if (!found) return
  counts.found++
  if (same(before, guarded.layerOutputs[layer] as Tensor)) counts.exact++
}

const probability = (score: number): number => 1 / (1 + Math.exp(-score))

function same(a: Tensor, b: Tensor): boolean {
  return a.data.every((value, i) => Object.is(value, b.data[i]))
}
