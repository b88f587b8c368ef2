// Estimates and intervals against SciPy, NumPy and mpmath (see golden/MAKER.md), and their refusals.
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import {
  auc,
  aucDifference,
  aucInterval,
  binomialMedianRank,
  bootstrap,
  bootstrapIndices,
  distinguishable,
  erfc,
  faultSampleSize,
  logLoss,
  logLossInterval,
  mean,
  meanInterval,
  median,
  normalCdf,
  normalQuantile,
  normalUpperTail,
  proportionSampleSize,
  quantile,
  quantiles,
  ratioInterval,
  standardDeviation,
  standardError,
  stratifiedProportion,
  studentQuantile,
  studentUpperTail,
  sum,
  trialsForUpperBound,
  variance,
  wilson,
  zeroEventsUpperBound,
} from '../src/statistics.ts'

const read = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`./golden/${name}.json`, import.meta.url), 'utf8'))

const normal = read('normal') as {
  erfc: [number, number][]
  upperTail: [number, number][]
  quantileUpper: [number, number][]
  studentQuantile: [number, number, number][]
  studentUpperTail: [number, number, number][]
}
type Scores = [scores: number[], labels: number[], auc: number, probabilities: number[], logLoss: number]

const samples = read('samples') as {
  wilson: [number, number, number, number, number][]
  medianRank: [number, number, number][]
  quantiles: [number[], number[], number[]][]
  moments: [number[], number, number, number, [number, number]][]
  scores: Scores[]
}

const refused = expect.objectContaining({ code: 'INVALID_ARGUMENT' }) as Error

/** Relative error, in the documented sense of each function. */
const relative = (got: number, expected: number) => Math.abs(got - expected) / Math.abs(expected)

describe('the normal distribution', () => {
  it('has erfc and tails within the documented relative errors', () => {
    for (const [x, value] of normal.erfc) expect(relative(erfc(x), value), `erfc(${x})`).toBeLessThan(1e-14)
    for (const [x, value] of normal.upperTail) {
      expect(relative(normalUpperTail(x), value), `tail(${x})`).toBeLessThan(1e-14 + x * x * 2 ** -52)
      expect(normalCdf(-x)).toBe(normalUpperTail(x))
    }
    expect([erfc(Infinity), erfc(-Infinity), erfc(30)]).toEqual([0, 2, 0])
    expect(Number.isNaN(erfc(NaN))).toBe(true)
  })

  it('has quantiles in both tails within the documented error', () => {
    for (const [p, x] of normal.quantileUpper) {
      expect(Math.abs(normalQuantile(p, { tail: 'upper' }) - x), `p = ${p}`).toBeLessThan(1e-13 * Math.max(1, x))
      expect(normalQuantile(p)).toBe(-normalQuantile(p, { tail: 'upper' }))
    }
    expect(normalQuantile(0.5)).toBe(0)
    expect(normalQuantile(0.9)).toBe(normalQuantile(1 - 0.9, { tail: 'upper' }))
    expect(() => normalQuantile(0)).toThrow(refused)
    expect(() => normalQuantile(1)).toThrow(refused)
  })

  it('stays accurate for the smallest probabilities', () => {
    // Asymptotically x^2 / 2 + log(x sqrt(2 pi)) = -log p + O(1 / x^2): at 1e-300 the last term is below 1e-3
    const x = normalQuantile(1e-300, { tail: 'upper' })
    expect(relative(normalUpperTail(x), 1e-300)).toBeLessThan(1e-11) // x^2 1e-13 from the error of x itself
  })
})

