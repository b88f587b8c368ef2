// A network's layers from the first to the last under several plans, which go through them in step, some milliseconds at a time, in
// a process of its own: no compiled code is left over from the profile that chose the plan. Each part finds its own operands in the caches.
import { spawn } from 'node:child_process'
import process from 'node:process'
import type { Interval, LinearLayer, ProtectionScheme } from '@ft/core'
import { loadRunner } from '@ft/abft-kernels/runner'
import { createRandom } from '@ft/core/random'
import { clockFor } from './support/clock.ts'
import { bootstrapIndices, mean, median, sum } from '@ft/core/statistics'

export interface SequenceJob {
  readonly engine: 'wasm' | 'webgpu'
  readonly layers: readonly LinearLayer[]
  /** Scheme of each layer, by plan. */
  readonly plans: Readonly<Record<string, readonly ProtectionScheme[]>>
  readonly rounds: number
  readonly seed: number
}

/** Extra time of each plan as a share of the unprotected network's, and how plans differ. */
export interface Overheads {
  readonly overhead: Readonly<Record<string, Interval>>
  difference(a: string, b: string): Interval
}

/** Milliseconds of each plan: by segment of the network, one sample a round. */
type Samples = Readonly<Record<string, readonly (readonly number[])[]>>

/** Runs this module's `child` in a fresh process and takes the overheads. */
async function inFreshProcess(job: SequenceJob): Promise<ReturnType<typeof overheadsOf>> {
  const code = `const { guideSequence } = await import(${JSON.stringify(import.meta.url)}); await guideSequence.child()`
  const fresh = spawn(process.execPath, ['--input-type=module', '--eval', code], { stdio: ['pipe', 'pipe', 'inherit'] })
  fresh.stdin.end(JSON.stringify(job))
  const parts: Buffer[] = []
  fresh.stdout.on('data', (part: Buffer) => void parts.push(part))
  const exit = await new Promise<number | null>((resolve, reject) => fresh.on('error', reject).on('close', resolve))
  if (exit !== 0) throw new Error(`guide: the sequence's process ended with ${exit}`)
  return overheadsOf(JSON.parse(Buffer.concat(parts).toString('utf8')) as Samples, job.seed)
}

/**
 * A plan's time is the sum of its segments' medians: a disturbance spoils a sample, not a pass. What happens in fewer than half of a
 * segment's samples, such as most collections of garbage, is not in it; `rareIncluded` is of their means.
 */
export function overheadsOf(samples: Samples, seed: number): Overheads & { rareIncluded: Overheads['overhead'] } {
  const rounds = samples['none']?.[0]?.length ?? 0
  const total = (name: string, indices: Uint32Array, middle: (times: number[]) => number): number =>
    sum((samples[name] ?? []).map((times) => middle(Array.from(indices, (i) => times[i] as number))))
  const over = (statistic: (indices: Uint32Array) => number): Interval => bootstrapIndices(rounds, { seed, statistic })
  const overheads = (middle: (times: number[]) => number): Record<string, Interval> =>
    Object.fromEntries(
      Object.keys(samples)
        .filter((name) => name !== 'none')
        .map((name) => [name, over((indices) => total(name, indices, middle) / total('none', indices, middle) - 1)]),
    )
  return {
    overhead: overheads(median),
    rareIncluded: overheads(mean),
    difference: (a, b) =>
      over((indices) => (total(a, indices, median) - total(b, indices, median)) / total('none', indices, median)),
  }
}

/** The child's side: reads a job, writes milliseconds a pass of each plan and round. */
async function child(): Promise<void> {
  const parts: Buffer[] = []
  for await (const part of process.stdin) parts.push(part as Buffer)
  const { engine, layers, plans, rounds, seed } = JSON.parse(Buffer.concat(parts).toString('utf8')) as SequenceJob
  const runner = await loadRunner({ engine, seed })
  const followers = new Set(layers.flatMap(({ next }) => (next === undefined ? [] : [next])))
  const handles = new Map<string, { run(): Promise<void>; release(): void }>()
  const handle = async (layer: LinearLayer, scheme: ProtectionScheme) => {
    const key = `${layer.id} ${scheme}`
    const found = handles.get(key) ?? (await runner.prepare(layer, scheme, { seed, chained: followers.has(layer.id) }))
    handles.set(key, found)
    return found
  }
  const { now } = clockFor(runner.build)
  const all: Plan[] = []
  for (const [name, schemes] of Object.entries({ none: layers.map(() => 'none' as const), ...plans })) {
    const calls: Run[][] = []
    for (const [i, layer] of layers.entries()) {
      const { run } = await handle(layer, schemes[i] ?? 'none')
      calls.push(new Array<Run>(layer.count).fill(run))
    }
    all.push({ name, calls, samples: [] })
  }
  const segments = await warmUp(all, now)
  const order = createRandom(seed).stream('sequence')
  for (let round = 0; round < rounds; round++) {
    for (const [at, { start, end }] of segments.entries()) {
      for (const i of order.permutation(all.length)) {
        const { calls, samples } = all[i] as Plan
        const runs = calls.slice(start, end).flat()
        // Once without a clock, so that a segment finds its own operands in the caches, not another plan's.
        for (const run of runs) await run()
        const times = (samples[at] ??= [])
        const repeats = repeatsOf(times)
        const begun = now()
        for (let repeat = 0; repeat < repeats; repeat++) for (const run of runs) await run()
        times.push((now() - begun) / repeats)
      }
    }
  }
  for (const item of handles.values()) item.release()
  await runner.dispose()
  process.stdout.write(JSON.stringify(Object.fromEntries(all.map(({ name, samples }) => [name, samples]))))
}

type Run = () => Promise<void>

interface Plan {
  readonly name: string
  /** Calls of each layer. */
  readonly calls: readonly (readonly Run[])[]
  /** By segment. */
  readonly samples: number[][]
}

/** Passes that warm up: compiled code settles during the first passes of networks with many short layers. */
const WARM_UP = 6

/**
 * Plans go through the network in step, so many milliseconds of it at a time. Passes of ResNet-50 took 220 to 330 ms, the same
 * for seconds; in turns of a layer both the plans' ratio and each segment's median keep out of that. (Half-width of the row check
 * after 35 s: 6 points by passes, 2.3 by segments of 20 ms, 0.7 by layers.) A network that is shorter is one segment.
 */
const SEGMENT_MS = 5

/** Warms all plans up, and cuts the network by the times of the unprotected plan's layers. */
async function warmUp(plans: readonly Plan[], now: () => number): Promise<{ start: number; end: number }[]> {
  const times: number[] = []
  for (let pass = 0; pass < WARM_UP; pass++) {
    for (const { name, calls } of plans) {
      for (const [layer, runs] of calls.entries()) {
        const begun = now()
        for (const run of runs) await run()
        if (name === 'none') times[layer] = Math.min(times[layer] ?? Infinity, now() - begun)
      }
    }
  }
  const segments: { start: number; end: number }[] = []
  let [start, length] = [0, 0]
  for (const [layer, time] of times.entries()) {
    length += time
    if (length < SEGMENT_MS && layer + 1 < times.length) continue
    segments.push({ start, end: layer + 1 })
    start = layer + 1
    length = 0
  }
  return segments
}

/** Short segments are repeated to last so long a sample. */
function repeatsOf(times: readonly number[]): number {
  return Math.max(1, Math.ceil(SEGMENT_MS / Math.max(times.at(-1) ?? SEGMENT_MS, 1e-3)))
}

/** Both sides under one name, which the child's process imports from wherever this module is bundled. */
export const guideSequence = { inFreshProcess, child }
