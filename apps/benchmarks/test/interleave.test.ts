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

  it('puts each rival behind every other in turn, in an order that the seed gives', async () => {
    const order = async (seed: number): Promise<string> => {
      let ran = ''
      const rivals = ['a', 'b', 'c'].map((name) => ({ name, run: () => void (ran += name) }))
      await interleave(rivals, { rounds: 30, warmUp: 0, seed, shortestMs: 0 })
      return ran.slice(3)
    }
    const ran = await order(1)
    expect(await order(1)).toBe(ran)
    expect(await order(2)).not.toBe(ran)
    for (let turn = 0; turn < 30; turn++) expect([...ran.slice(3 * turn, 3 * turn + 3)].sort()).toEqual(['a', 'b', 'c'])
    for (const pair of ['ab', 'ac', 'ba', 'bc', 'ca', 'cb']) expect(ran).toContain(pair)
  })

  it('begins samples with a run that does not count where it is asked to, and reads both clocks', async () => {
    let runs = 0
    const spin = () => {
      const end = performance.now() + 2
      while (performance.now() < end);
      runs++
    }
    const timed = await interleave([{ name: 'a', run: spin }], { rounds: 6, seed: 1, shortestMs: 0, leadIn: true })
    expect(runs).toBe(3 + 2 * 6)
    expect(timed.medianOf('a')).toBeGreaterThanOrEqual(2)
    expect(timed.processor.samples.get('a')).toHaveLength(6)
  })
})
