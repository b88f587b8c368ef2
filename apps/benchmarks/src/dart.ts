// Bench "dart": training and prediction beside XGBoost (python3-xgboost), one process each, in turns; CPU seconds.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { auc, ratioInterval } from '@ft/core/statistics'
import { createRandom } from '@ft/core/random'
import { predict, train, type TrainOptions } from '@ft/dart'
import { flightTask, readFlights } from '@ft/datasets'
import { bounds, type Bench, type BenchContext } from './bench.ts'

interface Data {
  readonly values: Float32Array
  readonly label: Float64Array
  readonly rows: number
  readonly columns: number
  /** The rest are test rows. */
  readonly trainRows: number
}

interface Result {
  readonly cpu: number
  readonly wall: number
  readonly predictNs: number
  readonly auc: number
  /** CPU seconds of the thread that worked most; NaN where the system does not tell. */
  readonly busiest: number
}

/** Predictions of the test rows that are timed together, after a first one that is not. */
const PREDICTIONS = 5

export const dart: Bench = {
  name: 'dart',
  title: 'Boosted trees beside XGBoost (hist), CPU seconds of one thread, binning included',
  async run(context) {
    const folder = mkdtempSync(join(tmpdir(), 'ft-bench-dart-'))
    try {
      const data = makeData(100_000, 50, context.seed)
      const peer = openPeer(context, folder, data)
      const rounds = context.quick ? 6 : 8
      await race(context, {
        name: 'MART 80,000 x 50, 100 trees',
        data,
        peer,
        options: { dropout: false },
        trees: 100,
        rounds,
        target: 'ratio <= 1.0',
      })
      await race(context, {
        name: 'DART 80,000 x 50, 100 trees, drop 0.1',
        data,
        peer,
        options: { dropout: { dropRate: 0.1 } },
        trees: 100,
        rounds: 1,
        target: 'ratio <= 0.1',
      })
      await manyDrops(context, data, peer)
      await dropCost(context, data)
      await threads(context)
      await flights(context, folder)
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  },
}

/** Interactions of normal columns, a noisy threshold: half of the labels are 1. */
function makeData(rows: number, columns: number, seed: number): Data {
  const random = createRandom(seed).stream('boosting bench')
  const values = random.fillNormal(new Float32Array(rows * columns))
  const signal = Float64Array.from({ length: rows }, (_, row) => {
    const x = (c: number) => values[row * columns + c] as number
    const step = x(3) > 0.5 ? x(4) : 0
    let score = x(0) * x(1) + Math.sin(2 * x(2)) + step - 0.5 * x(5) ** 2 + 0.5 * Math.abs(x(6)) + random.normal()
    for (let c = 7; c < 12; c++) score += 0.3 * x(c)
    return score
  })
  const middle = signal.slice().sort()[rows >> 1] as number
  return {
    values,
    label: signal.map((score) => Number(score > middle)),
    rows,
    columns,
    trainRows: Math.floor(rows * 0.8),
  }
}

const part = ({ values, label, columns }: Data, from: number, to: number) => ({
  features: { data: values.subarray(from * columns, to * columns), rows: to - from, columns },
  label: label.subarray(from, to),
})

async function ours(data: Data, options: Partial<TrainOptions>, trees: number): Promise<Result> {
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
  const scores = predict(model, test.features)
  const start = process.cpuUsage()
  for (let i = 0; i < PREDICTIONS; i++) predict(model, test.features)
  const { user, system } = process.cpuUsage(start)
  return {
    cpu: (used.user + used.system) / 1e6,
    wall: elapsed / 1e3,
    predictNs: ((user + system) * 1e3) / (PREDICTIONS * scores.length * trees),
    auc: auc({ scores, labels: test.label }),
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

type Peer = (options: { dropRate: number; trees: number; threads: number; depth?: number }) => Result

const script = `
import json, resource, sys, time
import numpy as np, xgboost as xgb
folder, rows, cols, train, drop, trees, threads, depth = sys.argv[1], *map(float, sys.argv[2:9])
rows, cols, train, trees, threads, depth = int(rows), int(cols), int(train), int(trees), int(threads), int(depth)
X = np.fromfile(folder + '/x.f32', dtype=np.float32).reshape(rows, cols)
y = np.fromfile(folder + '/y.f64', dtype=np.float64)
def cpu():
    u = resource.getrusage(resource.RUSAGE_SELF)
    return u.ru_utime + u.ru_stime
t0, c0 = time.time(), cpu()
d = xgb.DMatrix(X[:train], y[:train], nthread=threads)
p = dict(tree_method='hist', objective='binary:logistic', max_depth=depth, eta=0.1, max_bin=256, nthread=threads, verbosity=0, seed=1)
if drop > 0: p.update(booster='dart', rate_drop=drop, one_drop=1)
b = xgb.train(p, d, trees)
c1, t1 = cpu(), time.time()
b.inplace_predict(X[train:]) if drop == 0 else b.predict(xgb.DMatrix(X[train:]))
n = ${PREDICTIONS} if drop == 0 else 1
t2 = cpu()
for _ in range(n): s = b.inplace_predict(X[train:]) if drop == 0 else b.predict(xgb.DMatrix(X[train:]))
t3 = cpu()
o = np.argsort(s, kind='mergesort'); r = np.empty(len(s)); r[o] = np.arange(1, len(s) + 1)
t = y[train:]; P = t.sum(); N = len(t) - P
print(json.dumps(dict(version=xgb.__version__, cpu=c1 - c0, wall=t1 - t0, predictNs=(t3 - t2) * 1e9 / len(s) / trees / n, auc=float((r[t == 1].sum() - P * (P + 1) / 2) / (P * N)))))
`

/** XGBoost in a process of its own; undefined, with a note, where it is not installed. */
function openPeer(context: BenchContext, folder: string, data: Data): Peer | undefined {
  const python = ['/usr/bin/python3', 'python3'].find(
    (name) => spawnSync(name, ['-c', 'import xgboost, numpy']).status === 0,
  )
  if (python === undefined) {
    context.note(
      'XGBoost is not installed: no comparison. Debian: apt-get install python3-xgboost; else: pip install xgboost numpy',
    )
    return undefined
  }
  writeFileSync(join(folder, 'x.f32'), new Uint8Array(data.values.buffer))
  writeFileSync(join(folder, 'y.f64'), new Uint8Array(data.label.buffer))
  writeFileSync(join(folder, 'peer.py'), script)
  const version = spawnSync(python, ['-c', 'import xgboost; print(xgboost.__version__)'], {
    encoding: 'utf8',
  }).stdout.trim()
  context.note(`peer: XGBoost ${version}, hist`)
  return ({ dropRate, trees, threads, depth = 6 }) => {
    const args = [
      join(folder, 'peer.py'),
      folder,
      data.rows,
      data.columns,
      data.trainRows,
      dropRate,
      trees,
      threads,
      depth,
    ].map(String)
    const env = { ...process.env, OMP_NUM_THREADS: String(threads) }
    const { status, stdout, stderr } = spawnSync(python, args, { encoding: 'utf8', env })
    if (status !== 0) throw new Error(`XGBoost failed: ${stderr}`)
    return JSON.parse(stdout) as Result
  }
}

interface Race {
  readonly name: string
  readonly data: Data
  readonly peer: Peer | undefined
  readonly options: Partial<TrainOptions>
  readonly trees: number
  readonly rounds: number
  readonly target: string
}

async function race(context: BenchContext, { name, data, peer, options, trees, rounds, target }: Race): Promise<void> {
  const dropRate = typeof options.dropout === 'object' ? (options.dropout.dropRate ?? 0) : 0
  const results: { own: Result; other: Result | undefined }[] = []
  for (let round = 0; round < rounds; round++) {
    results.push({ own: await ours(data, options, trees), other: peer?.({ dropRate, trees, threads: 1 }) })
  }
  const pairs = (pick: (result: Result) => number) =>
    results.flatMap(({ own, other }) => (other ? [{ value: pick(own), baseline: pick(other) }] : []))
  const report = (metric: string, unit: string, pick: (result: Result) => number, goal?: string) => {
    const value = middle(results.map(({ own }) => pick(own)))
    const all = pairs(pick)
    if (all.length === 0) return context.emit({ case: name, metric, value, unit })
    const baseline = { case: 'XGBoost', value: middle(all.map((pair) => pair.baseline)) }
    const ratio = all.length >= 6 ? ratioInterval(all) : undefined
    context.emit({
      case: name,
      metric,
      value,
      unit,
      baseline,
      ratio: ratio?.value ?? value / baseline.value,
      ...(ratio ? bounds(ratio) : { n: all.length }),
      ...(goal ? { target: goal } : {}),
    })
  }
  report('train', 'CPU s', (result) => result.cpu, target)
  report('predict', 'CPU ns a row and tree', (result) => result.predictNs, dropRate === 0 ? 'ratio <= 0.8' : undefined)
  report('test AUC', '', (result) => result.auc)
}

/**
 * DART of 500 trees. XGBoost follows all trees for all rows every round: its time is a t + b t^2, from runs of 50 and 100
 * trees, and is extrapolated, for 500 trees would take it a quarter of an hour.
 */
async function manyDrops(context: BenchContext, data: Data, peer: Peer | undefined): Promise<void> {
  const dropRate = 0.1
  const trees = context.quick ? 200 : 500
  const own = await ours(data, { dropout: { dropRate } }, trees)
  const name = `DART 80,000 x 50, ${trees} trees, drop ${dropRate}`
  if (!peer) return context.emit({ case: name, metric: 'train', value: own.cpu, unit: 'CPU s' })
  const [half, whole] = [50, 100].map((count) => peer({ dropRate, trees: count, threads: 1 }).cpu) as [number, number]
  const b = (whole - 2 * half) / 5000
  const a = half / 50 - 50 * b
  const value = a * trees + b * trees * trees
  context.emit({
    case: name,
    metric: 'train',
    value: own.cpu,
    unit: 'CPU s',
    baseline: { case: 'XGBoost, extrapolated from 50 and 100 trees', value },
    ratio: own.cpu / value,
    n: 1,
    target: 'ratio <= 0.04 at 500 trees',
  })
}

/** Flights in time order, numbers and four codes as numbers: what both programs take alike. */
async function flights(context: BenchContext, folder: string): Promise<void> {
  const rows = context.quick ? 600_000 : 2_500_000
  const all = await readFlights()
  const task = flightTask(all, { rows: Math.min(all.rows, Math.ceil(rows * 1.25)), seed: context.seed })
  const codes = task.categorical.filter(({ name }) => ['origin', 'destination', 'route', 'hourOfWeek'].includes(name))
  const width = task.numeric.names.length
  const columns = width + codes.length
  const values = new Float32Array(task.rows * columns)
  for (let row = 0; row < task.rows; row++) {
    for (let c = 0; c < width; c++) values[row * columns + c] = task.numeric.data[row * width + c] as number
    codes.forEach(({ ids }, c) => (values[row * columns + width + c] = ids[row] as number))
  }
  const data: Data = {
    values,
    label: Float64Array.from(task.label),
    rows: task.rows,
    columns,
    trainRows: Math.min(rows, task.rows - 1),
  }
  const trees = context.quick ? 30 : 100
  const peer = openPeer(context, folder, data)
  const pairs: { own: Result; other: Result | undefined }[] = []
  for (let round = 0; round < (context.quick ? 1 : 3); round++) {
    const own = await ours(data, { dropout: false, threads: 2, maxDepth: 8 }, trees)
    pairs.push({ own, other: peer?.({ dropRate: 0, trees, threads: 2, depth: 8 }) })
  }
  const name = `flights, ${data.trainRows} x ${columns}, depth 8, ${trees} trees, two threads`
  const pick = (of: (pair: (typeof pairs)[number]) => number | undefined) =>
    middle(pairs.flatMap((pair) => of(pair) ?? []))
  for (const [metric, unit, of, target] of [
    ['train, wall', 's', (result: Result) => result.wall, 'ratio <= 1.5'],
    ['train', 'CPU s', (result: Result) => result.cpu, undefined],
    ['test AUC', '', (result: Result) => result.auc, undefined],
  ] as const) {
    const value = pick(({ own }) => of(own))
    const baseline = peer && pick(({ other }) => other && of(other))
    context.emit({
      case: name,
      metric,
      value,
      unit,
      ...(baseline === undefined ? {} : { baseline: { case: 'XGBoost', value: baseline }, ratio: value / baseline }),
      n: pairs.length,
      ...(target ? { target } : {}),
    })
  }
  // Of the whole process, the reading of three million flights included.
  const value = process.resourceUsage().maxRSS / 2 ** 20
  context.emit({
    case: name,
    metric: 'largest resident memory',
    value,
    unit: 'GiB',
    target: 'below 2 GB at 2.5 M rows',
  })
}

/** A DART round beside a MART round, in one process, over 300 trees. */
async function dropCost(context: BenchContext, data: Data): Promise<void> {
  const trees = context.quick ? 100 : 300
  const pairs = []
  for (let round = 0; round < 6; round++) {
    const mart = await ours(data, { dropout: false }, trees)
    const dropped = await ours(data, { dropout: { dropRate: 0.1 } }, trees)
    pairs.push({ value: dropped.cpu, baseline: mart.cpu })
  }
  const ratio = ratioInterval(pairs)
  context.emit({
    case: `DART round, drop 0.1, ${trees} trees`,
    metric: 'train',
    value: middle(pairs.map((pair) => pair.value)),
    unit: 'CPU s',
    baseline: { case: 'MART', value: middle(pairs.map((pair) => pair.baseline)) },
    ratio: ratio.value,
    ...bounds(ratio),
    target: 'ratio <= 1.3',
  })
}

/** Wall time of two threads beside one. */
async function threads(context: BenchContext): Promise<void> {
  const data = makeData(500_000, 30, context.seed + 1)
  const trees = context.quick ? 20 : 40
  const runs: { one: Result; two: Result }[] = []
  for (let round = 0; round < 6; round++) {
    const one = await ours(data, { dropout: false }, trees)
    runs.push({ one, two: await ours(data, { dropout: false, threads: 2 }, trees) })
  }
  const report = (metric: string, of: (result: Result) => number, target?: string): void => {
    const pairs = runs.map(({ one, two }) => ({ value: of(one), baseline: of(two) }))
    if (pairs.some(({ value, baseline }) => !(value > 0 && baseline > 0))) return
    const ratio = ratioInterval(pairs)
    context.emit({
      case: `${data.trainRows} x 30, ${trees} trees, one thread / two`,
      metric,
      value: middle(pairs.map((pair) => pair.value)),
      unit: 's',
      baseline: { case: 'two threads', value: middle(pairs.map((pair) => pair.baseline)) },
      ratio: ratio.value,
      ...bounds(ratio),
      ...(target ? { target } : {}),
    })
  }
  report('train, wall', ({ wall }) => wall, 'ratio >= 1.4')
  // What the wall time would be on two idle processors at best: it does not depend on what else the machine does.
  report('CPU of the busiest thread', ({ busiest }) => busiest)
}

function middle(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[sorted.length >> 1] as number
}
