// A DLRM of the sampled flights trained twice in step: on shards that are killed, and on a twin that is not. Runs in a
// worker of the page with shards in memory, and on the demo's server with shards in processes.
import type { Batch, DenseModel, MemoryShardOptions, Samples, ShardStore, Snapshot, StepState } from '@ft/ecrm/memory'
import { createDenseModel, openShards, trainStep } from '@ft/ecrm/memory'
import { createRandom } from '@ft/core/random'
import { createWasmEngine } from '@ft/tensor-core/wasm'
import type { FlightsSample } from '../data/format.ts'
import type { News, RunSettings, View } from './messages.ts'

const WIDTH = 8
const BATCH = 128
const STEPS = 1200
const K = 4
const VIEW_MS = 100

export interface ShardsRun {
  kill(server: number): void
  /** Compares every bit of both runs, between two steps. */
  compare(): void
  /** Resolves when the run has ended and its processes have. */
  readonly ended: Promise<void>
}

export interface RunOptions {
  readonly flights: FlightsSample
  readonly settings: RunSettings
  /** Opens the shards that are struck; default in this thread. The twin's always are. */
  readonly open?: (options: MemoryShardOptions) => Promise<ShardStore>
  readonly signal: AbortSignal
  readonly tell: (news: News) => void
}

interface Side {
  readonly store: ShardStore
  readonly state: StepState
  readonly model: DenseModel
}

export function runShards(options: RunOptions): ShardsRun {
  const wishes = { kills: [] as number[], compare: false }
  const ended = run(options, wishes).catch((error: unknown) => {
    if (!options.signal.aborted) options.tell({ kind: 'failed', why: String(error) })
  })
  return {
    kill: (server) => void wishes.kills.push(server),
    compare: () => void (wishes.compare = true),
    ended,
  }
}

async function run(
  { flights, settings, open, signal, tell }: RunOptions,
  wishes: { kills: number[]; compare: boolean },
): Promise<void> {
  const samples = samplesOf(flights)
  const struck = await openSide(samples, { settings, open: open ?? openShards })
  const twin = await openSide(samples, { settings, open: openShards })
  const done: { -readonly [Key in keyof Omit<View, 'kind' | 'servers'>]: View[Key] } & {
    losses: number[]
    twinLosses: number[]
    kills: { step: number; server: number }[]
  } = {
    step: 0,
    losses: [],
    twinLosses: [],
    unlike: 0,
    kills: [],
    rows: struck.store.layout.rows,
    replaced: 0,
    lost: 0,
    longestMs: 0,
    recoveryMs: undefined,
  }
  let shownAt = 0
  const show = async (): Promise<void> => {
    shownAt = performance.now()
    const { layout } = struck.store
    const reports = await struck.store.report()
    const servers = reports.map(({ missingRows, pulledRows, pushedRows }) => {
      return {
        data: layout.dataRows,
        parity: layout.parityRows,
        missing: missingRows,
        pulled: pulledRows,
        pushed: pushedRows,
      }
    })
    tell({
      kind: 'view',
      ...done,
      replaced: struck.store.replacements,
      losses: [...done.losses],
      twinLosses: [...done.twinLosses],
      kills: [...done.kills],
      servers,
    })
  }
  const random = createRandom(settings.seed).stream('batches')
  try {
    await show()
    while (done.step < STEPS && !signal.aborted) {
      for (const server of wishes.kills.splice(0)) {
        done.kills.push({ step: done.step, server })
        const begun = performance.now()
        struck.store.kill(server)
        void struck.store.recovered().then(
          (lost) => {
            done.lost = lost.length
            done.recoveryMs = performance.now() - begun
          },
          () => undefined,
        )
      }
      if (wishes.compare) {
        wishes.compare = false
        for (const { state } of [struck, twin]) {
          await state.before
          await state.pushing
        }
        tell({ kind: 'compared', step: done.step, ...(await compare(struck, twin)) })
      }
      const batch = drawBatch(samples, struck.store.offsets, random)
      const begun = performance.now()
      const loss = await trainStep(struck.state, batch)
      const took = performance.now() - begun
      const twinLoss = await trainStep(twin.state, batch)
      done.step++
      done.losses.push(loss)
      done.twinLosses.push(twinLoss)
      done.longestMs = Math.max(done.longestMs, took)
      if (!Object.is(loss, twinLoss)) done.unlike++
      if (performance.now() - shownAt > VIEW_MS) await show()
      await pause(Math.max(0, 1000 / settings.pace - (performance.now() - begun)))
    }
    await show()
    // A finished run can still be broken and compared
    while (!signal.aborted && open === undefined) {
      await pause(VIEW_MS)
      for (const server of wishes.kills.splice(0)) struck.store.kill(server)
      if (wishes.compare) tell({ kind: 'compared', step: done.step, ...(await compare(struck, twin)) })
      wishes.compare = false
      await show()
    }
  } finally {
    await Promise.all([struck.store.close(), twin.store.close()])
  }
}

