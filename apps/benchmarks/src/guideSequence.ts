// A network run from its first layer to its last under several plans, in a process of its own: no cache or compiled code
// is left over from the profile that chose the plan.
import { spawn } from 'node:child_process'
import process from 'node:process'
import type { Interval, LinearLayer, ProtectionScheme } from '@ft/core'
import { loadRunner } from '@ft/abft-kernels/runner'
import { createRandom } from '@ft/core/random'
import { clockFor } from './support/clock.ts'
import { bootstrapIndices, median } from '@ft/core/statistics'

export interface SequenceJob {
  readonly engine: 'wasm' | 'webgpu'
  readonly layers: readonly LinearLayer[]
  /** Scheme of each layer, by plan. */
  readonly plans: Readonly<Record<string, readonly ProtectionScheme[]>>
  readonly rounds: number
  readonly seed: number
  /**
   * Reads the clock after every layer of a pass instead of at its end: for long layers. What disturbs one layer of a pass then
   * spoils that layer's sample, not the whole pass's.
   */
  readonly byLayer: boolean
}

/** Extra time of each plan as a share of the unprotected network's, and how plans differ. */
export interface Overheads {
  readonly overhead: Readonly<Record<string, Interval>>
  difference(a: string, b: string): Interval
}

/** Milliseconds of each round of each plan: of the pass, or of each of its calls. */
export type Samples = Readonly<Record<string, readonly (readonly number[])[]>>

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

/**
 * A part of a pass costs the median of its unprotected times, and a plan adds that times (median ratio within rounds - 1): of one
 * part, the whole pass, the overhead is the median ratio less 1. Intervals resample whole rounds.
 */
export function overheadsOf(samples: Samples, seed: number): Overheads {
  const of = (name: string) => samples[name] ?? []
  const none = of('none')
  const parts = none[0]?.length ?? 0
  const ratios = new Map(
    Object.keys(samples).map((name) => [
      name,
      Array.from({ length: parts }, (_, part) =>
        of(name).map((times, round) => (times[part] as number) / (none[round]?.[part] as number)),
      ),
    ]),
  )
  const at = (values: readonly number[], rounds: Uint32Array) =>
    median(Array.from(rounds, (round) => values[round] as number))
  const baseOf = Array.from({ length: parts }, (_, part) => none.map((times) => times[part] as number))
  const added = (name: string, rounds: Uint32Array) => {
    let [base, extra] = [0, 0]
    for (const [part, ratio] of (ratios.get(name) ?? []).entries()) {
      const time = at(baseOf[part] as number[], rounds)
      base += time
      extra += time * (at(ratio, rounds) - 1)
    }
    return extra / base
  }
  const names = Object.keys(samples).filter((name) => name !== 'none')
  return {
    overhead: Object.fromEntries(
      names.map((name) => [name, bootstrapIndices(none.length, { seed, statistic: (rounds) => added(name, rounds) })]),
    ),
    difference: (a, b) =>
      bootstrapIndices(none.length, { seed, statistic: (rounds) => added(a, rounds) - added(b, rounds) }),
  }
}

/** The child's side: reads a job, writes milliseconds a pass of each plan and round. */
async function child(): Promise<void> {
  const parts: Buffer[] = []
  for await (const part of process.stdin) parts.push(part as Buffer)
  const { engine, layers, plans, rounds, seed, byLayer } = JSON.parse(
    Buffer.concat(parts).toString('utf8'),
  ) as SequenceJob
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
  const samples: Record<string, number[][]> = {}
  for (let round = -WARM_UP; round < rounds; round++) {
    for (const i of order.permutation(passes.length)) {
      const [name, calls] = passes[i] as (typeof passes)[number]
      const last = (samples[name] ??= []).at(-1)?.reduce((sum, time) => sum + time, 0)
      const repeats = round < 0 || byLayer ? 1 : repeatsOf(last)
      // Once without a clock: a network that runs over and over finds its own operands in the caches, not another plan's.
      for (const call of calls) await call()
      const times: number[] = []
      let start = now()
      const read = () => {
        const end = now()
        times.push((end - start) / repeats)
        start = end
      }
      for (let repeat = 0; repeat < repeats; repeat++)
        for (const call of calls) {
          await call()
          if (byLayer) read()
        }
      if (!byLayer) read()
      samples[name].push(times)
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
function repeatsOf(last: number | undefined): number {
  return Math.max(1, Math.ceil(20 / Math.max(last ?? 20, 1e-3)))
}

/** Both sides under one name, which the child's process imports from wherever this module is bundled. */
export const guideSequence = { inFreshProcess, child }
