// The DLRM of late arrivals: embeddings on erasure-coded shard processes, trained once for all steps that use it.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  evaluate,
  openShards,
  saveCheckpoint,
  train,
  type Samples,
  type Saveable,
  type ShardStore,
  type Snapshot,
  type Trained,
} from '@ft/ecrm'
import type { FlightTask, Range } from '@ft/datasets'
import type { Output } from '@ft/report'
import type { DemoOptions } from './story.ts'

/** Data rows a stripe, width of embeddings, flights a step. */
export const K = 4
export const WIDTH = 16
export const BATCH = 512
const BOTTOM = [64]
const TOP = [64, 32]

export interface Run {
  readonly trained: Trained
  readonly snapshot: Snapshot
  readonly probabilities: Float32Array
  /** Milliseconds between finished steps. */
  readonly gaps: Float64Array
  readonly lost: number
  readonly replacements: number
  /** First embedding row of each categorical feature. */
  readonly offsets: readonly number[]
  /** Milliseconds that one whole checkpoint takes: training would stand still. */
  readonly checkpointMs: number
  /** After a kill: milliseconds until full redundancy was back, and the gaps between steps meanwhile. */
  readonly recovery: { readonly ms: number; readonly gaps: Float64Array } | undefined
}

export interface Dlrm {
  readonly learn: Samples
  readonly test: Samples
  readonly epochs: number
  readonly steps: number
  /** Erasure-coded, no server failed. */
  readonly twin: Run
}

export async function trainDlrm(
  task: FlightTask,
  { options, output }: { options: DemoOptions; output: Output },
): Promise<Dlrm> {
  const learn = samplesOf(task, task.split.train)
  const test = samplesOf(task, task.split.test)
  const epochs = options.quick ? 1 : 2
  const steps = epochs * Math.ceil(learn.label.length / BATCH)
  const twin = await runOnce({ learn, test, epochs, seed: options.seed, r: 1, phase: 'never failed', output })
  return { learn, test, epochs, steps, twin }
}

export interface RunOptions {
  readonly learn: Samples
  readonly test: Samples
  readonly epochs: number
  readonly seed: number
  readonly r: 0 | 1
  readonly kill?: number
  readonly phase: string
  readonly output: Output
}

export async function runOnce({ learn, test, epochs, seed, r, kill, phase, output }: RunOptions): Promise<Run> {
  const optimizer = { name: 'adagrad', learningRate: 0.03 } as const
  const tables = learn.categorical.map(({ size }) => ({ rows: size }))
  const store: ShardStore = await openShards({ tables, d: WIDTH, k: K, r, servers: K + 1, optimizer, seed })
  try {
    const finished: number[] = [performance.now()]
    let struckAt: number | undefined
    let recovered: Promise<number> | undefined
    const trained = await train(learn, {
      store,
      epochs,
      batch: BATCH,
      bottom: BOTTOM,
      top: TOP,
      optimizer,
      seed,
      onProgress: (progress) => output.onProgress({ ...progress, phase: `train, ${phase}` }),
      onStep: ({ step }) => {
        finished.push(performance.now())
        if (step !== kill) return
        store.kill(2)
        struckAt = performance.now()
        recovered = store.recovered().then(() => performance.now())
      },
    })
    const lost = (await store.recovered()).length
    const { probabilities } = await evaluate(trained.model, test, { store })
    const snapshot = await store.snapshot()
    const gaps = Float64Array.from(finished.slice(1), (at, i) => at - (finished[i] as number))
    const checkpointMs = await timeCheckpoint({ store, model: trained.model })
    return {
      trained,
      snapshot,
      checkpointMs,
      recovery: struckAt === undefined ? undefined : recoveryOf(finished, [struckAt, (await recovered) ?? struckAt]),
      probabilities,
      gaps,
      lost,
      replacements: store.replacements,
      offsets: store.offsets,
    }
  } finally {
    await store.close()
  }
}

function recoveryOf(finished: readonly number[], [from, to]: readonly [number, number]): Run['recovery'] {
  const gaps = finished.flatMap((at, i) => {
    const before = finished[i - 1]
    // A step counts where it began
    return before !== undefined && before >= from && before <= to ? [at - before] : []
  })
  return { ms: to - from, gaps: Float64Array.from(gaps) }
}

async function timeCheckpoint(what: Saveable): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'ft-demo-'))
  try {
    const begun = performance.now()
    await saveCheckpoint(join(folder, 'checkpoint'), what)
    return performance.now() - begun
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function samplesOf(task: FlightTask, { start, end }: Range): Samples {
  const { data, shape, names } = task.numeric
  const width = shape[1]
  const dense = new Float32Array((end - start) * width)
  for (let i = 0; i < dense.length; i++) {
    const column = i % names.length
    const value =
      ((data[start * width + i] as number) - (task.scale.mean[column] as number)) /
      (task.scale.deviation[column] as number)
    dense[i] = Math.min(Math.max(value, -5), 5)
  }
  return {
    dense,
    categorical: task.categorical.map(({ size, ids }) => ({ size, ids: ids.subarray(start, end) })),
    label: task.label.subarray(start, end),
  }
}

/** Inputs and outputs of the network's dense layers, in order. */
export function denseShapes(task: FlightTask): { readonly id: string; readonly k: number; readonly n: number }[] {
  const vectors = task.categorical.length + 1
  const stack = (name: string, widths: readonly number[]) =>
    widths.slice(1).map((n, i) => ({ id: `${name} ${i + 1}`, k: widths[i] as number, n }))
  return [
    ...stack('bottom', [task.numeric.names.length, ...BOTTOM, WIDTH]),
    // The top network sees the bottom's output and the products of all pairs of vectors
    ...stack('top', [WIDTH + (vectors * (vectors - 1)) / 2, ...TOP, 1]),
  ]
}
