// Part of bench "ecrm": what a version of the dense network at r + 1 shards ahead of every step's push costs that step.
import { flightTask, readFlights } from '@ft/datasets'
import type { BenchContext } from './bench.ts'
import { emitPairs, flights, openRun, pairBlocks } from './ecrmTask.ts'

const k = 4
const servers = 5
const steps = 40

/** Blocks with and without versions in turns, each run with shards of its own; the dense network is the same. */
export async function keptVersions(context: BenchContext): Promise<void> {
  const { seed, quick } = context
  const data = flightTask(await readFlights(), { rows: quick ? 200_000 : 600_000, seed })
  for (const batch of [2_048, 128]) {
    const task = flights(data, batch)
    const plain = await openRun(task, { k, r: 1, servers, seed }, { replicateEvery: 0 })
    const kept = await openRun(task, { k, r: 1, servers, seed }, { replicateEvery: 1 })
    try {
      emitPairs(context, await pairBlocks(kept, plain, { rounds: quick ? 24 : 48, steps }), {
        case: `flights DLRM, k = 4, r = 1, batch ${batch}, a version of the dense network every step`,
        baseline: 'none',
        steps,
      })
      // A run that lost its versions would cost nothing.
      if ((await kept.store.kept())?.step === undefined) throw new Error('ecrm --case versions: no version was kept')
    } finally {
      await Promise.all([plain.store.close(), kept.store.close()])
    }
  }
}
