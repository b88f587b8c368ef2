// Bench "ecrm-scale": 50 million rows with their state on one machine, about 8 GB with parity: trained, one shard killed,
// recovered. --quick: 2 million.
import { createRandom } from '@ft/core/random'
import type { Bench } from './bench.ts'
import { openRun, sum, trainBlock, width, zipfTask } from './ecrmTask.ts'

const k = 4
const servers = 5
const batch = 1_024
const steps = 50
const probed = 20_000

export const ecrmScale: Bench = {
  name: 'ecrm-scale',
  title: 'Erasure-coded embedding shards of a whole machine',
  async run(context) {
    const rows = context.quick ? 2_000_000 : 50_000_000
    const task = zipfTask(rows / 4, batch, context.seed)
    const begin = performance.now()
    // Five processes fill gigabytes on few cores: who is silent for a while is not dead.
    const heartbeat = { interval: 1_000, missed: 60 }
    const sweep = { stripes: 8_192, pause: 0, share: 0.8 }
    const run = await openRun(task, { k, r: 1, servers, seed: context.seed, heartbeat, sweep })
    const { store } = run
    try {
      const name = `${rows / 1e6} M rows x ${width}, Adagrad, k = ${k}, r = 1`
      const seconds = (since: number): number => (performance.now() - since) / 1000
      context.emit({ case: name, metric: 'opened in', value: seconds(begin), unit: 's' })
      const reports = await store.report()
      const data = sum(reports.map(({ dataBytes }) => dataBytes))
      const all = data + sum(reports.map(({ parityBytes }) => parityBytes))
      context.emit({
        case: name,
        metric: 'memory of rows, state, parity and counters',
        value: all / 1e9,
        unit: 'GB',
        baseline: { case: 'r = 0', value: data / 1e9 },
        ratio: all / data,
      })
      const normal = sum(await trainBlock(run, steps)) / steps
      const random = createRandom(context.seed).stream('probe')
      const probe = Uint32Array.from({ length: probed }, () => random.integer(0, rows - 1))
      const before = await store.pull(probe)

      store.kill(2)
      const killed = performance.now()
      const decoded = await store.pull(probe)
      context.emit({
        case: name,
        metric: `first pull after the kill, ${probed} rows`,
        value: seconds(killed),
        unit: 's',
      })
      const replaced = store.replacements
      let lost: readonly number[] | undefined
      const recovered = store.recovered().then((ids) => (lost = ids))
      /** Rows that training went on with: they may differ. */
      const touched = new Set<number>()
      const gaps: number[] = []
      while (lost === undefined) {
        task.block(run.block, steps).categorical.forEach(({ ids }, table) => {
          for (const id of Array.from(ids)) touched.add(store.offsets[table]! + id)
        })
        gaps.push(...(await trainBlock(run, steps)))
      }
      await recovered
      const whole = seconds(killed)
      const { dataRows, parityRows } = store.layout
      context.emit({ case: name, metric: 'kill to full redundancy', value: whole, unit: 's, to the end of a block' })
      context.emit({ case: name, metric: 'rows recovered', value: (dataRows + parityRows) / whole, unit: 'rows/s' })
      const meanwhile = sum(gaps) / gaps.length
      context.emit({
        case: name,
        metric: 'step while recovering',
        value: meanwhile,
        unit: 'ms',
        baseline: { case: 'before', value: normal },
        ratio: meanwhile / normal,
      })
      const after = await store.pull(probe)
      const differ = (values: Float32Array, here: (id: number) => boolean): number =>
        probe.reduce((count, id, i) => {
          const same = (j: number) => Object.is(values[i * width + j], before[i * width + j])
          return count + Number(here(id) && !Array.from({ length: width }, (_, j) => j).every(same))
        }, 0)
      context.emit({
        case: name,
        metric: 'rows that differ, decoded at once',
        value: differ(decoded, () => true),
        unit: `of ${probed}, ${replaced} replaced, ${lost.length} lost`,
        target: '0',
      })
      context.emit({
        case: name,
        metric: 'rows that differ, after the recovery',
        value: differ(after, (id) => !touched.has(id)),
        unit: `of ${probe.filter((id) => !touched.has(id)).length} that no step touched`,
        target: '0',
      })
    } finally {
      await store.close()
    }
  },
}