describe("Student's distribution", () => {
  it('has tails and quantiles within the documented errors', () => {
    for (const [t, degrees, value] of normal.studentUpperTail) {
      expect(relative(studentUpperTail(t, degrees), value), `t = ${t}, ${degrees}`).toBeLessThan(1e-11)
    }
    for (const [p, degrees, t] of normal.studentQuantile) {
      // The tail's 1e-11 divided by the density's elasticity, which is at least 0.1 here
      expect(relative(studentQuantile(p, degrees), t), `p = ${p}, ${degrees}`).toBeLessThan(1e-10)
      expect(studentQuantile(1 - p, degrees)).toBeLessThan(0)
    }
    expect(studentUpperTail(0, 3)).toBe(0.5)
    expect(studentUpperTail(-1, 3)).toBe(1 - studentUpperTail(1, 3))
    expect(() => studentQuantile(0.9, 0)).toThrow(refused)
  })
})

describe('sums and moments', () => {
  it('lose nothing to cancellation', () => {
    expect(sum([1, 1e100, 1, -1e100])).toBe(2)
    expect(sum([])).toBe(0)
    expect(sum([1, Infinity])).toBe(Infinity)
    expect(variance([1e9 + 1, 1e9 + 2, 1e9 + 3])).toBe(1)
  })

  it("agree with NumPy's and SciPy's", () => {
    for (const [values, average, spread, error, [low, high]] of samples.moments) {
      // Values near 1e6 with spread 3: NumPy's own pairwise sums lose up to 1e6 * n * 2^-53 of it
      expect(Math.abs(mean(values) - average)).toBeLessThan(1e-8)
      expect(relative(variance(values), spread)).toBeLessThan(1e-8)
      expect(relative(standardError(values), error)).toBeLessThan(1e-8)
      expect(standardDeviation(values)).toBe(Math.sqrt(variance(values)))
      const interval = meanInterval(values)
      expect(Math.abs(interval.low - low)).toBeLessThan(1e-7)
      expect(Math.abs(interval.high - high)).toBeLessThan(1e-7)
      expect([interval.n, interval.confidence]).toEqual([values.length, 0.95])
    }
  })

  it('refuse what has no answer', () => {
    expect(() => mean([])).toThrow(refused)
    expect(() => variance([1])).toThrow(refused)
    expect(() => mean([1, NaN])).toThrow('mean: `values[1]` must be finite, got NaN')
    expect(() => meanInterval([1, 2], { confidence: 1 })).toThrow(refused)
  })
})

describe('quantiles', () => {
  it("agree with NumPy's default (type 7)", () => {
    for (const [values, ps, expected] of samples.quantiles) {
      const before = [...values]
      quantiles(values, ps).forEach((got, i) => {
        // One interpolation in each: two roundings of numbers below 4
        expect(Math.abs(got - (expected[i] as number))).toBeLessThan(4 * 2 ** -52)
      })
      expect(values).toEqual(before)
    }
    expect([median([3, 1, 2]), median([4, 1]), quantile([5], 0.3)]).toEqual([2, 2.5, 5])
  })

  it('refuse an empty sample, a NaN and a probability outside [0, 1]', () => {
    expect(() => median([])).toThrow(refused)
    expect(() => median([NaN])).toThrow(refused)
    expect(() => quantile([1], 1.1)).toThrow(refused)
  })
})

