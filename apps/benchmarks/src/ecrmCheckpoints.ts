// Part of bench "ecrm-recovery": coding beside checkpoints at their best interval, by measured costs and by one run with redo.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createRandom } from '@ft/core/random'
import { median } from '@ft/core/statistics'
import {
  createCheckpointer,
  openShards,
  train,
  trainCheckpointed,
  wastedTime,
  type ShardStore,
  type Snapshot,
} from '@ft/ecrm'
import type { BenchContext } from './bench.ts'
import { blockMs, openRun, optimizer, trainBlock, width, zipfTask } from './ecrmTask.ts'

const k = 4
const servers = 5

/** What `whileRecovering` measured: seconds to full redundancy, and the part of the throughput lost meanwhile. */
export interface Recovery {
  readonly rebuild: number
  readonly slowdown: number
  /** Seconds from the kill to the end of the first step after it. */
  readonly firstStep: number
  /** Rows of a table, of which there are four. */
  readonly rows: number
}

/** Seconds that a checkpoint of the same tables holds training up, and that reading it back takes. */
async function checkpointCosts(
  context: BenchContext,
  rows: number,
): Promise<{ stall: number; reload: number; bytes: number }> {
  const { seed } = context
  const folder = mkdtempSync(join(tmpdir(), 'ft-bench-ecrm-'))
  const run = await openRun(zipfTask(rows, 1_024, seed), { k, r: 0, servers, seed })
  try {
    await trainBlock(run, 5)
    const saver = createCheckpointer({ folder })
    const stalls: number[] = []
    let bytes = 0
    for (let i = 0; i < 3; i++) {
      const saved = await saver.save({ store: run.store, model: run.model, step: i })
      stalls.push(saved.stallMs / 1000)
      bytes = await saved.written
    }
    const start = performance.now()
    await run.store.restore((await saver.latest())!.rows)
    return { stall: median(stalls), reload: (performance.now() - start) / 1000, bytes }
  } finally {
    await run.store.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** The part by which steps take longer with redundancy, blocks in turns. */
async function codingOverhead(context: BenchContext, rows: number): Promise<number> {
  const { seed } = context
  const task = zipfTask(rows, 1_024, seed)
  const [plain, coded] = [
    await openRun(task, { k, r: 0, servers, seed }),
    await openRun(task, { k, r: 1, servers, seed }),
  ]
  try {
    // V8 compiles the shards' programs during the first 300 to 400 steps of a process.
    for (let block = 0; block < 20; block++) for (const run of [plain, coded]) await trainBlock(run, 20)
    const ratios: number[] = []
    for (let turn = 0; turn < 32; turn++) {
      const first = turn % 2 === 0
      const early = await blockMs(first ? plain : coded, 20)
      const late = await blockMs(first ? coded : plain, 20)
      ratios.push(first ? late / early : early / late)
    }
    return Math.max(0, median(ratios) - 1)
  } finally {
    await Promise.all([plain.store.close(), coded.store.close()])
  }
}

/** By the model, at the measured size and at larger ones to which the measured rates are carried on. */
export async function besideCheckpoints(context: BenchContext, recovery: Recovery): Promise<void> {
  const { stall, reload, bytes } = await checkpointCosts(context, recovery.rows)
  const overhead = await codingOverhead(context, recovery.rows)
  const facts = { bytes, stall, reload, overhead, ...recovery }
  for (const [metric, value] of Object.entries(facts))
    context.emit({
      case: 'measured',
      metric,
      value,
      unit: metric === 'bytes' ? 'B' : metric === 'rows' ? 'a table' : 's or part',
    })
  for (const gigabytes of [bytes / 2 ** 30, 44]) {
    const scale = (gigabytes * 2 ** 30) / bytes
    for (const hours of [4, 12, 24]) {
      const of = (minutes?: number) =>
        wastedTime({
          meanTimeBetweenFailures: hours * 3600,
          checkpoint: {
            stall: stall * scale,
            reload: reload * scale,
            ...(minutes === undefined ? {} : { interval: minutes * 60 }),
          },
          coding: { overhead, rebuild: recovery.rebuild * scale, slowdown: recovery.slowdown },
        })
      const best = of()
      for (const [name, wasted] of [
        ['best interval', best],
        ['Ckpt-30', of(30)],
        ['Ckpt-60', of(60)],
      ] as const)
        context.emit({
          case: `${gigabytes.toFixed(gigabytes < 1 ? 2 : 0)} GB, M = ${hours} h, ${scale === 1 ? 'measured' : 'rates carried on'}`,
          metric: `time wasted, coding beside ${name}`,
          value: wasted.coding,
          unit: 'of the useful time',
          baseline: { case: `${name}, every ${(wasted.interval / 60).toFixed(1)} min`, value: wasted.checkpoint },
          ratio: wasted.coding / wasted.checkpoint,
          ...(name === 'best interval' && scale > 1 ? { target: 'ratio <= 0.34, aim 0.12' } : {}),
        })
      // What a death costs at once: read back and do again half an interval, or one slow step.
      const redo = best.interval / 2 + reload * scale
      context.emit({
        case: `${gigabytes.toFixed(gigabytes < 1 ? 2 : 0)} GB, M = ${hours} h`,
        metric: 'recovery: reload and redo beside first step',
        value: redo,
        unit: 's',
        baseline: { case: 'first step after the kill', value: recovery.firstStep },
        ratio: redo / recovery.firstStep,
        target: 'ratio >= 9.8',
      })
      context.emit({
        case: `${gigabytes.toFixed(gigabytes < 1 ? 2 : 0)} GB, M = ${hours} h`,
        metric: 'recovery: reload and redo beside full redundancy',
        value: redo,
        unit: 's',
        baseline: { case: 'full redundancy', value: recovery.rebuild * scale },
        ratio: redo / (recovery.rebuild * scale),
      })
    }
  }
}

/** Rows whose values or optimizer state have other bits. */
function differing(one: Snapshot, other: Snapshot): number {
  let count = 0
  for (let row = 0; row < one.versions.length; row++) {
    const [start, end] = [row * one.width, (row + 1) * one.width]
    let at = start
    while (at < end && one.words[at] === other.words[at]) at++
    if (at < end) count++
  }
  return count
}

/** The same steps with the same deaths, really done: checkpoints at the best interval, and coding. */
export async function realRun(context: BenchContext): Promise<void> {
  const { seed, quick } = context
  const rows = 50_000
  const steps = quick ? 120 : 300
  const task = zipfTask(rows, 512, seed)
  const data = task.block(0, steps)
  const random = createRandom(seed).stream('deaths')
  // Deaths at random, on average every 40 steps.
  const deaths: number[] = []
  for (let at = 0; at < steps;) {
    at += Math.ceil(-40 * Math.log1p(-random.uniform()))
    if (at < steps - 1) deaths.push(at)
  }
  const training = { batch: 512, seed, bottom: [64], top: [64, 32] }
  const open = (r: number): Promise<ShardStore> =>
    openShards({ tables: task.tables, d: width, k, r, servers, optimizer, seed })
  const killer = () => {
    const left = [...deaths]
    return ({ step }: { step: number }, store: ShardStore): void => {
      if (step !== left[0]) return
      left.shift()
      store.kill(step % servers)
    }
  }

  const calm = await open(0)
  const started = performance.now()
  await train(data, { ...training, store: calm })
  const useful = (performance.now() - started) / 1000
  const expected = await calm.snapshot()
  await calm.close()

  const { stall } = await checkpointCosts(context, rows)
  const mean = (useful * 40) / steps
  const every = Math.max(1, Math.round((Math.sqrt(2 * stall * mean) / useful) * steps))
  const folder = mkdtempSync(join(tmpdir(), 'ft-bench-ecrm-'))
  try {
    // The shards of the first life are there before either run begins.
    let opened: ShardStore | undefined = await open(0)
    let startUp = 0
    const again = async (): Promise<ShardStore> => {
      const first = opened
      opened = undefined
      if (first !== undefined) return first
      const begun = performance.now()
      const next = await open(0)
      startUp += (performance.now() - begun) / 1000
      return next
    }
    const at = performance.now()
    const stormy = await trainCheckpointed(data, { ...training, open: again, folder, every, onStep: killer() })
    // Coding has a process standing by; a job that rolls back could have some too, so that their start does not count.
    const checkpointed = (performance.now() - at) / 1000 - startUp
    const rolledBack = differing(expected, await stormy.store.snapshot())
    await stormy.store.close()

    for (const apart of [false, true]) {
      const store = await open(1)
      const kill = killer()
      const due = new Set(deaths)
      const from = performance.now()
      await train(data, {
        ...training,
        store,
        async onStep(record) {
          // r = 1 bears a death at a time. The wait for the redundancy that the one before took counts against coding.
          if (apart && due.has(record.step)) await store.recovered()
          kill(record, store)
        },
      })
      const coded = (performance.now() - from) / 1000
      const lost = await store.recovered()
      const differ = differing(expected, await store.snapshot())
      await store.close()
      const how = apart ? 'each death waits for full redundancy, counted' : 'deaths as they fall'
      const name = `real run, ${steps} steps, ${deaths.length} deaths, checkpoint every ${every} steps, ${how}`
      // Deaths as they fall can be more than r at once.
      const target = apart ? { target: '0' } : {}
      context.emit({ case: name, metric: 'rows lost for good', value: lost.length, unit: 'rows', n: 1, ...target })
      context.emit({
        case: name,
        metric: "rows whose bits are not the calm run's, coding",
        value: differ,
        unit: 'rows',
        baseline: { case: 'checkpoints', value: rolledBack },
        n: 1,
        ...target,
      })
      context.emit({
        case: name,
        metric: 'time beyond the calm run, coding',
        value: coded - useful,
        unit: 's',
        baseline: {
          case: `checkpoints, ${stormy.redone} steps done again, ${startUp.toFixed(2)} s of starting shards not counted`,
          value: checkpointed - useful,
        },
        ratio: (coded - useful) / (checkpointed - useful),
        n: 1,
        target: 'ratio <= 0.34',
      })
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
