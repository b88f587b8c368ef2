// Intervals must cover the truth as often as they say. Seeds are fixed; each bound says how likely a procedure with
// exactly its nominal coverage would be to miss it with other seeds.
import { describe, expect, it } from 'vitest'
import { createRandom, type Random } from '../../src/random.ts'
import {
  aucDifference,
  aucInterval,
  bootstrap,
  distinguishable,
  mean,
  meanInterval,
  ratioInterval,
  wilson,
} from '../../src/statistics.ts'
import type { Interval } from '../../src/index.ts'

/** How many of `runs` intervals hold the truth. */
function covered(runs: number, truth: number, draw: (random: Random) => Interval): number {
  let hits = 0
  for (let run = 0; run < runs; run++) {
    const { low, high } = draw(createRandom(1).stream('coverage', run))
    hits += low <= truth && truth <= high ? 1 : 0
  }
  return hits
}

describe('coverage at 95 %', () => {
  it("of Wilson's interval, exactly, is right on average over rates and never poor away from the edges", () => {
    for (const trials of [20, 50, 200]) {
      const intervals = Array.from({ length: trials + 1 }, (_, successes) => wilson({ successes, trials }))
      const coverage = (rate: number) => {
        let probability = (1 - rate) ** trials
        let total = 0
        intervals.forEach(({ low, high }, successes) => {
          if (low <= rate && rate <= high) total += probability
          probability *= ((trials - successes) / (successes + 1)) * (rate / (1 - rate))
        })
        return total
      }
      const rates = Array.from({ length: 97 }, (_, i) => 0.02 + i / 100)
      const all = rates.map(coverage)
      // Brown, Cai and DasGupta 2001, figures 5 and 6: the mean is within a point of 95 %, dips stay above 90 %
      expect(Math.abs(mean(all) - 0.95)).toBeLessThan(0.01)
      expect(Math.min(...all.slice(8, -8))).toBeGreaterThan(0.9)
    }
  })

  // Binomial(2000, 0.95) has standard deviation 9.7; 5 of them are 49 (6e-7)
  it("of Student's interval with three normal values is exact", () => {
    const hits = covered(2000, 5, (random) => meanInterval(random.fillNormal(new Float64Array(3), { mean: 5 })))
    expect(Math.abs(hits - 1900)).toBeLessThan(49)
  })

  it('of the median ratio is at least nominal, also for ratios with a long tail and few pairs', () => {
    for (const n of [6, 9, 25]) {
      const hits = covered(2000, 1.1, (random) =>
        ratioInterval(
          Array.from({ length: n }, () => {
            const shared = random.exponential() + 0.01 // a busy machine slows both
            const wild = random.bernoulli(0.1) ? random.uniform(0.1, 10) : 1 + 0.01 * random.normal()
            const ratio = random.bernoulli(0.5) ? 1.1 * (1 + 0.1 * wild) : 1.1 / (1 + 0.1 * wild) // median 1.1
            return { value: ratio * shared, baseline: shared }
          }),
        ),
      )
      expect(hits).toBeGreaterThan(1900 - 49)
    }
  })

  it('of the bootstrap of a mean is close to nominal', () => {
    for (const method of ['percentile', 'bca'] as const) {
      const hits = covered(400, 1, (random) =>
        bootstrap(
          Array.from({ length: 50 }, () => random.exponential()),
          { statistic: mean, seed: 3, resamples: 400, method },
        ),
      )
      // Known to fall 2 to 3 points short for 50 exponential values (Efron and Tibshirani, table 14.3's pattern):
      // at a true 91 %, fewer than 335 of 400 has probability 1e-6
      expect(hits).toBeGreaterThan(335)
      expect(hits).toBeLessThan(398)
    }
  })

  it("of DeLong's interval is close to nominal", () => {
    // Positives N(1, 1) against negatives N(0, 1): the area is Phi(1 / sqrt 2)
    const hits = covered(1000, 0.7602499389065233, (random) => {
      const labels = Array.from({ length: 200 }, (_, i) => i % 2)
      return aucInterval({ scores: labels.map((label) => random.normal(label)), labels })
    })
    // Binomial(1000, 0.95): 5 standard deviations are 35, and one point of allowance for the normal approximation
    expect(Math.abs(hits - 950)).toBeLessThan(45)
  })
})

describe('the guard', () => {
  it('calls equal predictors distinguishable no more often than the confidence allows, and unequal ones mostly', () => {
    const verdicts = (shift: number) => {
      let apart = 0
      for (let run = 0; run < 500; run++) {
        const random = createRandom(2).stream('verdict', run)
        const labels = Array.from({ length: 300 }, (_, i) => i % 2)
        const signal = labels.map((label) => random.normal(label))
        const first = signal.map((x, i) => x + shift * (labels[i] as number) + 0.5 * random.normal())
        const second = signal.map((x) => x + 0.5 * random.normal())
        apart += distinguishable(aucDifference({ first, second, labels }), 0) === 'not distinguishable' ? 0 : 1
      }
      return apart
    }
    // Binomial(500, 0.05): 25 +- 4.9, so 50 is 5 standard deviations
    expect(verdicts(0)).toBeLessThan(50)
    // The shift is about 5 standard errors of the paired difference
    expect(verdicts(0.7)).toBeGreaterThan(475)
  })
})
