// Part of bench "ecrm-recovery": two workers on the same shards, together and each by itself, with deaths and without.
import { mean, meanInterval } from '@ft/core/statistics'
import type { FlightTask } from '@ft/datasets'
import { evaluate, openShards, train, type Snapshot } from '@ft/ecrm'
import { bounds, type BenchContext } from './bench.ts'
import { flights, flightSamples, optimizer, width } from './ecrmTask.ts'

const k = 4
const servers = 5
const batch = 2_048
/** Steps between deaths. */
const every = 20

interface Plan {
  readonly workers: number
  readonly mode: 'sync' | 'async'
  readonly kills: boolean
  /** Of an epoch. */
  readonly steps: number
  readonly epochs?: number
  readonly seed: number
}

interface Outcome {
  readonly auc: number
  readonly seconds: number
  readonly deaths: number
  /** Rows that no code could give back. */
  readonly lost: number
  readonly rows: Snapshot
}

async function run(task: FlightTask, { workers, mode, kills, steps, epochs = 1, seed }: Plan): Promise<Outcome> {
  const data = flights(task, batch).block(0, steps)
  const tables = task.categorical.map(({ size }) => ({ rows: size }))
  const store = await openShards({ tables, d: width, k, r: 1, servers, optimizer, seed })
  try {
    let deaths = 0
    const start = performance.now()
    const { model } = await train(data, {
      store,
      batch,
      seed,
      epochs,
      bottom: [64],
      top: [64, 32],
      workers,
      mode,
      async onStep({ step }) {
        if (!kills || step % every !== every / 2) return
        // r = 1 bears a death at a time.
        while (store.replacements < deaths) await new Promise((resolve) => setTimeout(resolve, 5))
        await store.recovered()
        store.kill(deaths++ % servers)
      },
    })
    const seconds = (performance.now() - start) / 1000
    const lost = (await store.recovered()).length
    const test = flightSamples(task, task.split.test.start, task.split.test.end)
    const { auc } = await evaluate(model, test, { store })
    return { auc, seconds, deaths, lost, rows: await store.snapshot() }
  } finally {
    await store.close()
  }
}

const differing = (one: Uint32Array, other: Uint32Array): number =>
  one.reduce((count, word, i) => count + Number(word !== other[i]), 0)

export async function withWorkers(context: BenchContext, task: FlightTask): Promise<void> {
  const { quick, seed } = context
  const steps = quick ? 80 : 240
  const alone = await run(task, { workers: 1, mode: 'sync', kills: false, steps, seed })
  await together(context, task, { steps, alone })
  await apart(context, task, { steps, alone })
}

/** The same bits, whatever dies. */
async function together(
  context: BenchContext,
  task: FlightTask,
  { steps, alone }: { steps: number; alone: Outcome },
): Promise<void> {
  const plan = { workers: 2, mode: 'sync', steps, seed: context.seed } as const
  const calm = await run(task, { ...plan, kills: false })
  const stormy = await run(task, { ...plan, kills: true })
  const name = 'flights, two workers, sync'
  context.emit({
    case: `${name}, ${stormy.deaths} kills`,
    metric: 'test AUC',
    value: stormy.auc,
    unit: '',
    baseline: { case: 'none', value: calm.auc },
    ratio: stormy.auc / calm.auc,
    target: 'difference 0',
  })
  context.emit({
    case: `${name}, ${stormy.deaths} kills, beside none`,
    metric: 'words of rows and state that differ',
    value: differing(stormy.rows.words, calm.rows.words),
    unit: `of ${calm.rows.words.length}`,
    target: '0',
  })
  emitBeside(context, name, { calm, alone })
}

/** Every gradient once, in another order each time: what that does to the model is told over several seeds. */
async function apart(
  context: BenchContext,
  task: FlightTask,
  { steps, alone }: { steps: number; alone: Outcome },
): Promise<void> {
  const { quick, seed } = context
  const epochs = quick ? 2 : 1
  const name = `flights, two workers, async, ${steps * epochs} steps`
  const [calmAuc, stormyAuc]: [number[], number[]] = [[], []]
  let [deaths, lost, miscounted] = [0, 0, 0]
  for (let i = 0; i < (quick ? 4 : 8); i++) {
    const plan = { workers: 2, mode: 'async', steps, epochs, seed: seed + i } as const
    const calm = await run(task, { ...plan, kills: false })
    const stormy = await run(task, { ...plan, kills: true })
    calmAuc.push(calm.auc)
    stormyAuc.push(stormy.auc)
    deaths += stormy.deaths
    lost += stormy.lost
    miscounted += differing(stormy.rows.versions, calm.rows.versions)
    if (i === 0 && epochs === 1) emitBeside(context, name, { calm, alone })
  }
  context.emit({
    case: `${name}, ${deaths} kills`,
    metric: 'rows lost, or updated more or less often than without kills',
    value: lost + miscounted,
    unit: 'rows',
    target: '0',
  })
  const differences = stormyAuc.map((auc, i) => auc - calmAuc[i]!)
  context.emit({
    case: `${name}, ${deaths} kills: ${mean(stormyAuc).toFixed(4)}; none: ${mean(calmAuc).toFixed(4)}`,
    metric: 'test AUC, mean difference over seeds',
    value: mean(differences),
    unit: '',
    ...bounds(meanInterval(differences)),
    target: '|difference| < 0.002',
  })
}

function emitBeside(context: BenchContext, name: string, { calm, alone }: { calm: Outcome; alone: Outcome }): void {
  context.emit({
    case: name,
    metric: 'test AUC',
    value: calm.auc,
    unit: '',
    baseline: { case: 'one worker', value: alone.auc },
    ratio: calm.auc / alone.auc,
  })
  context.emit({
    case: name,
    metric: 'time of the training',
    value: calm.seconds,
    unit: 's',
    baseline: { case: 'one worker', value: alone.seconds },
    ratio: calm.seconds / alone.seconds,
    n: 1,
  })
}
