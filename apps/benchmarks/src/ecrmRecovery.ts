// Bench "ecrm-recovery": what a death costs: the longest gap, the throughput while rows come back, and what is left of it.
import { median, ratioInterval } from '@ft/core/statistics'
import { flightTask, readFlights, type FlightTask } from '@ft/datasets'
import { evaluate, openShards, trainPartiallyRecovered, type ShardStore } from '@ft/ecrm'
import { bounds, type Bench, type BenchContext } from './bench.ts'
import { withWorkers } from './ecrmWorkers.ts'
import { besideCheckpoints, realRun, type Recovery } from './ecrmCheckpoints.ts'
import {
  differentSteps,
  flights,
  flightSamples,
  openRun,
  optimizer,
  width,
  sum,
  trainBlock,
  zipfTask,
  type Run,
} from './ecrmTask.ts'

const k = 4
const servers = 5

export const ecrmRecovery: Bench = {
  name: 'ecrm-recovery',
  title: 'Erasure-coded embedding shards while servers die',
  // 'checkpoints' needs what 'recovering' measures, and runs it.
  parts: ['recovering', 'checkpoints', 'run', 'gaps', 'model', 'workers'],
  async run(context) {
    if (context.wants('checkpoints')) await besideCheckpoints(context, await whileRecovering(context))
    else if (context.wants('recovering')) await whileRecovering(context)
    if (context.wants('run')) await realRun(context)
    if (!['gaps', 'model', 'workers'].some((part) => context.wants(part))) return
    const task = flightTask(await readFlights(), { rows: context.quick ? 200_000 : 600_000, seed: context.seed })
    if (context.wants('gaps')) await gaps(context, task)
    if (context.wants('model')) {
      await sameModel(context, task)
      await staleReload(context, task)
    }
    if (context.wants('workers')) await withWorkers(context, task)
  },
}

/** Milliseconds until the server is replaced and no row is missing anywhere. */
async function untilRedundant(store: ShardStore, replacements: number): Promise<number> {
  const start = performance.now()
  while (store.replacements < replacements) await new Promise((resolve) => setTimeout(resolve, 5))
  await store.recovered()
  return performance.now() - start
}

/**
 * Steps of a block while rows come back and while none do. Each is a training of its own, whose first steps nobody has announced to
 * the shards: in a long training there is one such start.
 */
const blockSteps = 100

/** In ms: until a process that stands by is started and has warmed up beside training. */
const standbyMs = 5_000

/** Trains blocks of that length, `steps` altogether; milliseconds from each step to the next. */
async function usualSteps(run: Run, steps: number): Promise<number[]> {
  const all: number[] = []
  while (all.length < steps) all.push(...(await trainBlock(run, blockSteps)))
  return all
}

/** A large table, so that recovery lasts: steps from the kill to full redundancy beside the steps before and after. */
async function whileRecovering(context: BenchContext): Promise<Recovery> {
  const { seed, quick } = context
  const rows = quick ? 100_000 : 250_000
  const run = await openRun(zipfTask(rows, 1_024, seed), { k, r: 1, servers, seed })
  try {
    const usual: number[] = []
    const pairs: { value: number; baseline: number }[] = []
    const whole: number[] = []
    const first: number[] = []
    // Every block is made.
    for (let block = 0; block < differentSteps / blockSteps; block++) run.task.block(block, blockSteps)
    const begun = performance.now() + standbyMs
    while (performance.now() < begun) await usualSteps(run, blockSteps)
    for (let round = 0; round < 12; round++) {
      const before = await usualSteps(run, blockSteps)
      const gapsOf: number[] = []
      let redundant: Promise<number> | undefined
      let done = false
      while (!done) {
        const block = await trainBlock(run, blockSteps, (step) => {
          if (redundant !== undefined || step > 0) return
          run.store.kill(round % servers)
          redundant = untilRedundant(run.store, round + 1)
          void redundant.then(() => (done = true))
        })
        gapsOf.push(...block)
      }
      const ms = await redundant!
      whole.push(ms)
      first.push(gapsOf[1]!)
      // Steps finished from the kill, which follows the first, to full redundancy.
      let [steps, elapsed] = [0, 0]
      for (const gap of gapsOf.slice(1)) {
        if (elapsed + gap > ms) break
        steps++
        elapsed += gap
      }
      // A process is started that stands by, and warms up a second later: neither recovery nor usual.
      const standing = performance.now() + standbyMs
      while (performance.now() < standing) await usualSteps(run, blockSteps)
      const after = await usualSteps(run, blockSteps)
      // Steps before and after: what the machine does meanwhile falls on both sides alike.
      const normal = (2 * blockSteps) / sum([...before, ...after])
      usual.push(1 / normal)
      pairs.push({ value: steps / elapsed, baseline: normal })
    }
    const ratio = ratioInterval(pairs)
    context.emit({
      case: `four tables of ${rows} rows, kill -9 to full redundancy`,
      metric: 'throughput',
      value: median(pairs.map(({ value }) => value * 1_024_000)),
      unit: 'samples/s',
      baseline: { case: 'before and after', value: median(pairs.map(({ baseline }) => baseline * 1_024_000)) },
      ratio: ratio.value,
      ...bounds(ratio),
      target: 'ratio >= 0.87',
    })
    context.emit({
      case: 'same',
      metric: 'first step after the kill',
      value: median(first),
      unit: 'ms',
      baseline: { case: 'a step', value: median(usual) },
      ratio: median(first) / median(usual),
      n: first.length,
    })
    context.emit({ case: 'same', metric: 'kill to full redundancy', value: median(whole), unit: 'ms', n: whole.length })
    const slowdown = Math.max(0, 1 - ratio.value)
    return { rebuild: median(whole) / 1000, slowdown, firstStep: median(first) / 1000, rows }
  } finally {
    await run.store.close()
  }
}

