// Step "serve": the trained DLRM behind an Open Inference Protocol gateway whose worker processes are late, die and stop.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Interval } from '@ft/core'
import { aucDifference, aucInterval, bootstrapIndices, logLossInterval, quantile, wilson } from '@ft/core/statistics'
import {
  createModelRunner,
  firstWins,
  hedge,
  hold,
  sum,
  writeModelFolder,
  type DenseLayer,
  type GatewayOptions,
  type WorkerSpec,
} from '@ft/parm'
import type { Dlrm } from '../dlrm.ts'
import { baseRate, levelRates } from '../rates.ts'
import { pickBackend } from '../backend.ts'
import { serveArm, type Served } from '../serving/load.ts'
import { networkFingerprint, openNetwork, vectorsOf, type NetworkShape } from '../serving/servedNetwork.ts'
import { trainParity } from '../serving/trainParity.ts'
import type { Troubles } from '../serving/delay.ts'
import type { ServedOptions } from '../serving/worker.ts'
import { exactly, type Claim, type Step, type StepContext } from '../story.ts'

const M = 4
const K = 2
const RATE = 150
const SERVICE_MS = 8
const LATE = { lateShare: 0.02, lateMs: [60, 160] as const }
const DEADLINE_MS = 1500
/** When a query is late: then it is asked again, or reconstructed. */
const LATE_AFTER_MS = 3 * SERVICE_MS

export const serveStep: Step = {
  name: 'serve',
  title: 'Serve it while workers are late, die and stop',
  async run(context) {
    const { output, flights, dlrm } = context
    const { task } = await flights()
    const trained = await dlrm()
    const network = servedNetwork(trained)
    const parity = await parityOf(context, trained, network)
    const { start, end } = task.split.test
    const labels = task.label.subarray(start, end)
    const rebuilt = rebuild(parity, network)
    const threshold = baseRate(task)
    output.text(
      `Vectors of ${network.vectors.shape[1]} numbers: dense features and looked-up embeddings. ${M} workers of ${SERVICE_MS} ms, ${RATE} queries a second; ` +
        `${LATE.lateShare * 100} % of the responses leave ${LATE.lateMs.join(' to ')} ms late, one worker gets SIGKILL, one SIGSTOP for 0.4 s. ` +
        `Coded: groups of ${K}, ${M / K} workers run a parity model that was trained here in ${parity.seconds.toFixed(1)} s.`,
    )
    const arms = await runArms(context, { network, parity })
    showTails(context, arms)
    const byHour = levelRates(task, 'hourOfWeek').subarray(start, end)
    const agree = agreement(network.exact, rebuilt, Math.log(threshold / (1 - threshold)))
    const scored = { labels, exact: network.exact.map(probability), rebuilt: rebuilt.map(probability), byHour, agree }
    showAnswers(context, scored)
    return claims(context, { arms, ...scored })
  },
}

interface ServedNetwork {
  readonly shape: NetworkShape
  readonly parameters: readonly Float32Array[]
  readonly fingerprint: string
  /** Of the test flights. */
  readonly vectors: ReturnType<typeof vectorsOf>
  /** Log odds of the test flights. */
  readonly exact: Float64Array
  readonly run: ReturnType<typeof openNetwork>
}

function servedNetwork({ test, twin }: Dlrm): ServedNetwork {
  const shape = { features: test.dense.length / test.label.length, tables: test.categorical.length }
  const { parameters } = twin.trained.model
  const run = openNetwork(shape, parameters)
  const vectors = vectorsOf(test, twin)
  const exact = Float64Array.from(run(vectors).data)
  return { shape, parameters, fingerprint: networkFingerprint(parameters), vectors, exact, run }
}

interface Parity {
  readonly layers: readonly DenseLayer[]
  readonly seconds: number
}

async function parityOf(
  { options, output }: StepContext,
  { learn, twin }: Dlrm,
  { run }: ServedNetwork,
): Promise<Parity> {
  const begun = performance.now()
  const vectors = vectorsOf(learn, twin)
  const { tf } = await pickBackend()
  const steps = options.quick ? 300 : 1000
  const layers = await trainParity({
    tf,
    vectors,
    logOdds: Float64Array.from(run(vectors).data),
    steps,
    seed: options.seed,
    output,
  })
  return { layers, seconds: (performance.now() - begun) / 1000 }
}

/** Log odds of every test flight as if its own answer were lost: the parity model's output for its pair less the other's. */
function rebuild({ layers }: Parity, { vectors, exact }: ServedNetwork): Float64Array {
  const [rows = 0, width = 0] = vectors.shape
  const pairs = Math.floor(rows / 2)
  const data = new Float32Array(pairs * width)
  for (let i = 0; i < data.length; i++) {
    const at = Math.floor(i / width) * 2 * width + (i % width)
    data[i] = (vectors.data[at] as number) + (vectors.data[at + width] as number)
  }
  const sums = createModelRunner(layers)({ data, shape: [pairs, width], dtype: 'float32' }).data
  return Float64Array.from({ length: 2 * pairs }, (_, row) => (sums[row >> 1] as number) - (exact[row ^ 1] as number))
}

