import { describe, expect, it } from 'vitest'
import { exactly, verdictOf, type Claim } from '../src/story.ts'

const measured = (low: number, high: number): Claim['measured'] => ({
  value: (low + high) / 2,
  low,
  high,
  confidence: 0.95,
  n: 10,
})

describe('verdicts', () => {
  it('hold or are refuted only when the whole interval says so', () => {
    expect(verdictOf({ text: '', measured: measured(0.1, 0.3), above: 0 })).toBe('held')
    expect(verdictOf({ text: '', measured: measured(-0.1, 0.3), above: 0 })).toBe('undecided')
    expect(verdictOf({ text: '', measured: measured(-0.3, -0.1), above: 0 })).toBe('refuted')
    expect(verdictOf({ text: '', measured: measured(0.1, 0.3), below: 0.4 })).toBe('held')
    expect(verdictOf({ text: '', measured: measured(0.5, 0.6), below: 0.4 })).toBe('refuted')
    expect(verdictOf({ text: '', measured: exactly(0), below: 1e-12 })).toBe('held')
  })
})
