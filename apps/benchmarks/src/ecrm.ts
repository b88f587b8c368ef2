// Bench "ecrm": what redundancy costs while nothing fails.
import process from 'node:process'
import { median, ratioInterval } from '@ft/core/statistics'
import { createRandom } from '@ft/core/random'
import { flightTask, readFlights } from '@ft/datasets'
import { floatSumParity, naivePropagation, openShards, type ShardStore } from '@ft/ecrm'
import { denseBeside } from './ecrmDense.ts'
import { throughRedis } from './ecrmRedis.ts'
import { replicatedTables } from './ecrmReplicated.ts'
import { keptVersions } from './ecrmVersions.ts'
import { bounds, type Bench, type BenchContext } from './bench.ts'
import {
  emitPairs,
  flights,
  openRun,
  optimizer,
  pairBlocks,
  shardSeconds,
  sum,
  width as d,
  type Task,
} from './ecrmTask.ts'

/** Nothing dies in a case of a few seconds, of which a process that stands by would take one to warm up. */
const nobodyStandsBy = { spares: 0 } as const
const k = 4
const servers = 5
/** Of a block: it ends when its last push was answered, which steady training never waits for. */
const steps = 40

export const ecrm: Bench = {
  name: 'ecrm',
  title: 'Erasure-coded embedding shards while nothing fails',
  parts: ['steady', 'shard-bound', 'acknowledged', 'redis', 'scrub', 'naive', 'dense', 'versions', 'replicated'],
  async run(context) {
    if (context.wants('steady')) {
      const task = flightTask(await readFlights(), { rows: context.quick ? 200_000 : 600_000, seed: context.seed })
      await steady(context, flights(task, 2_048))
    }
    if (context.wants('shard-bound')) await shardBound(context)
    if (context.wants('acknowledged')) await acknowledged(context)
    if (context.wants('redis')) await throughRedis(context)
    if (context.wants('scrub')) await scrubbed(context)
    if (context.wants('naive')) naive(context)
    if (context.wants('dense')) await denseBeside(context)
    if (context.wants('versions')) await keptVersions(context)
    if (context.wants('replicated')) await replicatedTables(context)
  },
}

/** Blocks with and without redundancy in turns, each run with shards of its own. */
async function steady(context: BenchContext, task: Task): Promise<void> {
  const { seed } = context
  const plain = await openRun(task, { k, r: 0, servers, seed })
  const coded = await openRun(task, { k, r: 1, servers, seed })
  try {
    const pairs = await pairBlocks(coded, plain, { rounds: context.quick ? 24 : 48, steps })
    emitPairs(context, pairs, {
      case: 'flights DLRM, k = 4, r = 1',
      baseline: 'r = 0',
      steps,
      target: 'ratio <= 1.10',
    })
    context.emit({
      case: 'flights DLRM, k = 4, r = 1',
      metric: 'busy part of a shard',
      value: pairs.busy / pairs.elapsed / servers,
      unit: 'of its time',
      target: 'value <= 0.7, the condition of the line above',
    })
    const reports = await coded.store.report()
    const total = (of: (one: (typeof reports)[number]) => number): number => sum(reports.map(of))
    const bytes = total((one) => one.deltaBytes) / total((one) => one.deltaRows)
    const expected = (2 * d + 6) * 4
    context.emit({
      case: 'r = 1, Adagrad',
      metric: 'parity bytes a row update',
      value: bytes,
      unit: 'bytes',
      baseline: { case: 'r (1 + m) d words and a head of 6', value: expected },
      ratio: bytes / expected,
      target: 'ratio = 1',
    })
    const [data, parity] = [total((one) => one.dataBytes), total((one) => one.parityBytes)]
    const words = 2 * d
    context.emit({
      case: 'k = 4, r = 1',
      metric: 'memory of rows, state, parity and counters',
      value: (data + parity) / 1e6,
      unit: 'MB',
      baseline: { case: 'r = 0', value: data / 1e6 },
      ratio: (data + parity) / data,
      target: `ratio = ${(1 + (words + k) / (k * (words + 1))).toFixed(4)}: 1 + r / k and counters`,
    })
  } finally {
    await Promise.all([plain.store.close(), coded.store.close()])
  }
}

const updates = 8_192

/** Pulls and pushes the same rows `rounds` times. */
async function pullAndPush(store: ShardStore, rounds: number, lists: readonly Uint32Array[], gradients: Float32Array) {
  for (let round = 0; round < rounds; round++) {
    const ids = lists[round % lists.length]!
    await store.pull(ids)
    await store.push(ids, gradients)
  }
}

