// Part of bench "ecrm": what it brings that small hot tables stay with the trainer, as the choice says, and how good its predictions are,
// also where a table may be lost.
import { flightTask, readFlights } from '@ft/datasets'
import { chooseProtection, updatesAStep, type ProtectionChoice, type ServerReport } from '@ft/ecrm'
import type { BenchContext } from './bench.ts'
import {
  emitPairs,
  flights,
  openRun,
  optimizer,
  pairBlocks,
  sum,
  trainBlock,
  width as d,
  type Run,
} from './ecrmTask.ts'

const k = 4
const servers = 5
const steps = 40
const batch = 2_048

/** The flights with every table encoded, with the choice acted on, and that without redundancy. */
export async function replicatedTables(context: BenchContext): Promise<void> {
  const { seed, quick } = context
  const task = flights(flightTask(await readFlights(), { rows: quick ? 200_000 : 600_000, seed }), batch)
  const updates = updatesAStep(task.block(0, 32), { batch, seed })
  const facts = task.tables.map(({ rows }, t) => ({ rows, d, updates: updates[t]! }))
  // Trainer and shards end together: nothing is kept.
  const how = { k, r: 1, servers, optimizer, replicateEvery: 0 }
  const choice = chooseProtection(facts, how)
  const near = choice.tables.filter(({ protection }) => protection === 'replicate')
  context.emit({
    case: 'flights DLRM, k = 4, r = 1',
    metric: 'tables that stay with the trainer',
    value: near.length,
    unit: `of ${task.tables.length}, ${sum(near.map(({ rows }) => rows))} of ${sum(task.tables.map(({ rows }) => rows))} rows`,
  })
  const rounds = quick ? 20 : 40
  for (const [what, r, tables] of [
    ['every table encoded', 1, task.tables],
    ['r = 0, the same tables with the trainer', 0, choice.tables],
  ] as const) {
    const chosen = await openRun(task, { k, r: 1, servers, seed, tables: choice.tables })
    const other = await openRun(task, { k, r, servers, seed, tables })
    try {
      emitPairs(context, await pairBlocks(chosen, other, { rounds, steps }), {
        case: 'flights DLRM, k = 4, r = 1, small tables with the trainer',
        baseline: what,
        steps,
        ...(r === 0 ? { target: 'ratio <= 1.10' } : {}),
      })
      if (r === 1) await count(context, { run: chosen, choice, name: 'the same, counted' })
    } finally {
      await Promise.all([chosen.store.close(), other.store.close()])
    }
  }
  const largest = facts.reduce((at, { rows }, i) => (rows > facts[at]!.rows ? i : at), 0)
  const without = chooseProtection(
    facts.map((table, i) => ({ ...table, expendable: i === largest })),
    how,
  )
  const run = await openRun(task, { k, r: 1, servers, seed, tables: without.tables })
  try {
    await count(context, { run, choice: without, name: 'the largest table without parity, counted' })
  } finally {
    await run.store.close()
  }
}

/** What protection takes by the servers' counts, beside what was predicted. */
async function count(
  context: BenchContext,
  { run, choice, name }: { run: Run; choice: ProtectionChoice; name: string },
): Promise<void> {
  const total = async (of: (one: ServerReport) => number): Promise<number> => sum((await run.store.report()).map(of))
  const before = await total(({ deltaBytes }) => deltaBytes)
  await trainBlock(run, 32)
  const counted = {
    'bytes that protection sends a step': ((await total(({ deltaBytes }) => deltaBytes)) - before) / 32,
    'bytes of redundancy': await total(({ parityBytes }) => parityBytes),
  }
  const predicted = [choice.trafficBytes, choice.redundantBytes]
  Object.entries(counted).forEach(([metric, value], i) =>
    context.emit({
      case: name,
      metric,
      value,
      unit: 'bytes',
      baseline: { case: 'chooseProtection', value: predicted[i]! },
      ratio: value / predicted[i]!,
      target: 'ratio 0.9 to 1.1',
    }),
  )
}