/** The longest time between two finished steps around each kind of death. */
async function gaps(context: BenchContext, task: FlightTask): Promise<void> {
  const timeout = 500
  for (const [how, name, target] of [
    ['kill', 'kill -9', 'value <= 1000'],
    ['pause', 'SIGSTOP', `value <= ${timeout} + 500`],
    ['isolate', 'connection that swallows everything', `value <= ${timeout} + 500`],
  ] as const) {
    const run = await openRun(flights(task, 2_048), { k, r: 1, servers, seed: context.seed })
    try {
      await trainBlock(run, 20)
      const longest: number[] = []
      for (let round = 0; round < (context.quick ? 3 : 8); round++) {
        const after = await trainBlock(run, 20, (step) => {
          if (step === 0) run.store[how](round % servers)
        })
        while (run.store.replacements <= round) await new Promise((resolve) => setTimeout(resolve, 5))
        await run.store.recovered()
        longest.push(Math.max(...after.slice(1)))
      }
      context.emit({
        case: `${name}, ${longest.length} times; heartbeat 100 ms x 5`,
        metric: 'longest gap between two steps',
        value: Math.max(...longest),
        unit: 'ms',
        baseline: { case: 'the median of them', value: median(longest) },
        ratio: Math.max(...longest) / median(longest),
        n: longest.length,
        target,
      })
    } finally {
      await run.store.close()
    }
  }
}

/** A run in which servers are killed beside one in which none is: quality on the test days, and the bits. */
async function sameModel(context: BenchContext, task: FlightTask): Promise<void> {
  const open = (): Promise<Run> => openRun(flights(task, 2_048), { k, r: 1, servers, seed: context.seed })
  const [stormy, calm] = [await open(), await open()]
  try {
    for (let block = 0; block < (context.quick ? 4 : 12); block++) {
      await trainBlock(stormy, 20, (step) => step === 5 && stormy.store.kill(block % servers))
      await stormy.store.recovered()
      await trainBlock(calm, 20)
    }
    const test = flightSamples(task, task.split.test.start, task.split.test.end)
    const aucOf = async ({ model, store }: Run): Promise<number> => (await evaluate(model!, test, { store })).auc
    const [first, second] = [await stormy.store.snapshot(), await calm.store.snapshot()]
    context.emit({
      case: `flights, ${stormy.store.replacements} kills, beside none`,
      metric: 'words of rows and state that differ',
      value: first.words.reduce((count, word, i) => count + Number(word !== second.words[i]), 0),
      unit: `of ${first.words.length}`,
      target: '0',
    })
    const [value, baseline] = [await aucOf(stormy), await aucOf(calm)]
    context.emit({
      case: `flights, ${stormy.store.replacements} kills`,
      metric: 'test AUC',
      value,
      unit: '',
      baseline: { case: 'none', value: baseline },
      ratio: value / baseline,
      target: 'difference 0',
    })
  } finally {
    await Promise.all([stormy.store.close(), calm.store.close()])
  }
}

/** What partial recovery does to the model: a server's rows go back to a snapshot of 50 steps ago at the most. */
async function staleReload(context: BenchContext, task: FlightTask): Promise<void> {
  const steps = context.quick ? 80 : 240
  const batch = 2_048
  const every = 50
  const data = flights(task, batch).block(0, steps)
  const test = flightSamples(task, task.split.test.start, task.split.test.end)
  const tables = task.categorical.map(({ size }) => ({ rows: size }))
  // Just before each snapshot, as late as can be.
  const late = Array.from({ length: Math.floor(steps / every) }, (_, i) => ({
    step: (i + 1) * every - 2,
    server: i % servers,
  }))
  const aucs: number[] = []
  let lost = 0
  for (const deaths of [[], late]) {
    const store = await openShards({
      tables,
      d: width,
      k,
      r: 0,
      servers,
      optimizer,
      where: 'memory',
      seed: context.seed,
    })
    const { model, lostUpdates } = await trainPartiallyRecovered(data, {
      store,
      batch,
      seed: context.seed,
      every,
      deaths,
    })
    aucs.push((await evaluate(model, test, { store })).auc)
    lost = lostUpdates
    await store.close()
  }
  const [baseline, value] = aucs as [number, number]
  context.emit({
    case: `flights, ${late.length} stale reloads, ${lost} row updates gone`,
    metric: 'test AUC',
    value,
    unit: '',
    baseline: { case: 'none', value: baseline },
    ratio: value / baseline,
  })
}
