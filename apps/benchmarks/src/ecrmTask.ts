// What the ecrm benches train: the flights, and rows of a large table drawn by Zipf's law; blocks of steps with their times.
import process from 'node:process'
import { createRandom } from '@ft/core/random'
import { median, ratioInterval } from '@ft/core/statistics'
import type { FlightTask } from '@ft/datasets'
import {
  openShards,
  train,
  type DenseModel,
  type Samples,
  type ShardOptions,
  type ShardStore,
  type TrainOptions,
} from '@ft/ecrm'
import { bounds, type BenchContext } from './bench.ts'

export const width = 16
export const optimizer = { name: 'adagrad', learningRate: 0.03 } as const

/** A task and where its blocks begin. */
export interface Task {
  readonly tables: readonly { rows: number }[]
  readonly batch: number
  /** Samples of block `block`, `steps` batches of them; blocks come again when the rows are used up. */
  block(block: number, steps: number): Samples
}

/** Rows `start` to `end` of the flights as samples, scaled by the training rows. */
export function flightSamples(task: FlightTask, start: number, end: number): Samples {
  const features = task.numeric.shape[1]
  const { mean, deviation } = task.scale
  const values = task.numeric.data.subarray(start * features, end * features)
  return {
    dense: values.map((value, i) => (value - mean[i % features]!) / deviation[i % features]!),
    categorical: task.categorical.map(({ size, ids }) => ({ size, ids: ids.subarray(start, end) })),
    label: task.label.subarray(start, end),
  }
}

export function flights(task: FlightTask, batch: number): Task {
  const rows = task.split.train.end
  return {
    tables: task.categorical.map(({ size }) => ({ rows: size })),
    batch,
    block(block, steps) {
      const length = batch * steps
      const start = (block % Math.floor(rows / length)) * length
      return flightSamples(task, start, start + length)
    },
  }
}

/** Steps of a Zipf task that differ; blocks are made once, as a server that recovers would use the time that making them takes. */
export const differentSteps = 800

/** Four tables of `rows` each; ids by Zipf's law with exponent 1.05, labels from a planted score. */
export function zipfTask(rows: number, batch: number, seed: number): Task {
  const tables = 4
  const features = 13
  const made = new Map<string, Samples>()
  function make(block: number, steps: number): Samples {
    const random = createRandom(seed).stream('zipf', block)
    const length = batch * steps
    const dense = random.fillNormal(new Float32Array(length * features))
    // The inverse of the distribution of a continuous power law: rank^-1.05 on 1 .. rows.
    const top = rows ** -0.05
    const categorical = Array.from({ length: tables }, () => ({
      size: rows,
      ids: Int32Array.from({ length }, () =>
        Math.min(rows - 1, Math.floor((1 - random.uniform() * (1 - top)) ** -20) - 1),
      ),
    }))
    const label = Uint8Array.from({ length }, (_, row) =>
      Number(dense[row * features]! + ((categorical[0]!.ids[row]! * 7919) % 13) / 6 - 1 > random.normal()),
    )
    return { dense, categorical, label }
  }
  return {
    tables: Array.from({ length: tables }, () => ({ rows })),
    batch,
    block(block, steps) {
      const which = block % Math.max(1, Math.floor(differentSteps / steps))
      const key = `${which} ${steps}`
      if (!made.has(key)) made.set(key, make(which, steps))
      return made.get(key)!
    },
  }
}

/** One run: shards and the model trained on them so far. */
export interface Run {
  readonly task: Task
  readonly store: ShardStore
  /** Options of every block's training. */
  readonly how: Pick<TrainOptions, 'replicateEvery'>
  model: DenseModel | undefined
  block: number
}

export async function openRun(
  task: Task,
  options: Partial<ShardOptions> & { seed: number },
  how: Run['how'] = {},
): Promise<Run> {
  const store = await openShards({ tables: task.tables, d: width, optimizer, ...options })
  return { task, store, how, model: undefined, block: 0 }
}

/** Trains on the next block; milliseconds from each step to the next. */
export const trainBlock = async (run: Run, steps: number, onStep?: (step: number) => void): Promise<number[]> =>
  (await trainOnce(run, steps, onStep)).gaps

