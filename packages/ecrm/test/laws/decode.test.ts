// Decoding under concurrent updates, over short random interleavings of the production shards: none leaves a wrong row, and
// the same ones do without version vectors. `pnpm run test:interleavings` runs a million.
import { expect, it } from 'vitest'
import { createRandom } from '@ft/core/random'
import { resolveSpec, type ShardSpec } from '../../src/shard/spec.ts'
import { interleave, type Interleaving } from '../support/interleave.ts'

const million = process.env['MODE'] === 'million'

/** Of a thousand interleavings, how many are of which kind. */
const kinds: readonly { share: number; spec: Partial<ShardSpec>; how: Interleaving }[] = [
  { share: 550, spec: {}, how: {} },
  { share: 25, spec: { bare: 4, servers: 4 }, how: { workers: 2, pushes: 10, crashes: 3, reconnects: true } },
  { share: 25, spec: { bare: 3, r: 2, servers: 5 }, how: { workers: 2, crashes: 3, atOnce: 2, pushes: 10 } },
  { share: 100, spec: { servers: 4 }, how: { workers: 2, pushes: 10, crashes: 3, reconnects: true } },
  { share: 100, spec: { k: 4, servers: 5 }, how: { workers: 2 } },
  { share: 100, spec: { r: 2, servers: 4 }, how: { workers: 2, crashes: 2, atOnce: 2 } },
  { share: 25, spec: { r: 2, servers: 5 }, how: { workers: 3, crashes: 4, atOnce: 2, pushes: 12, reconnects: true } },
  { share: 25, spec: { k: 4, r: 2, servers: 6 }, how: { workers: 2, crashes: 3, atOnce: 2, pushes: 10 } },
  { share: 25, spec: { r: 3, servers: 5 }, how: { workers: 2, crashes: 3, atOnce: 3 } },
  { share: 25, spec: { r: 3, servers: 6 }, how: { workers: 3, crashes: 5, atOnce: 3, pushes: 12, reconnects: true } },
]
const specs = kinds.map(({ spec }) =>
  resolveSpec({
    k: 2,
    r: 1,
    servers: 3,
    d: 1,
    ranges: [{ rows: 8, scale: 1 }],
    optimizer: { name: 'sgd', learningRate: 1 },
    seed: 1,
    acknowledgement: 'sync',
    logBytes: 1 << 20,
    ...spec,
  }),
)

/** Runs `thousands` x 1,000 interleavings; the totals. */
async function runAll(thousands: number, more: Interleaving = {}) {
  const random = createRandom(11)
  const total = { interleavings: 0, harmed: 0, crashes: 0 }
  for (let thousand = 0; thousand < thousands; thousand++) {
    for (const [at, { share, how }] of kinds.entries()) {
      const kind = random.stream(`thousand ${thousand}`, at)
      for (let i = 0; i < share; i++) {
        // A memory of its own for each server takes longer than the whole of a short interleaving.
        const left = interleave(specs[at]!, kind, { ...how, ...more, fast: i % 20 === 0 })
        total.interleavings++
        total.crashes += left.crashes
        if (left.wrong + left.broken + left.unrecoverable > 0 || left.stuck) total.harmed++
      }
    }
    // Whoever watches the test hears of it now and then.
    await new Promise((resolve) => setImmediate(resolve))
  }
  return total
}

it('leaves no row wrong', { timeout: 4 * 3_600_000 }, async () => {
  const thousands = million ? 1_000 : 3
  const total = await runAll(thousands)
  expect(total).toEqual({ interleavings: thousands * 1_000, harmed: 0, crashes: total.crashes })
  expect(total.crashes).toBeGreaterThanOrEqual(thousands * 1_000)
})

it('leaves rows wrong without version vectors', { timeout: 600_000 }, async () => {
  expect((await runAll(1, { without: 'versions' })).harmed).toBeGreaterThan(100)
})
