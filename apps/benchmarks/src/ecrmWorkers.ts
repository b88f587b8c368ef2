// Part of bench "ecrm-recovery": two workers on the same shards, together and each by itself, with deaths and without.
import type { FlightTask } from '@ft/datasets'
import { evaluate, openShards, train, type Snapshot } from '@ft/ecrm'
import type { BenchContext } from './bench.ts'
import { flights, flightSamples, optimizer, width } from './ecrmTask.ts'

const k = 4
const servers = 5
const batch = 2_048
/** Steps between deaths. */
const every = 20

interface Outcome {
  readonly auc: number
  readonly seconds: number
  readonly deaths: number
  readonly rows: Snapshot
}

async function run(
  context: BenchContext,
  task: FlightTask,
  { workers, mode, kills }: { workers: number; mode: 'sync' | 'async'; kills: boolean },
): Promise<Outcome> {
  const { seed, quick } = context
  const data = flights(task, batch).block(0, quick ? 80 : 240)
  const tables = task.categorical.map(({ size }) => ({ rows: size }))
  const store = await openShards({ tables, d: width, k, r: 1, servers, optimizer, seed })
  try {
    let deaths = 0
    const start = performance.now()
    const { model } = await train(data, {
      store,
      batch,
      seed,
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
    await store.recovered()
    const test = flightSamples(task, task.split.test.start, task.split.test.end)
    const { auc } = await evaluate(model, test, { store })
    return { auc, seconds, deaths, rows: await store.snapshot() }
  } finally {
    await store.close()
  }
}

export async function withWorkers(context: BenchContext, task: FlightTask): Promise<void> {
  const alone = await run(context, task, { workers: 1, mode: 'sync', kills: false })
  for (const mode of ['sync', 'async'] as const) {
    const calm = await run(context, task, { workers: 2, mode, kills: false })
    const stormy = await run(context, task, { workers: 2, mode, kills: true })
    const name = `flights, two workers, ${mode}`
    context.emit({
      case: `${name}, ${stormy.deaths} kills`,
      metric: 'test AUC',
      value: stormy.auc,
      unit: '',
      baseline: { case: 'none', value: calm.auc },
      ratio: stormy.auc / calm.auc,
      target: mode === 'sync' ? 'difference 0' : 'difference < 0.002',
    })
    if (mode === 'sync')
      context.emit({
        case: `${name}, ${stormy.deaths} kills, beside none`,
        metric: 'words of rows and state that differ',
        value: stormy.rows.words.reduce((count, word, i) => count + Number(word !== calm.rows.words[i]), 0),
        unit: `of ${calm.rows.words.length}`,
        target: '0',
      })
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
}