const probability = (logOdds: number): number => 1 / (1 + Math.exp(-logOdds))

/** Share of flights on the same side of the threshold by both. */
function agreement(exact: Float64Array, rebuilt: Float64Array, threshold: number): Interval {
  const same = rebuilt.filter((value, row) => value > threshold === (exact[row] as number) > threshold).length
  return wilson({ successes: same, trials: rebuilt.length })
}

interface Arm extends Served {
  readonly name: string
  readonly workers: number
  /** Of which answers are the joined ones. */
  readonly passes: readonly Served[]
}

function joined(name: string, workers: number, passes: readonly Served[]): Arm {
  const swapped = passes.reduce((sum, pass) => sum + pass.swapped, 0)
  return { name, workers, passes, swapped, answers: passes.flatMap(({ answers }) => answers) }
}

async function runArms(
  { options, output }: StepContext,
  { network, parity }: { network: ServedNetwork; parity: Parity },
): Promise<Arm[]> {
  const folder = await mkdtemp(join(tmpdir(), 'ft-demo-'))
  try {
    const file = join(folder, 'network.bin')
    await writeFile(
      file,
      Buffer.concat(network.parameters.map((p) => Buffer.from(p.buffer, p.byteOffset, p.byteLength))),
    )
    const binding = { baseFingerprint: network.fingerprint, code: 'sum', k: K }
    await writeModelFolder(join(folder, 'parity'), { layers: parity.layers, parity: binding })
    const width = network.vectors.shape[1] as number
    const worker = (seed: number, model: ServedOptions['model']): WorkerSpec => {
      const troubles: Troubles = { serviceMs: SERVICE_MS, ...LATE, seed: options.seed * 1000 + seed }
      const served: ServedOptions = { width, fingerprint: network.fingerprint, model, troubles }
      // A late response does not keep its worker from the next queries
      return {
        worker: { module: fileURLToPath(new URL('./worker.js', import.meta.url)), options: served },
        concurrency: 8,
      }
    }
    const sizes = network.parameters.map(({ length }) => length)
    const base = (count: number) =>
      Array.from({ length: count }, (_, i) => worker(i, { kind: 'network', shape: network.shape, file, sizes }))
    const parities = Array.from({ length: M / K }, (_, i) =>
      worker(100 + i, { kind: 'parity', folder: join(folder, 'parity'), code: `sum/${K}` }),
    )
    const shared = { deadlineMs: DEADLINE_MS, maxGroupWaitMs: 50 }
    const arms: { name: string; workers: number; gateway: Omit<GatewayOptions, 'model'> }[] = [
      { name: 'none', workers: M, gateway: { ...shared, instances: base(M), policy: firstWins() } },
      {
        name: 'equal resources',
        workers: M + M / K,
        gateway: { ...shared, instances: base(M + M / K), policy: firstWins() },
      },
      {
        name: 'hedging',
        workers: M + M / K,
        gateway: { ...shared, instances: base(M + M / K), policy: hedge({ afterMs: LATE_AFTER_MS }) },
      },
      {
        name: 'coded',
        workers: M + M / K,
        gateway: {
          ...shared,
          instances: base(M),
          parityInstances: parities,
          code: sum({ k: K }),
          policy: hold({ afterMs: LATE_AFTER_MS }),
        },
      },
    ]
    // Of each arm and pass: eight of them in all, and each starts its processes anew
    const [queries, warmUp] = options.quick ? [300, 50] : [1000, 100]
    // Forth and back: whatever else the machine does meanwhile meets no arm alone
    const orders = [arms, [...arms].reverse()]
    const results = new Map<string, Arm>()
    for (const [pass, order] of orders.entries()) {
      for (const { name, workers, gateway } of order) {
        const served = await serveArm(gateway, {
          vectors: network.vectors.data,
          width,
          exact: network.exact,
          queries,
          warmUp,
          rate: RATE,
          seed: options.seed * 2 + pass,
          onProgress: (done) => output.onProgress({ phase: `serve, ${name}`, done, total: queries }),
        })
        const { passes = [] } = results.get(name) ?? {}
        results.set(name, joined(name, workers, [...passes, served]))
      }
    }
    return arms.flatMap(({ name }) => results.get(name) ?? [])
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

const latencies = ({ answers }: Served): Float64Array => Float64Array.from(answers, ({ latencyMs }) => latencyMs)
const countOf = ({ answers }: Arm, quality: string): number => answers.filter((one) => one.quality === quality).length

function showTails({ output, chart }: StepContext, arms: readonly Arm[]): void {
  output.table(arms, [
    { header: 'serving', value: (arm) => arm.name },
    { header: 'workers', value: (arm) => arm.workers, format: 'plain' },
    ...[0.5, 0.99, 0.999].map((p) => ({
      header: `p${p * 100}`,
      unit: 'ms',
      value: (arm: Arm) => quantile(latencies(arm), p),
      digits: 3,
    })),
    { header: 'reconstructed', value: (arm) => countOf(arm, 'reconstructed') / arm.answers.length, format: 'percent' },
    { header: 'unanswered', value: (arm) => countOf(arm, 'none'), format: 'plain' },
  ])
  for (const arm of arms)
    output.result({
      step: 'serve',
      arm: arm.name,
      workers: arm.workers,
      queries: arm.answers.length,
      p50: quantile(latencies(arm), 0.5),
      p99: quantile(latencies(arm), 0.99),
      p999: quantile(latencies(arm), 0.999),
      reconstructed: countOf(arm, 'reconstructed'),
      unanswered: countOf(arm, 'none'),
    })
  chart({
    title: 'Queries slower than a latency',
    subtitle: 'Share of queries; the same queries at the same times for every arm',
    x: { label: 'latency', unit: 'ms', scale: 'log' },
    y: { label: 'share of queries slower', scale: 'log' },
    series: arms.map((arm) => {
      const sorted = latencies(arm).sort()
      return {
        kind: 'line',
        name: arm.name,
        points: Array.from(sorted, (x, i) => ({ x, y: (sorted.length - i) / sorted.length })),
      }
    }),
  })
}

interface Scored {
  readonly labels: Uint8Array
  readonly exact: Float64Array
  /** Of the flights in whole pairs. */
  readonly rebuilt: Float64Array
  readonly byHour: Float64Array
  readonly agree: Interval
}

function showAnswers({ output }: StepContext, { labels, exact, rebuilt, byHour, agree }: Scored): void {
  const n = rebuilt.length
  const rows = [
    { answers: 'exact', probabilities: exact.subarray(0, n), agree: undefined },
    { answers: 'reconstructed (each test flight as if its own were lost)', probabilities: rebuilt, agree },
    { answers: 'instead: late rate of the hour of the week', probabilities: byHour.subarray(0, n), agree: undefined },
  ].map((row) => ({
    ...row,
    auc: aucInterval({ scores: row.probabilities, labels: labels.subarray(0, n) }),
    logLoss: logLossInterval({ probabilities: row.probabilities, labels: labels.subarray(0, n) }),
  }))
  output.table(rows, [
    { header: 'answers', value: (row) => row.answers },
    { header: 'AUC', value: (row) => row.auc, digits: 4 },
    { header: 'log loss', value: (row) => row.logLoss, digits: 4 },
    { header: 'same side of the base rate as exact', value: (row) => row.agree, format: 'percent' },
  ])
  for (const row of rows)
    output.result({ step: 'serve', answers: row.answers, auc: row.auc, logLoss: row.logLoss, agreement: row.agree })
}

function claims({ options }: StepContext, o: Scored & { arms: readonly Arm[] }): Claim[] {
  const [, equal, , coded] = o.arms as [Arm, Arm, Arm, Arm]
  const shorter = differenceOf(coded.passes, equal.passes, options.seed)
  const total = (of: (arm: Arm) => number) => exactly(o.arms.reduce((sum, arm) => sum + of(arm), 0))
  const labels = o.labels.subarray(0, o.rebuilt.length)
  return [
    { text: 'p99 of coded serving is below that of as many workers without coding (ms)', measured: shorter, below: 0 },
    {
      text: 'every query is answered by its deadline, killed and stopped workers or not (unanswered)',
      measured: total((arm) => countOf(arm, 'none')),
      below: 0.5,
    },
    {
      text: 'no answer goes to another query (exact answers that differ from the network’s)',
      measured: total((arm) => arm.swapped),
      below: 0.5,
    },
    {
      text: 'reconstructed answers beat the hour of the week (AUC difference)',
      measured: aucDifference({ first: o.rebuilt, second: o.byHour.subarray(0, o.rebuilt.length), labels }),
      above: 0,
    },
  ]
}

/**
 * p99 of the first less that of the second, query by query within a pass. Passes differ by more than chance within them says:
 * the interval holds the intervals of all of them.
 */
function differenceOf(first: readonly Served[], second: readonly Served[], seed: number): Interval {
  const each = first.map((pass, i) => {
    const [a, b] = [latencies(pass), latencies(second[i] as Served)]
    const p99 = (values: Float64Array, indices: Uint32Array) =>
      quantile(
        Float64Array.from(indices, (at) => values[at] as number),
        0.99,
      )
    return bootstrapIndices(a.length, {
      statistic: (indices) => p99(a, indices) - p99(b, indices),
      seed,
      resamples: 400,
    })
  })
  return {
    value: each.reduce((sum, { value }) => sum + value, 0) / each.length,
    low: Math.min(...each.map(({ low }) => low)),
    high: Math.max(...each.map(({ high }) => high)),
    confidence: 0.95,
    n: each.reduce((sum, { n }) => sum + n, 0),
  }
}
