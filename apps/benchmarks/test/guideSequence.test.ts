import { describe, expect, it } from 'vitest'
import { overheadsOf, type Samples } from '../src/guideSequence.ts'

const rounds = 20
/** Two layers of 1 and 3 ms; `plan` costs 10 % more at the first and 30 % more at the second. */
const samples = (): Record<string, number[][]> => ({
  none: Array.from({ length: rounds }, () => [1, 3]),
  plan: Array.from({ length: rounds }, () => [1.1, 3.9]),
  other: Array.from({ length: rounds }, () => [1.2, 3]),
})

describe('overheads of passes', () => {
  it('weigh every layer by its unprotected time', () => {
    const { overhead, difference } = overheadsOf(samples(), 1)
    expect(overhead['plan']?.value).toBeCloseTo((0.1 * 1 + 0.3 * 3) / 4, 12)
    expect(overhead['other']?.value).toBeCloseTo(0.2 / 4, 12)
    expect(difference('plan', 'other').value).toBeCloseTo(0.25 - 0.05, 12)
  })

  it('of whole passes are the median ratio less 1', () => {
    const whole: Samples = {
      none: Array.from({ length: rounds }, (_, i) => [10 + i]),
      plan: Array.from({ length: rounds }, (_, i) => [(10 + i) * (1 + (i % 5) / 10)]),
    }
    expect(overheadsOf(whole, 1).overhead['plan']?.value).toBeCloseTo(0.2, 12)
  })

  it('a disturbed layer spoils its own sample, not the pass', () => {
    const disturbed = samples()
    // Every round is disturbed, each at another place of another plan.
    for (let round = 0; round < rounds; round++) {
      const times = disturbed[['none', 'plan'][round % 2] as string]?.[round] as number[]
      times[Math.floor(round / 2) % 2] = 50
    }
    const quiet = overheadsOf(samples(), 1).overhead['plan']?.value as number
    expect(overheadsOf(disturbed, 1).overhead['plan']?.value).toBeCloseTo(quiet, 12)
    const passes = (plan: string) => disturbed[plan]?.map((times) => [times.reduce((sum, time) => sum + time, 0)]) ?? []
    const whole = overheadsOf({ none: passes('none'), plan: passes('plan') }, 1).overhead['plan']?.value as number
    expect(Math.abs(whole - quiet)).toBeGreaterThan(0.1)
  })
})