describe('proportions', () => {
  it("have SciPy's Wilson intervals", () => {
    for (const [successes, trials, confidence, low, high] of samples.wilson) {
      const got = wilson({ successes, trials, confidence })
      // Both are a handful of float64 operations on numbers of at most 1
      expect(Math.abs(got.low - low)).toBeLessThan(1e-14)
      expect(Math.abs(got.high - high)).toBeLessThan(1e-14)
      expect(got.value).toBe(successes / trials)
    }
    expect(wilson({ successes: 0, trials: 5 }).low).toBe(0)
    expect(wilson({ successes: 5, trials: 5 }).high).toBe(1)
  })

  it('have the published round figures', () => {
    expect(wilson({ successes: 0, trials: 1000 }).high.toFixed(4)).toBe('0.0038')
    expect(wilson({ successes: 1000, trials: 1000 }).low.toFixed(4)).toBe('0.9962')
    expect(zeroEventsUpperBound({ trials: 300_000 }).toPrecision(3)).toBe('0.00000999')
    expect(trialsForUpperBound({ rate: 1e-5 })).toBe(299_572)
  })

  it('without events are bounded exactly', () => {
    for (const trials of [1, 7, 1000]) {
      const bound = zeroEventsUpperBound({ trials, confidence: 0.9 })
      // (1 - bound)^trials = 0.1; the relative error of the power is trials times that of 1 - bound, 2^-52
      expect(Math.abs((1 - bound) ** trials - 0.1)).toBeLessThan(trials * 1e-16 + 1e-15)
    }
  })

  it('refuse impossible counts', () => {
    expect(() => wilson({ successes: 0, trials: 0 })).toThrow(refused)
    expect(() => wilson({ successes: 3, trials: 2 })).toThrow(refused)
    expect(() => wilson({ successes: 0.5, trials: 2 })).toThrow(refused)
    expect(() => stratifiedProportion([])).toThrow(refused)
    expect(() => stratifiedProportion([{ successes: 0, trials: 0, share: 1 }])).toThrow(refused)
    expect(() =>
      stratifiedProportion([
        { successes: 0, trials: 1, share: -1 },
        { successes: 0, trials: 1, share: 3 },
      ]),
    ).toThrow(refused)
    expect(() => trialsForUpperBound({ rate: 0 })).toThrow(refused)
  })

  it('of strata weigh each by its share', () => {
    const got = stratifiedProportion([
      { successes: 5, trials: 10, share: 3 },
      { successes: 0, trials: 20, share: 1 },
    ])
    expect(got.value).toBe(0.375)
    expect(got.n).toBe(30)
    // By hand: (3/4)^2 (5.5/11)(5.5/11)/10 + (1/4)^2 (0.5/21)(20.5/21)/20 = 0.0140625 + 0.0000726...
    const half = 1.959963984540054 * Math.sqrt(0.5625 * 0.025 + 0.0625 * ((0.5 * 20.5) / 441 / 20))
    expect(Math.abs(got.high - got.value - half)).toBeLessThan(1e-12)
    expect(stratifiedProportion([{ successes: 0, trials: 3, share: 1 }]).low).toBe(0)
  })
})

describe('sample sizes', () => {
  it('are those of Leveugle, equation 1', () => {
    expect(faultSampleSize({ population: 1e9, margin: 0.01 })).toBe(9604)
    expect(faultSampleSize({ population: 1e9, margin: 0.005 })).toBe(38_414)
    expect(faultSampleSize({ population: 1e9, margin: 0.01, confidence: 0.99 })).toBe(16_587)
    expect(faultSampleSize({ population: 100, margin: 0.01 })).toBe(99)
    expect(faultSampleSize({ population: 1, margin: 0.5 })).toBe(1)
    expect(proportionSampleSize({ margin: 0.01 })).toBe(9604)
    expect(proportionSampleSize({ margin: 0.01, rate: 0.01 })).toBe(381)
  })

  it('refuse a margin or a population of nothing', () => {
    expect(() => faultSampleSize({ margin: 0 })).toThrow(refused)
    expect(() => faultSampleSize({ margin: 0.1, population: 0 })).toThrow(refused)
  })
})

