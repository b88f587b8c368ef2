// Random interleavings of pushes, differences, answers, crashes and decodes, on the production shard and client. After each
// run every row must have bits that it would have without crashes, every parity row must be its stripe's.
import { describe, expect, it } from 'vitest'
import type { ShardSpec } from '../../src/shard/spec.ts'
import { runSchedule, type Run } from '../support/runSchedule.ts'

/** The long form: `pnpm run test:crash`. */
const schedules = process.env['MODE'] === 'crash' ? 4_000 : 60

const cases: [string, Partial<ShardSpec>, Run][] = [
  ['k 2, r 1, n < N', {}, {}],
  ['k 2, r 1, n = N', { servers: 3 }, {}],
  ['k 4, r 1, momentum', { k: 4, servers: 5, optimizer: { name: 'momentum', learningRate: 0.1 } }, {}],
  ['k 2, r 2, one crash at a time', { r: 2, servers: 5 }, {}],
  ['k 2, r 2, two at a time', { r: 2, servers: 5 }, { atOnce: 2, crashRate: 0.05 }],
  [
    'k 4, r 2, two at a time, Adam',
    { k: 4, r: 2, servers: 6, optimizer: { name: 'adam', learningRate: 0.01 } },
    { atOnce: 2, crashRate: 0.05 },
  ],
  ['k 2, r 3, three at a time', { r: 3, servers: 6 }, { atOnce: 3, crashRate: 0.06 }],
  ['logs of one push', { logBytes: 1 }, {}],
]

describe.each(cases)('%s', (_, spec, how) => {
  it(
    'no row is wrong, no update is lost or counted twice, over many schedules with crashes',
    { timeout: 600_000 },
    async () => {
      let crashes = 0
      for (let seed = 0; seed < schedules; seed++) {
        const out = await runSchedule(spec, seed, how)
        expect({ seed, ...out }).toEqual({ seed, wrong: 0, broken: 0, crashes: out.crashes, unrecoverable: 0 })
        crashes += out.crashes
      }
      expect(crashes).toBeGreaterThan(schedules)
    },
  )
})

it('the same schedules give wrong rows when versions are not checked', async () => {
  let wrong = 0
  for (let seed = 0; seed < 60; seed++) wrong += (await runSchedule({}, seed, { without: 'versions' })).wrong
  expect(wrong).toBeGreaterThan(0)
})
