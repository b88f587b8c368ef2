// A network run from its first layer to its last under several plans, in a process of its own: no cache or compiled code
// is left over from the profile that chose the plan.
import { spawn } from 'node:child_process'
import process from 'node:process'
import type { Interval, LinearLayer, ProtectionScheme } from '@ft/core'
import { loadRunner } from '@ft/abft-kernels/runner'
import { createRandom } from '@ft/core/random'
import { clockFor } from './support/clock.ts'
import { bootstrapIndices, median, ratioInterval } from '@ft/core/statistics'

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

type Samples = Readonly<Record<string, readonly number[]>>

/** Runs this module's `child` in a fresh process and takes the overheads of its passes. */
async function inFreshProcess(job: SequenceJob): Promise<Overheads> {
  const code = `const { guideSequence } = await import(${JSON.stringify(import.meta.url)}); await guideSequence.child()`
  const fresh = spawn(process.execPath, ['--input-type=module', '--eval', code], { stdio: ['pipe', 'pipe', 'inherit'] })
  fresh.stdin.end(JSON.stringify(job))
  const parts: Buffer[] = []
  fresh.stdout.on('data', (part: Buffer) => void parts.push(part))
  const exit = await new Promise<number | null>((resolve, reject) => fresh.on('error', reject).on('close', resolve))
  if (exit !== 0) throw new Error(`guide: the sequence's process ended with ${exit}`)
  return overheadsOf(JSON.parse(Buffer.concat(parts).toString('utf8')) as Samples, job.seed)
}

function overheadsOf(samples: Samples, seed: number): Overheads {
  const none = samples['none'] ?? []
  const of = (name: string) => samples[name] ?? []
  const overhead = Object.fromEntries(
    Object.keys(samples)
      .filter((name) => name !== 'none')
      .map((name): [string, Interval] => {
        const ratio = ratioInterval(of(name).map((value, i) => ({ value, baseline: none[i] as number })))
        return [name, { ...ratio, value: ratio.value - 1, low: ratio.low - 1, high: ratio.high - 1 }]
      }),
  )
  return {
    overhead,
    difference: (a, b) => {
      const less = none.map((base, i) => ((of(a)[i] as number) - (of(b)[i] as number)) / base)
      const statistic = (indices: Uint32Array) => median(Array.from(indices, (i) => less[i] as number))
      return bootstrapIndices(less.length, { seed, statistic })
    },
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
  const passes: [string, (() => Promise<void>)[]][] = []
  for (const [name, schemes] of Object.entries({ none: layers.map(() => 'none' as const), ...plans })) {
    const calls: (() => Promise<void>)[] = []
    for (const [i, layer] of layers.entries()) {
      const { run } = await handle(layer, schemes[i] ?? 'none')
      for (let call = 0; call < layer.count; call++) calls.push(run)
    }
    passes.push([name, calls])
  }
  const { now } = clockFor(runner.build)
  const order = createRandom(seed).stream('sequence')
  const samples: Record<string, number[]> = {}
  for (let round = -WARM_UP; round < rounds; round++) {
    for (const i of order.permutation(passes.length)) {
      const [name, calls] = passes[i] as (typeof passes)[number]
      const repeats = round < 0 ? 1 : repeatsOf(samples[name])
      // Once without a clock: a network that runs over and over finds its own operands in the caches, not another plan's.
      for (const call of calls) await call()
      const start = now()
      for (let repeat = 0; repeat < repeats; repeat++) for (const call of calls) await call()
      ;(samples[name] ??= []).push((now() - start) / repeats)
    }
  }
  for (const times of Object.values(samples)) times.splice(0, WARM_UP)
  for (const item of handles.values()) item.release()
  await runner.dispose()
  process.stdout.write(JSON.stringify(samples))
}

/** Rounds that warm up: compiled code settles during the first passes of networks with many short layers. */
const WARM_UP = 6

/** Short passes are repeated to last 20 ms a sample. */
function repeatsOf(samples: readonly number[] | undefined): number {
  return Math.max(1, Math.ceil(20 / Math.max(samples?.at(-1) ?? 20, 1e-3)))
}

/** Both sides under one name, which the child's process imports from wherever this module is bundled. */
export const guideSequence = { inFreshProcess, child }
