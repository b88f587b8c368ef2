import { describe, expect, it } from 'vitest'
import { overheadsOf } from '../src/guideSequence.ts'

const rounds = 20
const same = (time: number): number[] => new Array<number>(rounds).fill(time)
/** Two segments of 1 and 3 ms; `plan` costs 10 % more at the first and 30 % more at the second. */
const samples = () => ({
  none: [same(1), same(3)],
  plan: [same(1.1), same(3.9)],
  other: [same(1.2), same(3)],
})

describe('overheads of plans that go through a network in step', () => {
  it('weigh every segment by its unprotected time', () => {
    const { overhead, rareIncluded, difference } = overheadsOf(samples(), 1)
    for (const each of [overhead, rareIncluded]) {
      expect(each['plan']?.value).toBeCloseTo((0.1 * 1 + 0.3 * 3) / 4, 12)
      expect(each['other']?.value).toBeCloseTo(0.2 / 4, 12)
    }
    expect(difference('plan', 'other').value).toBeCloseTo(0.25 - 0.05, 12)
  })

  it('leave out what happens now and then, which the means hold', () => {
    const rare = samples()
    // Every other round is disturbed, at either segment in turn.
    for (let round = 0; round < rounds; round += 2) (rare.plan[(round / 2) % 2] as number[])[round] = 50
    const { overhead, rareIncluded } = overheadsOf(rare, 1)
    expect(overhead['plan']?.value).toBeCloseTo(0.25, 12)
    const added = (5 * (50 - 1.1) + 5 * (50 - 3.9)) / rounds
    expect(rareIncluded['plan']?.value).toBeCloseTo(0.25 + added / 4, 12)
  })
})
