// Bench "dart", part "flights": two and a half million real rows, two threads, beside XGBoost with two threads.
import process from 'node:process'
import { flightTask, readFlights } from '@ft/datasets'
import type { BenchContext } from './bench.ts'
import { openPeer } from './dartPeer.ts'
import { emitPairs, ours, type Cost, type Data, type Pair } from './dartRuns.ts'

/** Most seconds of pairs: another is begun when one as long as the last would end before. */
const BUDGET = 420
const PAIRS = 6
/** Rows of the task: a few of the three million flights are not eligible. */
const MOST = 2_999_000

export async function flights(context: BenchContext, folder: string): Promise<void> {
  const data = await flightData(context)
  const trees = context.quick ? 30 : 100
  const peer = openPeer(context, folder, data)
  const pairs: Pair<Cost>[] = []
  const start = performance.now()
  let last = 0
  while (pairs.length < (context.quick ? 1 : PAIRS) && (performance.now() - start + last) / 1e3 < BUDGET) {
    const begun = performance.now()
    const own = await ours(data, { dropout: false, threads: 2, maxDepth: 8 }, trees)
    pairs.push({ own, other: peer?.train({ dropRate: 0, trees, threads: 2, depth: 8 }) })
    last = performance.now() - begun
  }
  const name = `flights, ${data.trainRows} x ${data.columns}, depth 8, ${trees} trees, two threads`
  const lines = { name, baseline: 'XGBoost', pairs }
  emitPairs(context, lines, { metric: 'train, wall', unit: 's', of: ({ wall }) => wall, target: 'ratio <= 1.5' })
  emitPairs(context, lines, { metric: 'train', unit: 'CPU s', of: ({ cpu }) => cpu })
  emitPairs(context, lines, { metric: 'test AUC', unit: '', of: ({ auc }) => auc })
  // Of the whole process, the reading of three million flights included.
  const value = process.resourceUsage().maxRSS / 2 ** 20
  context.emit({
    ...{ case: name, metric: 'largest resident memory', value, unit: 'GiB', target: 'below 2 GB at 2.5 M rows' },
  })
}

/** Flights in time order, numbers and four codes as numbers: what both programs take alike. */
async function flightData(context: BenchContext): Promise<Data> {
  const rows = context.quick ? 600_000 : 2_500_000
  const all = await readFlights()
  const task = flightTask(all, { rows: Math.min(MOST, Math.ceil(rows * 1.25)), seed: context.seed })
  const codes = task.categorical.filter(({ name }) => ['origin', 'destination', 'route', 'hourOfWeek'].includes(name))
  const width = task.numeric.names.length
  const columns = width + codes.length
  const values = new Float32Array(task.rows * columns)
  for (let row = 0; row < task.rows; row++) {
    for (let c = 0; c < width; c++) values[row * columns + c] = task.numeric.data[row * width + c] as number
    codes.forEach(({ ids }, c) => (values[row * columns + width + c] = ids[row] as number))
  }
  return {
    values,
    label: Float64Array.from(task.label),
    rows: task.rows,
    columns,
    trainRows: Math.min(rows, task.rows - 1),
  }
}