/** Trains on the next block; milliseconds until its last push was answered. */
export const blockMs = async (run: Run, steps: number): Promise<number> => (await trainOnce(run, steps)).ms

async function trainOnce(
  run: Run,
  steps: number,
  onStep?: (step: number) => void,
): Promise<{ gaps: number[]; ms: number }> {
  const data = run.task.block(run.block, steps)
  const gaps: number[] = []
  const start = performance.now()
  let last = start
  const { model } = await train(data, {
    store: run.store,
    batch: run.task.batch,
    seed: run.block++,
    bottom: [64],
    top: [64, 32],
    ...run.how,
    ...(run.model ? { model: run.model } : {}),
    onStep({ step }) {
      const now = performance.now()
      gaps.push(now - last)
      last = now
      onStep?.(step)
    },
  })
  run.model = model
  return { gaps, ms: performance.now() - start }
}

export const sum = (values: readonly number[]): number => values.reduce((all, value) => all + value, 0)

export interface BlockPairs {
  /** Milliseconds of a block. */
  readonly wall: { value: number; baseline: number }[]
  /** Processor milliseconds of a block, all processes. */
  readonly cpu: { value: number; baseline: number }[]
  /** Processor seconds of the shards of `value`, and the seconds that its blocks took. */
  readonly busy: number
  readonly elapsed: number
}

/** Blocks of two runs in turns, each first every other time, after others that V8 compiles the shards' programs in. */
export async function pairBlocks(
  value: Run,
  baseline: Run,
  { rounds, steps }: { rounds: number; steps: number },
): Promise<BlockPairs> {
  // It does so during the first 300 to 400 steps of a process.
  for (let step = 0; step < 400; step += steps) for (const run of [baseline, value]) await trainBlock(run, steps)
  const pairs = { wall: [] as BlockPairs['wall'], cpu: [] as BlockPairs['cpu'], busy: 0, elapsed: 0 }
  const measured = async (run: Run): Promise<{ ms: number; cpu: number }> => {
    const shards = await shardSeconds(run.store)
    const own = process.cpuUsage()
    const ms = await blockMs(run, steps)
    const { user, system } = process.cpuUsage(own)
    const seconds = (await shardSeconds(run.store)) - shards
    if (run === value) {
      pairs.busy += seconds
      pairs.elapsed += ms / 1000
    }
    return { ms, cpu: seconds * 1000 + (user + system) / 1000 }
  }
  // Blocks of a second and many pairs: what the machine does for seconds falls on both of a pair, and the median has a narrow interval.
  for (let round = 0; round < rounds; round++) {
    const first = round % 2 === 0
    const early = await measured(first ? baseline : value)
    const late = await measured(first ? value : baseline)
    const [one, other] = first ? [late, early] : [early, late]
    pairs.wall.push({ value: one.ms, baseline: other.ms })
    pairs.cpu.push({ value: one.cpu, baseline: other.cpu })
  }
  return pairs
}

/** Wall and processor time of a step, beside the other run's. `target`: of the wall. */
export function emitPairs(
  context: BenchContext,
  { wall, cpu }: BlockPairs,
  of: { case: string; baseline: string; steps: number; target?: string },
): void {
  for (const [metric, pairs] of [
    ['step', wall],
    ['CPU of a step, all processes', cpu],
  ] as const) {
    const ratio = ratioInterval(pairs)
    context.emit({
      case: of.case,
      metric,
      value: median(pairs.map(({ value }) => value / of.steps)),
      unit: 'ms',
      baseline: { case: of.baseline, value: median(pairs.map(({ baseline }) => baseline / of.steps)) },
      ratio: ratio.value,
      ...bounds(ratio),
      ...(of.target !== undefined && pairs === wall ? { target: of.target } : {}),
    })
  }
}

/** CPU seconds of all shard processes so far. */
export async function shardSeconds(store: ShardStore): Promise<number> {
  return sum((await store.report()).map(({ cpuSeconds }) => cpuSeconds))
}