describe('ratioInterval', () => {
  it('uses the order statistics that SciPy finds', () => {
    for (const [n, confidence, rank] of samples.medianRank) {
      expect(binomialMedianRank({ n, confidence }), `n = ${n}, ${confidence}`).toBe(rank)
    }
  })

  it('is a median with two of the ratios as its ends, whatever the order and the outliers', () => {
    const ratios = [1.02, 1.04, 0.99, 1.01, 50, 1.03, 1.05, 1.02, 1.03, 1.01]
    const pairs = ratios.map((ratio, i) => ({ value: ratio * (i + 1), baseline: i + 1 }))
    const got = ratioInterval(pairs)
    expect(got.value).toBeCloseTo(1.025, 12)
    expect([got.low, got.high].map((x) => x.toFixed(2))).toEqual(['1.01', '1.05']) // ranks 2 and 9 of 10
    expect(ratioInterval([...pairs].reverse())).toEqual(got)
  })

  it('refuses too few pairs and times that are not positive', () => {
    const pair = { value: 1, baseline: 1 }
    expect(() => ratioInterval(Array(5).fill(pair) as (typeof pair)[])).toThrow('enough for confidence 0.95')
    expect(() => ratioInterval([])).toThrow(refused)
    expect(() => ratioInterval([...(Array(6).fill(pair) as (typeof pair)[]), { value: 1, baseline: 0 }])).toThrow(
      refused,
    )
  })
})

describe('distinguishable', () => {
  const interval = { value: 1.5, low: 1.2, high: 2, confidence: 0.95, n: 9 }

  it('claims only what the whole interval supports', () => {
    expect(distinguishable(interval, 1)).toBe('higher')
    expect(distinguishable(interval, 3)).toBe('lower')
    expect(distinguishable(interval, 1.2)).toBe('not distinguishable')
    expect(distinguishable(interval, 2)).toBe('not distinguishable')
    expect(distinguishable(interval, { ...interval, low: 2.1, high: 3 })).toBe('lower')
    expect(distinguishable(interval, { ...interval, low: 1.9, high: 3 })).toBe('not distinguishable')
  })

  it('refuses NaN instead of calling it indistinguishable', () => {
    expect(() => distinguishable({ ...interval, low: NaN }, 1)).toThrow(refused)
    expect(() => distinguishable(interval, NaN)).toThrow(refused)
  })
})

describe('scores', () => {
  it("agree with SciPy's rank statistic and the definition of log loss", () => {
    for (const [scores, labels, area, probabilities, loss] of samples.scores) {
      // A mean of at most 200 shares of one rounding each
      expect(Math.abs(auc({ scores, labels }) - area)).toBeLessThan(1e-14)
      expect(relative(logLoss({ probabilities, labels }), loss)).toBeLessThan(1e-13)
      expect(logLossInterval({ probabilities, labels }).value).toBe(logLoss({ probabilities, labels }))
    }
  })

  it('have the variance that the definition gives', () => {
    // DeLong by its formula: components over all pairs of a positive and a negative
    const [scores, labels] = samples.scores[1] as Scores
    const positive = scores.filter((_, i) => labels[i] === 1)
    const negative = scores.filter((_, i) => labels[i] === 0)
    const kernel = (x: number, y: number) => (x > y ? 1 : x === y ? 0.5 : 0)
    const average = (values: number[]) => values.reduce((a, b) => a + b) / values.length
    const byPositive = positive.map((x) => average(negative.map((y) => kernel(x, y))))
    const byNegative = negative.map((y) => average(positive.map((x) => kernel(x, y))))
    const spread = variance(byPositive) / positive.length + variance(byNegative) / negative.length
    const got = aucInterval({ scores, labels })
    const high = Math.min(1, average(byPositive) + 1.959963984540054 * Math.sqrt(spread))
    expect(Math.abs(got.high - high)).toBeLessThan(1e-12)
    expect(got.n).toBe(scores.length)
  })

  it('of one predictor against itself do not differ, and against its mirror are mirrored', () => {
    const [scores, labels] = samples.scores[2] as Scores
    const same = aucDifference({ first: scores, second: scores, labels })
    expect([same.value, same.low, same.high]).toEqual([0, 0, 0])
    const mirror = scores.map((x) => -x)
    expect(auc({ scores: mirror, labels })).toBeCloseTo(1 - auc({ scores, labels }), 12)
    const apart = aucDifference({ first: scores, second: mirror, labels })
    expect(distinguishable(apart, 0)).toBe('higher')
  })

  it('stay finite for a sure prediction that was wrong', () => {
    expect(logLoss({ probabilities: [0], labels: [1] })).toBeCloseTo(15 * Math.LN10, 10)
    expect(logLoss({ probabilities: [0], labels: [1], epsilon: 0.01 })).toBeCloseTo(-Math.log(0.01), 10)
  })

  it('refuse wrong lengths, labels, probabilities and a single class', () => {
    const mismatch = expect.objectContaining({ code: 'SHAPE_MISMATCH' }) as Error
    expect(() => auc({ scores: [1, 2], labels: [1] })).toThrow(mismatch)
    expect(() => auc({ scores: [1, 2], labels: [1, 2] })).toThrow('auc: `labels[1]` must be 0 or 1, got 2')
    expect(() => auc({ scores: [1, NaN], labels: [1, 0] })).toThrow(refused)
    expect(() => auc({ scores: [1, 2], labels: [1, 1] })).toThrow('must be of both classes')
    expect(() => auc({ scores: [1, 2], labels: [0, 0] })).toThrow(refused)
    expect(() => logLoss({ probabilities: [1.1], labels: [1] })).toThrow(refused)
    expect(() => logLoss({ probabilities: [NaN], labels: [1] })).toThrow(refused)
    expect(() => logLoss({ probabilities: [0.5], labels: [1], epsilon: 0.7 })).toThrow(refused)
  })
})