async function openSide(
  samples: Samples,
  { settings, open }: Required<Pick<RunOptions, 'settings' | 'open'>>,
): Promise<Side> {
  const optimizer = { name: 'adagrad', learningRate: 0.03 } as const
  const store = await open({
    tables: samples.categorical.map(({ size }) => ({ rows: size })),
    d: WIDTH,
    k: K,
    r: settings.r,
    servers: K + settings.r,
    optimizer,
    seed: settings.seed,
    sweep: { stripes: settings.sweep, pause: 20 },
  })
  const model = createDenseModel({
    engine: createWasmEngine({ threads: 1 }),
    features: samples.dense.length / samples.label.length,
    tables: samples.categorical.length,
    d: WIDTH,
    bottom: [32],
    top: [32],
    optimizer,
    seed: settings.seed,
  })
  return { store, model, state: { model, store, pushing: Promise.resolve() } }
}

function samplesOf({ data, features, known, categorical, ids, label, train }: FlightsSample): Samples {
  const dense = new Float32Array(train * known)
  for (let row = 0; row < train; row++)
    dense.set(data.subarray(row * features.length, row * features.length + known), row * known)
  return {
    dense,
    categorical: categorical.map(({ size }, c) => ({
      size,
      ids: Uint32Array.from({ length: train }, (_, row) => ids[row * categorical.length + c] as number),
    })),
    label: label.subarray(0, train),
  }
}

function drawBatch(samples: Samples, offsets: readonly number[], random: ReturnType<typeof createRandom>): Batch {
  const rows = samples.label.length
  const features = samples.dense.length / rows
  const tables = samples.categorical.length
  const [dense, ids, labels] = [
    new Float32Array(BATCH * features),
    new Uint32Array(BATCH * tables),
    new Float32Array(BATCH),
  ]
  for (let i = 0; i < BATCH; i++) {
    const row = random.integer(0, rows - 1)
    dense.set(samples.dense.subarray(row * features, (row + 1) * features), i * features)
    samples.categorical.forEach((column, t) => (ids[i * tables + t] = (offsets[t] ?? 0) + (column.ids[row] ?? 0)))
    labels[i] = samples.label[row] ?? 0
  }
  return { dense, ids, labels }
}

async function compare(a: Side, b: Side): Promise<{ numbers: number; differing: number }> {
  const [x, y]: [Snapshot, Snapshot] = [await a.store.snapshot(), await b.store.snapshot()]
  const pairs: [ArrayLike<number>, ArrayLike<number>][] = [
    [x.words, y.words],
    [x.versions, y.versions],
    ...a.model.parameters.map((own, i): [Float32Array, Float32Array] => [
      own,
      b.model.parameters[i] ?? new Float32Array(),
    ]),
  ]
  let [numbers, differing] = [0, 0]
  for (const [own, other] of pairs) {
    numbers += own.length
    for (let i = 0; i < own.length; i++) if (!Object.is(own[i], other[i])) differing++
  }
  return { numbers, differing }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