/** Shards with nothing but rows to serve: CPU of all processes, trainer's side included. */
async function shardBound(context: BenchContext): Promise<void> {
  const rows = 200_000
  const open = (r: number): Promise<ShardStore> =>
    openShards({ tables: [{ rows }], d, k, r, servers, optimizer, seed: context.seed, ...nobodyStandsBy })
  const [plain, coded] = [await open(0), await open(1)]
  try {
    const random = createRandom(context.seed).stream('pushes')
    const gradients = random.fillNormal(new Float32Array(updates * d))
    const lists = Array.from({ length: 16 }, () => random.sample(rows, updates))
    const rounds = 16
    const cpuOfRow = async (store: ShardStore): Promise<number> => {
      const shards = await shardSeconds(store)
      const own = process.cpuUsage()
      await pullAndPush(store, rounds, lists, gradients)
      const { user, system } = process.cpuUsage(own)
      return (((await shardSeconds(store)) - shards) * 1e6 + user + system) / (rounds * updates)
    }
    await cpuOfRow(plain)
    await cpuOfRow(coded)
    const pairs: { value: number; baseline: number }[] = []
    for (let turn = 0; turn < (context.quick ? 6 : 10); turn++) {
      const baseline = await cpuOfRow(plain)
      pairs.push({ value: (await cpuOfRow(coded)) - baseline, baseline })
    }
    const ratio = ratioInterval(pairs)
    context.emit({
      case: 'shard-bound, k = 4, r = 1, d = 16',
      metric: 'CPU added to a row',
      value: median(pairs.map(({ value }) => value)),
      unit: 'us',
      baseline: { case: 'pull and push without protection', value: median(pairs.map(({ baseline }) => baseline)) },
      ratio: ratio.value,
      ...bounds(ratio),
      target: 'ratio <= 1.5, aim 1.0',
    })
  } finally {
    await Promise.all([plain.close(), coded.close()])
  }
}

/** Row updates acknowledged by their parity, without any training. */
async function acknowledged(context: BenchContext): Promise<void> {
  const rows = 200_000
  for (const r of [0, 1, 2]) {
    const how = { d, k: 2, r, servers: 4, optimizer, seed: context.seed, ...nobodyStandsBy }
    const store = await openShards({ tables: [{ rows }], ...how })
    try {
      const random = createRandom(context.seed).stream('pushes')
      const gradients = random.fillNormal(new Float32Array(updates * d))
      const lists = Array.from({ length: 16 }, () => random.sample(rows, updates))
      const cpu = await shardSeconds(store)
      const start = performance.now()
      let pushed = 0
      while (performance.now() - start < (context.quick ? 3_000 : 8_000)) {
        // Two pushes under way, so that the servers never wait for the trainer alone.
        await Promise.all([0, 1].map((i) => store.push(lists[(pushed / updates + i) % 16]!, gradients)))
        pushed += 2 * updates
      }
      const ms = performance.now() - start
      context.emit({
        case: `k = 2, r = ${r}, 4 processes, d = 16, one client`,
        metric: 'row updates, acknowledged',
        value: (pushed / ms) * 1000,
        unit: 'rows/s',
        ...(r === 1 ? { target: '>= 200,000' } : {}),
      })
      context.emit({
        case: `k = 2, r = ${r}, 4 processes, d = 16, one client`,
        metric: 'CPU of the shards a row',
        value: (((await shardSeconds(store)) - cpu) * 1e6) / pushed,
        unit: 'us',
        ...(r === 1 ? { target: '<= 3.6' } : {}),
      })
    } finally {
      await store.close()
    }
  }
}

/** Bits flipped in memory, one a stripe: how many a scrub finds, and how long it takes. */
async function scrubbed(context: BenchContext): Promise<void> {
  const rows = context.quick ? 200_000 : 1_000_000
  const count = 1_000
  const store = await openShards({ tables: [{ rows }], d, k, r: 1, servers, optimizer, seed: context.seed })
  try {
    const random = createRandom(context.seed).stream('flips')
    const stripes = new Set(random.sample(store.layout.stripes, count))
    for (const stripe of stripes) {
      const [position, word, bit] = [random.integer(0, k), random.integer(0, 2 * d - 1), random.integer(0, 31)]
      await store.flipBit({ stripe, position, word, bit })
    }
    const start = performance.now()
    const { corrupt, skipped } = await store.scrub()
    const ms = performance.now() - start
    const right = corrupt.filter(({ stripe }) => stripes.has(stripe)).length
    context.emit({
      case: `scrub of ${rows} rows, ${count} flipped bits`,
      metric: 'stripes flagged',
      value: right,
      unit: `stripes, ${corrupt.length - right} falsely, ${skipped.length} skipped`,
      target: `${count}, 0 falsely`,
    })
    context.emit({ case: 'same', metric: 'rows scrubbed', value: (rows / ms) * 1000, unit: 'rows/s' })
  } finally {
    await store.close()
  }
}

/** What a parity fed with gradients decodes, instead of one fed with differences. */
function naive(context: BenchContext): void {
  const optimizer = { name: 'adagrad', learningRate: 0.1 } as const
  const errors = Array.from({ length: 9 }, (_, i) => {
    return naivePropagation({ optimizer, updates: 1_000, initialState: 0.1, seed: context.seed + i }).ofNorm
  })
  context.emit({
    case: 'naive gradient propagation, Adagrad, k = 2, 1,000 updates',
    metric: 'error of a decoded row',
    value: median(errors),
    unit: 'of its norm',
    n: errors.length,
    target: 'about 0.49: it fails',
  })
  // The published parity: differences are added to a sum of floats. Of bits the error is 0.
  const updates = context.quick ? 10_000 : 100_000
  const drift = Array.from({ length: 9 }, (_, i) => floatSumParity({ optimizer, updates, seed: context.seed + i }))
  context.emit({
    case: `differences in a parity of float32 sums, Adagrad, k = 4, ${updates} updates`,
    metric: 'error of a decoded row',
    value: median(drift.map(({ ofNorm }) => ofNorm)),
    unit: 'of its norm',
    n: drift.length,
    target: 'about 1e-5: it drifts',
  })
}
