// What redundancy costs a DLRM on the flights while nothing fails, and what a kill -9 costs. On the built package:
//   node bench/ecrm.mjs [--quick] [--seed N]
// One JSON object a line; a ratio is value / baseline.value, low and high its 95 % interval over turns.
import process from 'node:process'
import { auc, median, ratioInterval } from '@ft/core/statistics'
import { createRandom } from '@ft/core/random'
import { flightTask, readFlights } from '@ft/datasets'
import { evaluate, openShards, train } from '@ft/ecrm'
const d = 16
const batch = 2_048
const k = 4
const servers = 5
const optimizer = { name: 'adagrad', learningRate: 0.03 }
/** Samples of a block: ten steps. */
const block = 10 * batch
async function main() {
  const quick = process.argv.includes('--quick')
  const at = process.argv.indexOf('--seed')
  const seed = at < 0 ? 1 : Number(process.argv[at + 1])
  const emit = (line) => console.log(JSON.stringify({ bench: 'ecrm', ...line, seed }))
  const context = { quick, seed, emit }
  const task = flightTask(await readFlights(), { rows: quick ? 200_000 : 600_000, seed })
  await steady(context, task)
  await killed(context, task)
  await acknowledged(context)
}

/** Rows of the task as samples, scaled by the training rows. */
function samplesOf(task, { start, end }) {
  const width = task.numeric.shape[1]
  const { mean, deviation } = task.scale
  const values = task.numeric.data.subarray(start * width, end * width)
  return {
    dense: values.map((value, i) => (value - mean[i % width]) / deviation[i % width]),
    categorical: task.categorical.map(({ size, ids }) => ({ size, ids: ids.subarray(start, end) })),
    label: task.label.subarray(start, end),
  }
}
function open(task, r, seed) {
  return openShards({ tables: task.categorical.map(({ size }) => ({ rows: size })), d, k, r, servers, optimizer, seed })
}
/** Trains on the next block; milliseconds from each step to the next. */
async function nextBlock(run, task, onStep = () => undefined) {
  const blocks = Math.floor(task.split.train.end / block)
  const start = (run.block++ % blocks) * block
  const data = samplesOf(task, { start, end: start + block })
  const gaps = []
  let last = performance.now()
  const { model } = await train(data, {
    store: run.store,
    batch,
    seed: run.block,
    bottom: [64],
    top: [64, 32],
    ...(run.model ? { model: run.model } : {}),
    onStep({ step }) {
      const now = performance.now()
      gaps.push(now - last)
      last = now
      onStep(step)
    },
  })
  run.model = model
  return gaps
}
const sum = (values) => values.reduce((all, value) => all + value, 0)
/** Blocks with and without redundancy in turns, each run with shards of its own. */
async function steady(context, task) {
  const runs = {
    plain: { store: await open(task, 0, context.seed), model: undefined, block: 0 },
    coded: { store: await open(task, 1, context.seed), model: undefined, block: 0 },
  }
  try {
    await nextBlock(runs.plain, task)
    await nextBlock(runs.coded, task)
    const pairs = []
    for (let round = 0; round < (context.quick ? 8 : 16); round++) {
      const first = round % 2 === 0
      const early = sum(await nextBlock(first ? runs.plain : runs.coded, task))
      const late = sum(await nextBlock(first ? runs.coded : runs.plain, task))
      pairs.push(first ? { value: late, baseline: early } : { value: early, baseline: late })
    }
    const ratio = ratioInterval(pairs)
    context.emit({
      case: 'r = 1, acknowledged pushes',
      metric: 'step',
      value: median(pairs.map(({ value }) => value / 10)),
      unit: 'ms',
      baseline: { case: 'r = 0', value: median(pairs.map(({ baseline }) => baseline / 10)) },
      ratio: ratio.value,
      ...bounds(ratio),
      target: 'ratio <= 1.10 (shards under 70 % busy)',
    })
    const reports = await runs.coded.store.report()
    const total = (of) => sum(reports.map(of))
    const bytes = total((one) => one.deltaBytes) / total((one) => one.deltaRows)
    const expected = (2 * d + 6) * 4
    context.emit({
      case: 'r = 1',
      metric: 'parity bytes a row update',
      value: bytes,
      unit: 'bytes',
      baseline: { case: 'r (1 + m) d words and a head of 6', value: expected },
      ratio: bytes / expected,
      target: 'ratio = 1',
    })
    const [data, parity] = [total((one) => one.dataBytes), total((one) => one.parityBytes)]
    context.emit({
      case: 'r = 1',
      metric: 'memory of rows, state, parity and counters',
      value: (data + parity) / 1e6,
      unit: 'MB',
      baseline: { case: 'r = 0', value: data / 1e6 },
      ratio: (data + parity) / data,
      target: 'ratio = 1 + r / k and counters',
    })
  } finally {
    await Promise.all([runs.plain.store.close(), runs.coded.store.close()])
  }
}
/** A run in which servers are killed one after the other, beside the same run without. */
async function killed(context, task) {
  const kills = context.quick ? 3 : 8
  const run = { store: await open(task, 1, context.seed), model: undefined, block: 0 }
  const calm = { store: await open(task, 1, context.seed), model: undefined, block: 0 }
  try {
    const normal = []
    const longest = []
    const redundant = []
    const during = []
    for (let round = 0; round < kills; round++) {
      const before = await nextBlock(run, task)
      normal.push(...(round === 0 ? before.slice(2) : before))
      let recovery
      const after = await nextBlock(run, task, (step) => {
        if (step !== 0) return
        run.store.kill(round % servers)
        recovery = untilRedundant(run.store, round + 1)
      })
      const ms = await recovery
      redundant.push(ms)
      const gaps = after.slice(1)
      longest.push(Math.max(...gaps))
      // The steps that were finished while rows were missing, beside as many of the block before.
      let [steps, elapsed] = [0, 0]
      while (steps < gaps.length && elapsed < ms) elapsed += gaps[steps++]
      during.push({ value: steps / elapsed, baseline: 1 / median(before.slice(1)) })
    }
    const usual = median(normal)
    context.emit({
      case: `kill -9, ${kills} times`,
      metric: 'longest gap between two steps',
      value: Math.max(...longest),
      unit: 'ms',
      baseline: { case: 'a step', value: usual },
      ratio: Math.max(...longest) / usual,
      n: kills,
      target: 'value <= 1000',
    })
    context.emit({
      case: `kill -9, ${kills} times`,
      metric: 'kill to full redundancy, median',
      value: median(redundant),
      unit: 'ms',
      n: kills,
    })
    const ratio = during.length >= 6 ? ratioInterval(during) : undefined
    context.emit({
      case: 'while recovering',
      metric: 'throughput',
      value: median(during.map(({ value }) => value * batch * 1000)),
      unit: 'samples/s',
      baseline: { case: 'before', value: median(during.map(({ baseline }) => baseline * batch * 1000)) },
      ratio: ratio?.value ?? median(during.map(({ value, baseline }) => value / baseline)),
      ...(ratio ? bounds(ratio) : { n: during.length }),
      target: 'ratio >= 0.87',
    })
    context.emit({
      case: `kill -9, ${kills} times`,
      metric: 'servers replaced, rows lost',
      value: run.store.replacements,
      unit: `servers, ${(await run.store.recovered()).length} rows`,
    })
    while (calm.block < run.block) await nextBlock(calm, task)
    await compare(context, task, run, calm)
  } finally {
    await Promise.all([run.store.close(), calm.store.close()])
  }
}
/** Milliseconds until the server is replaced and no row is missing anywhere. */
async function untilRedundant(store, replacements) {
  const start = performance.now()
  while (store.replacements < replacements) await new Promise((resolve) => setTimeout(resolve, 1))
  await store.recovered()
  return performance.now() - start
}
/** Quality on the test days, and whether the killed run's rows have the calm run's bits. */
async function compare(context, task, run, calm) {
  const test = samplesOf(task, task.split.test)
  const labels = Array.from(test.label)
  const scores = async ({ model, store }) =>
    auc({ scores: (await evaluate(model, test, { store })).probabilities, labels })
  const [stormy, quiet] = [await scores(run), await scores(calm)]
  const [first, second] = [await run.store.snapshot(), await calm.store.snapshot()]
  const different = first.words.reduce((count, word, i) => count + Number(word !== second.words[i]), 0)
  context.emit({
    case: 'killed run beside the calm one',
    metric: 'words of rows and state that differ',
    value: different,
    unit: `of ${first.words.length}`,
    target: '0',
  })
  context.emit({
    case: 'killed run',
    metric: 'test AUC',
    value: stormy,
    unit: '',
    baseline: { case: 'calm run', value: quiet },
    ratio: stormy / quiet,
    target: 'ratio = 1',
  })
}
/** Row updates acknowledged by their parity, without any training. */
async function acknowledged(context) {
  const rows = 200_000
  const seconds = context.quick ? 3 : 8
  for (const r of [0, 1, 2]) {
    const store = await openShards({ tables: [{ rows }], d, k: 2, r, servers: 4, optimizer, seed: context.seed })
    try {
      const random = createRandom(context.seed).stream('pushes')
      const gradients = random.fillNormal(new Float32Array(batch * 4 * d))
      const lists = Array.from({ length: 16 }, () => random.sample(rows, batch * 4))
      const start = performance.now()
      let pushed = 0
      while (performance.now() - start < seconds * 1000) {
        // Two pushes under way, so that the servers never wait for the trainer alone.
        await Promise.all([0, 1].map((i) => store.push(lists[(pushed / (batch * 4) + i) % 16], gradients)))
        pushed += 2 * batch * 4
      }
      context.emit({
        case: `k = 2, r = ${r}, 4 processes, d = ${d}, one client`,
        metric: 'row updates, acknowledged',
        value: (pushed / (performance.now() - start)) * 1000,
        unit: 'rows/s',
        ...(r === 1 ? { target: '200,000' } : {}),
      })
    } finally {
      await store.close()
    }
  }
}

const bounds = ({ low, high, n }) => ({ low, high, n })

await main()
