import { describe, expect, it } from 'vitest'
import { crossValidate, train, type CrossValidateOptions } from '../src/index.ts'
import { makeData } from './support/made.ts'

const data = makeData(200)
const options: CrossValidateOptions = { objective: 'squared', rounds: 12, maxDepth: 3, folds: 4, seed: 3 }

describe('crossValidate', () => {
  it('means and standard errors are those of the folds', async () => {
    const out = await crossValidate(data, options)
    expect(out.folds.length).toBe(4)
    expect(out.mean.length).toBe(12)
    const last = out.folds.map((values) => values[11] as number)
    const mean = last.reduce((sum, value) => sum + value, 0) / 4
    expect(out.mean[11]).toBeCloseTo(mean, 12)
    const deviation = Math.sqrt(last.reduce((sum, value) => sum + (value - mean) ** 2, 0) / 3)
    expect(out.standardError[11]).toBeCloseTo(deviation / 2, 12)
    expect(out.best.mean).toBe(Math.min(...out.mean))
    expect(out.mean[out.bestRound - 1]).toBe(out.best.mean)
    expect((await crossValidate(data, options)).mean).toEqual(out.mean)
    expect((await crossValidate(data, { ...options, seed: 4 })).mean).not.toEqual(out.mean)
  })

  it('rows of one group are never on both sides', async () => {
    // Labels are a number a group, which no other group tells: with groups apart nothing can be learnt of them.
    const group = Array.from({ length: 200 }, (_, row) => Math.floor(row / 4))
    const features = { data: Float32Array.from(group, (g) => (g * 7919) % 1009), rows: 200, columns: 1 }
    const label = group.map((g) => ((g * 104_729) % 101) / 10)
    const leaky = await crossValidate(
      { features, label },
      { ...options, rounds: 150, maxDepth: 6, dropout: false, l2: 0 },
    )
    const apart = await crossValidate(
      { features, label },
      { ...options, rounds: 150, maxDepth: 6, dropout: false, l2: 0, by: group },
    )
    expect(leaky.best.mean).toBeLessThan(0.5)
    expect(apart.best.mean).toBeGreaterThan(2)
  })

  it('queries stay whole, and every one is judged once', async () => {
    const relevance = data.label.map((y) => Math.min(3, Math.max(0, Math.floor(y / 6))))
    const group = [...Array.from({ length: 20 }, () => 6), ...Array.from({ length: 20 }, () => 4)]
    const seen: number[] = []
    const metric = {
      name: 'queries',
      better: 'higher' as const,
      compute: ({ groups }: { groups?: ArrayLike<number> | undefined }) => {
        seen.push(groups?.length ?? 0)
        return 0
      },
    }
    await crossValidate(
      { ...data, label: relevance, group },
      { ...options, objective: 'lambdarank', rounds: 1, metric },
    )
    // Each fold is judged before its first round and after it.
    expect(seen.filter((_, i) => i % 2 === 0).reduce((sum, count) => sum + count, 0)).toBe(40)
  })

  it('weights and categories go along; a fold without the last class is no trouble', async () => {
    const records = data.list.map((row, i) => ({ x: row[0] as number, kind: `k${i % 9}`, z: i % 5 ? 1 : null }))
    const label = data.label.map((_, row) => (row === 7 ? 3 : row % 3))
    const out = await crossValidate(
      { features: records, label, weight: data.label.map(() => 2) },
      { ...options, objective: 'softmax' },
    )
    expect(out.metric).toBe('mlogloss')
    expect(out.mean.every(Number.isFinite)).toBe(true)
  })

  it('one fold is a training with the rest held out', async () => {
    const out = await crossValidate(data, { ...options, by: data.label.map((_, row) => (row < 50 ? 0 : 1)), folds: 2 })
    const cut = (from: number, to: number) => ({
      features: { data: data.features.data.subarray(6 * from, 6 * to), rows: to - from, columns: 6 },
      label: data.label.subarray(from, to),
    })
    const { folds: _, ...training } = options
    const runs = [
      await train({ ...cut(50, 200), validation: cut(0, 50) }, training),
      await train({ ...cut(0, 50), validation: cut(50, 200) }, training),
    ].map(({ history }) => history.map(({ validation }) => validation))
    expect([...out.folds].map((fold) => [...fold]).sort()).toEqual(runs.sort())
  })

  it.each([
    ['one fold', { folds: 1 }, /folds must be a whole number from 2/],
    ['more folds than rows', { folds: 300 }, /200 units cannot make 300 folds/],
    ['groups that are not there', { by: 'group' as const }, /needs `group`/],
    ['too few numbers', { by: [1, 2] }, /by has 2 values for 200 rows/],
  ])('%s are refused', async (_, change, message) => {
    await expect(crossValidate(data, { ...options, ...change })).rejects.toThrow(message)
  })
})