describe('bootstrap', () => {
  const sample = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3]
  const average = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length

  it('gives the same bits for the same seed and others for another', () => {
    const run = (seed: number) => bootstrap(sample, { statistic: average, seed })
    expect(run(1)).toEqual(run(1))
    expect(run(1)).not.toEqual(run(2))
  })

  it('over indices is the same as over elements', () => {
    const statistic = (indices: Uint32Array) => average(Array.from(indices, (i) => sample[i] as number))
    for (const method of ['percentile', 'bca'] as const) {
      const expected = bootstrap(sample, { statistic: average, seed: 3, method })
      expect(bootstrapIndices(sample.length, { statistic, seed: 3, method })).toEqual(expected)
    }
  })

  it('keeps pairs together', () => {
    const pairs = sample.map((x) => [x, x + 1] as const)
    const difference = (all: readonly (readonly [number, number])[]) => average(all.map(([a, b]) => b - a))
    expect(bootstrap(pairs, { statistic: difference, seed: 1 })).toEqual({
      value: 1,
      low: 1,
      high: 1,
      confidence: 0.95,
      n: 10,
    })
  })

  it('by BCa leans towards the long tail of a skewed sample', () => {
    const skewed = [0.1, 0.2, 0.2, 0.3, 0.3, 0.4, 0.5, 0.6, 0.9, 6]
    const percentile = bootstrap(skewed, { statistic: average, seed: 4 })
    const bca = bootstrap(skewed, { statistic: average, seed: 4, method: 'bca' })
    expect(bca.low).toBeGreaterThan(percentile.low)
    expect(bca.high).toBeGreaterThan(percentile.high)
    expect(bca.value).toBe(percentile.value)
  })

  it('of a constant or a single value is that value', () => {
    for (const method of ['percentile', 'bca'] as const) {
      const got = bootstrap([7], { statistic: average, seed: 1, method })
      expect([got.value, got.low, got.high]).toEqual([7, 7, 7])
    }
  })

  it('refuses an empty sample, few resamples and a statistic that is not finite', () => {
    expect(() => bootstrap([], { statistic: average, seed: 1 })).toThrow(refused)
    expect(() => bootstrap(sample, { statistic: average, seed: 1, resamples: 10 })).toThrow(refused)
    expect(() => bootstrap(sample, { statistic: () => NaN, seed: 1 })).toThrow('must be finite for every resample')
  })
})
