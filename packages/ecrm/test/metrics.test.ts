// Metrics say what is: whole, degraded, recovered; updates that parity has not answered.
import { expect, it } from 'vitest'
import { prometheusText } from '@ft/report/prometheus'
import { openShards, storeMetrics } from '../src/index.ts'
import type { Message, MessageOf } from '../src/shard/messages.ts'
import { createShard } from '../src/shard/shard.ts'
import { resolveSpec } from '../src/shard/spec.ts'
import { base, pushes } from './support/stores.ts'

const of = ({ counters = [], gauges = [] }: Awaited<ReturnType<typeof storeMetrics>>, name: string) =>
  [...counters, ...gauges].find((series) => series.name === `ft_ecrm_${name}`)!.values.map(({ value }) => value)

it('a killed shard is degraded, then recovered', async () => {
  // The sweep comes late: what is seen first is the shard without a row.
  const store = await openShards({ ...base, where: 'memory', sweep: { stripes: 8, pause: 30 } })
  await pushes(store, 10)
  const { dataRows, parityRows } = store.layout
  const rows = dataRows + parityRows
  const calm = await storeMetrics(store)
  expect(of(calm, 'degraded_stripes')).toEqual([0])
  expect(of(calm, 'recovery_progress_ratio')).toEqual([1, 1, 1, 1])
  store.kill(2)
  const hurt = await storeMetrics(store)
  expect(of(hurt, 'missing_rows')).toEqual([0, 0, rows, 0])
  expect(of(hurt, 'degraded_stripes')).toEqual([rows])
  expect(of(hurt, 'recovery_progress_ratio')).toEqual([1, 1, 0, 1])
  await store.recovered()
  const well = await storeMetrics(store)
  expect(of(well, 'missing_rows')).toEqual([0, 0, 0, 0])
  expect(of(well, 'recovered_rows_total')[2]).toBe(rows)
  expect(of(well, 'replacements_total')).toEqual([1])
  expect(of(well, 'pushed_rows_total')[0]).toBeGreaterThan(0)
  expect((await prometheusText(well)).split('\n')).toContain(`ft_ecrm_recovered_rows_total{shard="2"} ${rows}`)
  await store.close()
})

it('updates whose differences parity has not answered are the lag, until it answers', () => {
  const { tables, d, k = 4, servers = 5, optimizer, seed = 0 } = base
  const ranges = tables.map(({ rows, scale = 1 }) => ({ rows, scale }))
  const written = { k, r: 1, servers, d, ranges, optimizer: optimizer!, seed }
  const spec = resolveSpec({ ...written, acknowledgement: 'sync', logBytes: 2 ** 20 })
  const sent: { to: number; message: Message }[] = []
  const shard = createShard({
    spec,
    server: 0,
    incarnation: 1,
    lost: false,
    send: (to, message) => sent.push({ to, message }),
  })
  const worker = { node: servers, incarnation: 1 }
  const status = (): number[] => {
    shard.receive(worker, { type: 'status', id: 1 })
    const { message } = sent.pop()!
    return Array.from(new Float64Array((message as MessageOf<'counts'>).values.slice().buffer))
  }
  for (const id of [1, 2]) {
    const gradients = new Uint32Array(new Float32Array(d).fill(id).buffer)
    shard.receive(worker, { type: 'push', id, readsNext: 0, pushesNext: 0, rows: Uint32Array.of(id), gradients })
  }
  expect(status().at(-1)).toBe(2)
  for (const { to, message } of sent.splice(0))
    if (message.type === 'deltas')
      shard.receive({ node: to, incarnation: 1 }, { type: 'acked', batch: message.batch, life: 1 })
  expect(status().at(-1)).toBe(0)
})
