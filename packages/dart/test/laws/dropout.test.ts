// Laws of DART's weights (AISTATS'15, algorithm 1, and what follows from it).
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createRandom } from '@ft/core/random'
import { chooseDropped, normalize, train } from '../../src/index.ts'
import { makeData } from '../support/made.ts'

const base = {
  dropRate: 0.1,
  plusOne: true,
  skipDrop: 0,
  maxDrop: 0,
  sample: 'uniform',
  normalize: 'tree',
  dropUnit: 'round',
  dropSeed: 1,
} as const
const small = makeData(200)

describe('normalisation', () => {
  it("is the paper's 1/(k+1) and k/(k+1) at learning rate 1", () => {
    for (let k = 1; k <= 100; k++) {
      const { added, factor } = normalize('tree', k, 1)
      expect(added).toBe(1 / (k + 1))
      expect(factor).toBe(k / (k + 1))
    }
  })

  it("gives XGBoost's figures: k = 1 and 3 at eta 0.3", () => {
    // XGBoost keeps eta inside the leaf: its weight 1 / (k + eta) is ours divided by eta.
    expect(normalize('tree', 1, 0.3).added / 0.3).toBeCloseTo(0.769231, 6)
    expect(normalize('tree', 1, 0.3).factor).toBeCloseTo(0.769231, 6)
    expect(normalize('tree', 3, 0.3).added / 0.3).toBeCloseTo(0.30303, 6)
    expect(normalize('tree', 3, 0.3).factor).toBeCloseTo(0.909091, 6)
    expect(normalize('forest', 7, 0.5)).toEqual({ added: 0.5 / 1.5, factor: 1 / 1.5 })
    expect(normalize('lightgbm', 3, 0.1)).toEqual({ added: 0.1 / 4, factor: 3 / 4 })
  })

  it('keeps the joint effect of dropped trees when the new tree repeats them, for every rule of the paper', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 50 }), fc.double({ min: 0.01, max: 2, noNaN: true }), (k, eta) => {
        const { added, factor } = normalize('tree', k, eta)
        // A new tree that aims at the whole gap of the k dropped ones is k times as large as one of them.
        expect(added * k + factor * k).toBeCloseTo(k * ((eta + k) / (k + eta)), 9)
      }),
    )
  })
})

