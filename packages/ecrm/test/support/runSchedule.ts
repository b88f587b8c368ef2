// One random schedule of pushes, differences, answers, crashes and decodes, and what it left behind.
import type { Remedy } from '../../src/shard/remedies.ts'
import type { ShardSpec } from '../../src/shard/spec.ts'
import { writeInitialRow } from '../../src/shard/initialRows.ts'
import { brokenStripes, rowsById, scheduled, type Scheduled } from './scheduled.ts'

/** Each row's bits after every number of its updates: gradients depend on id and count alone, so order does not matter. */
function twin({ spec }: Scheduled): (id: number, updates: number) => Uint32Array {
  return (id, updates) => {
    const row = new Float32Array(spec.width)
    writeInitialRow(spec, id, row)
    for (let step = 0; step < updates; step++) spec.row.apply(row, 0, gradient(spec.d, id), 0, spec.d)
    return new Uint32Array(row.buffer)
  }
}

const gradient = (d: number, id: number): Float32Array =>
  Float32Array.from({ length: d }, (_, j) => Math.fround(Math.sin(id * 7 + j)))

export interface Run {
  readonly rounds?: number
  /** Servers that may be down or recovering at once. */
  readonly atOnce?: number
  readonly crashRate?: number
  readonly without?: Remedy
  readonly workers?: number
}

/** Runs a schedule; how many rows are wrong, and how often each should have been updated. */
export async function runSchedule(partial: Partial<ShardSpec>, seed: number, o: Run = {}) {
  const { rounds = 12, atOnce = 1, crashRate = 0.03, workers = 2 } = o
  // Every other one with rows in WebAssembly memory, as in processes of their own.
  const net = scheduled(partial, { seed, workers, without: o.without, fast: seed % 2 === 1 })
  const { random, spec } = net
  const pushed = new Array<number>(spec.layout.rows).fill(0)
  let crashes = 0
  const left = new Array<number>(workers).fill(rounds)
  const work = net.clients.map(async (client, w) => {
    // Two pushes under way, as in training.
    let [before, pushing]: Promise<void>[] = [Promise.resolve(), Promise.resolve()]
    while (left[w]!-- > 0) {
      const ids = random.sample(spec.layout.rows, random.integer(1, 5))
      for (const id of ids) pushed[id]!++
      const gradients = new Float32Array(ids.length * spec.d)
      ids.forEach((id, i) => gradients.set(gradient(spec.d, id), i * spec.d))
      await client.pull(ids)
      await before
      before = pushing
      pushing = client.push(ids, gradients, { pushesNext: true })
    }
    await Promise.all([before, pushing])
  })
  let finished = false
  const all = Promise.all(work).then(() => (finished = true))
  for (let event = 0; !finished && event < 200_000; event++) {
    const missing = net.shards.filter((shard) => shard.storage.missing > 0).length
    if (missing < atOnce && random.bernoulli(crashRate)) {
      net.crash(random.integer(0, spec.layout.servers - 1))
      crashes++
    }
    if (random.bernoulli(0.1)) net.step(2)
    if (!net.deliver() || random.bernoulli(0.2)) await net.turn()
  }
  await all
  await net.settle()
  const expected = twin(net)
  const rows = rowsById(net)
  const wrong = rows.filter(({ words }, id) => expected(id, pushed[id]!).some((word, i) => word !== words[i])).length
  const unrecoverable = net.shards.reduce((sum, shard) => sum + shard.unrecoverable.length, 0)
  return { wrong, broken: brokenStripes(net).length, crashes, unrecoverable }
}
