import { describe, expect, it } from 'vitest'
import { interleave } from '../src/support/interleave.ts'

describe('interleave', () => {
  it('runs every rival in every turn, warm, and pairs their times', async () => {
    const runs: Record<string, number> = { a: 0, b: 0 }
    const timed = await interleave(
      ['a', 'b'].map((name) => ({ name, run: () => void (runs[name] = (runs[name] ?? 0) + 1) })),
      { rounds: 8, warmUp: 3, seed: 1, shortestMs: 0 },
    )
    // Three to warm up, one to see how long it takes, eight that count.
    expect(runs).toEqual({ a: 12, b: 12 })
    expect(timed.samples.get('a')).toHaveLength(8)
    expect([...(timed.samples.get('b') ?? [])].every((ms) => ms >= 0)).toBe(true)
  })
})