describe('the dropped set', () => {
  it('has the mean size p T + (1-p)^T of Binomial-plus-one', () => {
    const random = createRandom(5)
    const draws = 4000
    const sizes = Float64Array.from(
      { length: draws },
      () => chooseDropped(new Float64Array(100).fill(1), { ...base, dropRate: 0.03 }, random).length,
    )
    const mean = sizes.reduce((sum, size) => sum + size, 0) / draws
    const variance = sizes.reduce((sum, size) => sum + (size - mean) ** 2, 0) / (draws - 1)
    // 3 standard errors: fails by chance once in 370 seeds, and the seed is fixed.
    expect(Math.abs(mean - (3 + 0.97 ** 100))).toBeLessThan(3 * Math.sqrt(variance / draws))
  })

  it('drops each tree equally often, or by weight', () => {
    const random = createRandom(6)
    const weights = Float64Array.of(1, 2, 3, 4)
    const count = (sample: 'uniform' | 'weighted') => {
      const hits = new Float64Array(4)
      for (let i = 0; i < 20_000; i++) {
        for (const at of chooseDropped(weights, { ...base, sample, dropRate: 0.2, plusOne: false }, random))
          hits[at] = (hits[at] ?? 0) + 1
      }
      return hits.map((hit) => hit / 20_000)
    }
    // 5 standard errors of a proportion near 0.3 over 20,000 draws are 0.016.
    count('uniform').forEach((share) => expect(Math.abs(share - 0.2)).toBeLessThan(0.016))
    count('weighted').forEach((share, i) => expect(Math.abs(share - 0.2 * 4 * ((i + 1) / 10))).toBeLessThan(0.02))
  })

  it('is sorted, without repeats, at most maxDrop, empty when skipped, never empty under plus-one', () => {
    fc.assert(
      fc.property(
        fc.nat(1000),
        fc.integer({ min: 1, max: 40 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.nat(5),
        (seed, trees, dropRate, maxDrop) => {
          const dropped = chooseDropped(
            new Float64Array(trees).fill(1),
            { ...base, dropRate, maxDrop },
            createRandom(seed),
          )
          expect(dropped.length).toBeGreaterThan(0)
          if (maxDrop > 0) expect(dropped.length).toBeLessThanOrEqual(maxDrop)
          expect([...new Set(dropped)].sort((a, b) => a - b)).toEqual(dropped)
          expect(chooseDropped(new Float64Array(trees), { ...base, skipDrop: 1 }, createRandom(seed))).toEqual([])
          expect(chooseDropped(new Float64Array(0), base, createRandom(seed))).toEqual([])
        },
      ),
    )
  })
})

describe('weights of a trained model', () => {
  it('are all 1/N when every tree is dropped every round: a random forest', async () => {
    const { model } = await train(small, {
      objective: 'squared',
      rounds: 50,
      dropout: { dropRate: 1 },
      learningRate: 1,
      maxDepth: 3,
    })
    model.weights.forEach((weight) => expect(Math.abs(weight - 1 / 50)).toBeLessThan(1e-12))
    // Without sampling every tree of that forest is fitted to the same target.
    for (const tree of model.trees) {
      expect(tree.threshold).toEqual(model.trees[0]?.threshold)
      // Scores pass through additions and subtractions of the dropped trees: equal to a few roundings.
      tree.value.forEach((value, leaf) =>
        expect(Math.abs(value - (model.trees[0]?.value[leaf] ?? NaN))).toBeLessThan(1e-12),
      )
    }
  })

  it('are powers of two under epsilon-dropout, the last one 1/2', async () => {
    const { model, history } = await train(small, { objective: 'squared', rounds: 40, dropout: 'epsilon', maxDepth: 3 })
    for (const weight of model.weights) expect(Number.isInteger(Math.log2(weight))).toBe(true)
    expect(model.weights[39]).toBe(0.5)
    expect(history.slice(1).every((record) => record.dropped === 1)).toBe(true)
  })

  it('sum as the rule says: before + added - (1 - factor) * dropped', async () => {
    const seen: number[] = []
    for (let rounds = 1; rounds <= 12; rounds++) {
      const { model } = await train(small, {
        objective: 'squared',
        rounds,
        dropout: { dropRate: 0.4 },
        learningRate: 0.7,
        maxDepth: 2,
      })
      seen.push(model.weights.reduce((sum, weight) => sum + weight, 0))
    }
    // The same seed gives the same drops, so a run of n rounds is a prefix of one of n + 1: weights only ever shrink.
    const { model, history } = await train(small, {
      objective: 'squared',
      rounds: 12,
      dropout: { dropRate: 0.4 },
      learningRate: 0.7,
      maxDepth: 2,
    })
    history.slice(1).forEach((record, i) => {
      const change = (seen[i + 1] ?? NaN) - (seen[i] ?? NaN)
      const k = record.dropped
      expect(record.weight).toBeCloseTo(0.7 / (k + 0.7), 12)
      // The dropped trees lost between nothing and all that they had.
      expect(change).toBeLessThanOrEqual(record.weight + 1e-12)
      expect(change).toBeGreaterThanOrEqual(record.weight - (0.7 / (k + 0.7)) * (seen[i] ?? 0) - 1e-12)
    })
    expect(model.weights.every((weight) => weight > 0)).toBe(true)
  })
})

describe('onRound', () => {
  it('tells every round: its tree, which trees were dropped, the weights after it', async () => {
    const seen: { round: number; dropped: number[]; weights: number[]; tree: unknown }[] = []
    const { model, history } = await train(small, {
      objective: 'squared',
      rounds: 12,
      dropout: { dropRate: 0.3 },
      maxDepth: 2,
      onRound: ({ round, trees, dropped, weights }) =>
        seen.push({ round, tree: trees[0], dropped: [...dropped], weights: [...weights] }),
    })
    expect(seen.map(({ round }) => round)).toEqual(history.map(({ round }) => round))
    expect(seen.map(({ dropped }) => dropped.length)).toEqual(history.map(({ dropped }) => dropped))
    expect(seen.map(({ tree }) => tree)).toEqual(model.trees)
    expect(seen.at(-1)?.weights).toEqual([...model.weights])
    seen.slice(1).forEach(({ dropped, weights }, i) => {
      // Exactly the dropped trees changed their weight
      const before = seen[i]?.weights ?? []
      expect(before.flatMap((weight, tree) => (weight === weights[tree] ? [] : [tree]))).toEqual(
        [...dropped].sort((a, b) => a - b),
      )
    })
  })
})
