// What the parts of bench "dart" share: made data, one training of ours with what it cost, and lines of paired runs.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { auc, ratioInterval } from '@ft/core/statistics'
import { createRandom } from '@ft/core/random'
import { predict, train, type Model, type TrainOptions } from '@ft/dart'
import { bounds, type BenchContext } from './bench.ts'

export interface Data {
  readonly values: Float32Array
  readonly label: Float64Array
  readonly rows: number
  readonly columns: number
  /** The rest are test rows. */
  readonly trainRows: number
}

/** Seconds of a training, and how good its model is on the test rows. */
export interface Cost {
  readonly cpu: number
  readonly wall: number
  readonly auc: number
}

export interface Result extends Cost {
  readonly model: Model
  /** CPU seconds of the thread that worked most; NaN where the system does not tell. */
  readonly busiest: number
}

/** Interactions of normal columns, a noisy threshold: half of the labels are 1. */
export function makeData(rows: number, columns: number, seed: number): Data {
  const random = createRandom(seed).stream('boosting bench')
  const values = random.fillNormal(new Float32Array(rows * columns))
  const signal = Float64Array.from({ length: rows }, (_, row) => {
    const x = (c: number) => values[row * columns + c] as number
    const step = x(3) > 0.5 ? x(4) : 0
    let score = x(0) * x(1) + Math.sin(2 * x(2)) + step - 0.5 * x(5) ** 2 + 0.5 * Math.abs(x(6)) + random.normal()
    for (let c = 7; c < 12; c++) score += 0.3 * x(c)
    return score
  })
  const half = signal.slice().sort()[rows >> 1] as number
  return {
    values,
    label: signal.map((score) => Number(score > half)),
    rows,
    columns,
    trainRows: Math.floor(rows * 0.8),
  }
}

/** Ten normal columns, and twenty codes of 25 values each as one-hot columns: 510 in all, of which a row has 30 that are not 0. */
export function makeOneHot(rows: number, seed: number): Data {
  const [dense, codes, values] = [10, 20, 25]
  const columns = dense + codes * values
  const random = createRandom(seed).stream('one-hot bench')
  const effects = random.fillNormal(new Float32Array(columns))
  const data = new Float32Array(rows * columns)
  const label = new Float64Array(rows)
  for (let row = 0; row < rows; row++) {
    const x = data.subarray(row * columns, (row + 1) * columns)
    let score = 2 * random.normal()
    for (let c = 0; c < dense; c++) score += (effects[c] as number) * (x[c] = random.normal())
    for (let code = 0; code < codes; code++) {
      const column = dense + code * values + random.integer(0, values - 1)
      x[column] = 1
      score += effects[column] as number
    }
    label[row] = Number(score > 0)
  }
  return { values: data, label, rows, columns, trainRows: Math.floor(rows * 0.8) }
}

export const part = ({ values, label, columns }: Data, from: number, to: number) => ({
  features: { data: values.subarray(from * columns, to * columns), rows: to - from, columns },
  label: label.subarray(from, to),
})

export async function ours(data: Data, options: Partial<TrainOptions>, trees: number): Promise<Result> {
  const { features, label } = part(data, 0, data.trainRows)
  const [cpu, wall, before] = [process.cpuUsage(), performance.now(), threadTimes()]
  let after = before
  const { model } = await train(
    { features, label },
    {
      ...{ objective: 'logistic', rounds: trees, maxDepth: 6, minHessian: 1, learningRate: 0.1, ...options },
      // The threads end with the training: they are looked at in its last round.
      onRound: ({ round }) => {
        if (round === trees) after = threadTimes()
      },
    },
  )
  const used = process.cpuUsage(cpu)
  const elapsed = performance.now() - wall
  const test = part(data, data.trainRows, data.rows)
  return {
    model,
    cpu: (used.user + used.system) / 1e6,
    wall: elapsed / 1e3,
    auc: auc({ scores: predict(model, test.features), labels: test.label }),
    busiest: largest([...after].map(([thread, seconds]) => seconds - (before.get(thread) ?? 0))),
  }
}

const largest = (values: readonly number[]): number => (values.length > 0 ? Math.max(...values) : NaN)

/** CPU seconds of each thread of this process so far; empty where there is no /proc. */
function threadTimes(): Map<string, number> {
  const folder = '/proc/self/task'
  if (!existsSync(folder)) return new Map()
  return new Map(
    readdirSync(folder).map((thread) => {
      const [nanoseconds = ''] = readFileSync(join(folder, thread, 'schedstat'), 'utf8').split(' ')
      return [thread, Number(nanoseconds) / 1e9]
    }),
  )
}

export interface Pair<T> {
  readonly own: T
  /** Undefined where there is nothing to compare with. */
  readonly other: T | undefined
}

export interface Lines<T> {
  readonly name: string
  /** What `other` is. */
  readonly baseline: string
  readonly pairs: readonly Pair<T>[]
}

/** One line of a metric over runs taken in turns; six pairs give the ratio an interval. */
export function emitPairs<T>(
  context: BenchContext,
  { name, baseline: other, pairs }: Lines<T>,
  { metric, unit, of, target }: { metric: string; unit: string; of: (run: T) => number; target?: string },
): void {
  const value = middle(pairs.map(({ own }) => of(own)))
  const all = pairs.flatMap((pair) =>
    pair.other !== undefined ? [{ value: of(pair.own), baseline: of(pair.other) }] : [],
  )
  if (all.length === 0) return context.emit({ case: name, metric, value, unit, n: pairs.length })
  const baseline = { case: other, value: middle(all.map((pair) => pair.baseline)) }
  const ratio = all.length >= 6 ? ratioInterval(all) : undefined
  context.emit({
    ...{ case: name, metric, value, unit, baseline, ratio: ratio?.value ?? value / baseline.value },
    ...(ratio ? bounds(ratio) : { n: all.length }),
    ...(target ? { target } : {}),
  })
}

export function middle(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[sorted.length >> 1] as number
}
