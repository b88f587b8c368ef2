import { expect, it } from 'vitest'
import { besideForetold, type ArmResult } from '../src/parmTailReport.ts'

/** Twelve turns of 40 queries whose latencies lie about `ms`, `spread` apart between turns. */
const arm = (ms: number, spread = 0): ArmResult => ({
  blocks: Array.from({ length: 12 }, (_, turn) => ({
    latencies: Array.from({ length: 40 }, (_, i) => ms + spread * ((turn * 5) % 12) + i / 1000),
    lags: [],
    unanswered: 0,
  })),
  sums: {},
})

it('tells pairs that are the other way round from those that the run does not decide', () => {
  const foretold = new Map(Object.entries({ none: 150, hedging: 32, coded: 22, replication: 21 }))
  const results = (own: Record<string, ArmResult>) => ({ results: new Map(Object.entries(own)), seed: 1 })
  const as = { none: arm(150), hedging: arm(33), coded: arm(25), replication: arm(30) }
  // coded and replication are foretold within 10 % of one another: not judged
  expect(besideForetold(foretold, results(as))).toEqual({ unlike: 0, undecided: 0, pairs: 5 })
  const turned = { ...as, hedging: arm(20) }
  expect(besideForetold(foretold, results(turned))).toEqual({ unlike: 2, undecided: 0, pairs: 5 })
  const unsure = { ...as, coded: arm(24, 3), hedging: { ...arm(24, 3), blocks: [...arm(24, 3).blocks].reverse() } }
  expect(besideForetold(foretold, results(unsure))).toMatchObject({ undecided: 1, pairs: 5 })
})
