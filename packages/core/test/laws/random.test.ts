// Statistical laws of the generator. Seeds are fixed, so a run passes always or never; each bound says how likely a
// perfect generator would be to miss it with another seed.
import { describe, expect, it } from 'vitest'
import { createRandom } from '../../src/random.ts'
import { normalCdf } from '../../src/statistics.ts'

const N = 200_000

/** Kolmogorov and Smirnov's distance of a sample from a continuous distribution, times sqrt(n). */
function distance(sample: Float64Array, cdf: (x: number) => number): number {
  const sorted = sample.slice().sort()
  let largest = 0
  sorted.forEach((x, i) => {
    const p = cdf(x)
    largest = Math.max(largest, p - i / sorted.length, (i + 1) / sorted.length - p)
  })
  return largest * Math.sqrt(sorted.length)
}

/** P(distance > 2.7) is about 2 exp(-2 2.7^2) = 9e-7. */
const KS_LIMIT = 2.7

/** Chi-squared of counts against equal shares, standardised: below 5 with probability about 1 - 3e-7 for many cells. */
function standardisedChiSquared(counts: ArrayLike<number>, total: number): number {
  const expected = total / counts.length
  let sum = 0
  for (let i = 0; i < counts.length; i++) sum += ((counts[i] as number) - expected) ** 2 / expected
  const degrees = counts.length - 1
  return (sum - degrees) / Math.sqrt(2 * degrees)
}

/** Chi-squared's upper tail is heavier than the normal's for few cells: 8 covers 5 and more degrees at about 1e-6. */
const CHI_LIMIT = 8

describe('distributions', () => {
  const random = createRandom(20_011)

  it.each<[string, () => number, (x: number) => number]>([
    ['uniform', () => random.uniform(), (x) => x],
    ['uniform in a range', () => random.uniform(-3, 5), (x) => (x + 3) / 8],
    ['normal', () => random.normal(1, 2), (x) => normalCdf((x - 1) / 2)],
    ['exponential', () => random.exponential(4), (x) => 1 - Math.exp(-4 * x)],
  ])('%s has the distribution function it should', (_, draw, cdf) => {
    const sample = Float64Array.from({ length: N }, draw)
    expect(distance(sample, cdf)).toBeLessThan(KS_LIMIT)
    expect(distance(sample.slice(0, 1000), cdf)).toBeLessThan(KS_LIMIT)
  })

  it('fills have the same', () => {
    expect(distance(random.fillUniform(new Float64Array(N)), (x) => x)).toBeLessThan(KS_LIMIT)
    // float32 uniforms are multiples of 2^-24: ties shift the distance by at most sqrt(N) 2^-24 = 3e-5
    expect(distance(Float64Array.from(random.fillUniform(new Float32Array(N))), (x) => x)).toBeLessThan(KS_LIMIT)
    expect(distance(random.fillNormal(new Float64Array(N)), normalCdf)).toBeLessThan(KS_LIMIT)
  })

  it.each([1, 3, 10, 1000, 3_000_000_000, 2 ** 53])('integers below %d are equally likely', (count) => {
    const cells = Math.min(count, 30)
    const counts = new Float64Array(cells)
    for (let i = 0; i < N; i++) {
      const x = random.integer(-5, count - 6) + 5
      if (!(x >= 0 && x < count)) throw new Error(`out of range: ${x}`)
      counts[Math.floor((x / count) * cells)]! += 1
    }
    if (cells > 1) expect(standardisedChiSquared(counts, N)).toBeLessThan(CHI_LIMIT)
    expect(counts.reduce((a, b) => a + b)).toBe(N)
  })

  it.each([
    { n: 10, p: 0.3 },
    { n: 40, p: 0.9 },
    { n: 1000, p: 0.002 },
  ])('binomial($n, $p) has its probabilities', ({ n, p }) => {
    const draws = 100_000
    const counts = new Float64Array(n + 1)
    for (let i = 0; i < draws; i++) counts[random.binomial(n, p)]! += 1
    let probability = (1 - p) ** n
    let worst = 0
    for (let k = 0; k <= n; k++) {
      if (probability * draws > 5) {
        worst = Math.max(worst, Math.abs((counts[k] as number) - probability * draws) / Math.sqrt(probability * draws))
      }
      probability *= ((n - k) / (k + 1)) * (p / (1 - p))
    }
    // At most 20 cells, each beyond 6 (from a Poisson-like count of 5 or more) with probability below 1e-5
    expect(worst).toBeLessThan(6)
  })

  it('bernoulli hits as often as it should', () => {
    for (const p of [0.001, 0.3, 0.999]) {
      let hits = 0
      for (let i = 0; i < N; i++) hits += random.bernoulli(p) ? 1 : 0
      expect(Math.abs(hits - N * p) / Math.sqrt(N * p * (1 - p))).toBeLessThan(5) // 6e-7 each
    }
  })
})

describe('orders and subsets', () => {
  it('all 24 orders of 4 are equally likely, by permutation and by shuffle', () => {
    const random = createRandom(4)
    for (const draw of [() => random.permutation(4), () => random.shuffle(Uint8Array.of(0, 1, 2, 3))]) {
      const counts = new Map<string, number>()
      for (let i = 0; i < 24_000; i++) {
        const key = draw().join('')
        counts.set(key, (counts.get(key) ?? 0) + 1)
      }
      expect(counts.size).toBe(24)
      expect(standardisedChiSquared([...counts.values()], 24_000)).toBeLessThan(CHI_LIMIT)
    }
  })

  // 2 of 20 takes Floyd's way, 2 of 5 the shuffle's
  it.each([
    [20, 2],
    [5, 2],
    [5, 5],
  ])('all ordered samples of %d, %d at a time, are equally likely', (n, count) => {
    const random = createRandom(5)
    const counts = new Map<string, number>()
    const kinds = Array.from({ length: count }, (_, i) => n - i).reduce((a, b) => a * b, 1)
    for (let i = 0; i < 200 * kinds; i++) {
      const key = random.sample(n, count).join(' ')
      counts.set(key, (counts.get(key) ?? 0) + 1)
    }
    expect(counts.size).toBe(kinds)
    expect(standardisedChiSquared([...counts.values()], 200 * kinds)).toBeLessThan(CHI_LIMIT)
  })

  it('ascending samples are the same sets, sorted', () => {
    for (const [n, count] of [
      [1000, 10],
      [50, 30],
      [16, 2],
      [8, 8],
      [5, 0],
      [0, 0],
    ] as const) {
      const plain = createRandom(6).sample(n, count)
      const sorted = createRandom(6).sample(n, count, { ascending: true })
      expect([...sorted]).toEqual([...plain].sort((a, b) => a - b))
      expect(new Set(sorted).size).toBe(count)
    }
  })

  it('a permutation holds each number once, also a large one', () => {
    const order = createRandom(7).permutation(100_000)
    expect(new Set(order).size).toBe(100_000)
    expect(Math.max(...order.slice(0, 1000))).toBeLessThan(100_000)
  })
})

describe('bits', () => {
  it('are balanced, each alone, against each other, and from one number to the next', () => {
    const random = createRandom(8)
    const ones = new Float64Array(32)
    const pairs = new Float64Array(32 * 32)
    const next = new Float64Array(32)
    let previous = random.uint32()
    const n = 50_000
    for (let i = 0; i < n; i++) {
      const x = random.uint32()
      for (let a = 0; a < 32; a++) {
        const bit = (x >>> a) & 1
        ones[a]! += bit
        next[a]! += bit ^ ((previous >>> a) & 1)
        for (let b = 0; b < a; b++) pairs[32 * a + b]! += bit ^ ((x >>> b) & 1)
      }
      previous = x
    }
    const worst = (counts: Iterable<number>) => {
      let largest = 0
      for (const count of counts) if (count > 0) largest = Math.max(largest, Math.abs(count - n / 2) / Math.sqrt(n / 4))
      return largest
    }
    // 560 counts beyond 6 standard deviations: 560 * 2e-9 = 1e-6
    expect(worst(ones)).toBeLessThan(6)
    expect(worst(next)).toBeLessThan(6)
    expect(worst(pairs)).toBeLessThan(6)
  })

  it('are no linear functions of the state: 65,536 of one place make a matrix of nearly full rank', () => {
    // 256 x 256 bits: a bit that is a linear function of 128 bits of state would have rank at most 128. A random
    // matrix has rank below 256 - 8 with probability 2^-64.
    const random = createRandom(9)
    for (let bit = 0; bit < 32; bit++) {
      const rows = Array.from({ length: 256 }, () => {
        let row = 0n
        for (let i = 0; i < 256; i++) row = (row << 1n) | BigInt((random.uint32() >>> bit) & 1)
        return row
      })
      expect(rank(rows)).toBeGreaterThanOrEqual(248)
    }
  })

  it('of streams of one generator are unrelated, whatever the names', () => {
    const random = createRandom(10)
    const streams = Array.from({ length: 40 }, (_, i) => random.stream(i % 2 ? 'a' : 'b', i >> 1))
    const draws = streams.map((stream) => Float64Array.from({ length: 4000 }, () => stream.uniform() - 0.5))
    for (let a = 0; a < draws.length; a++) {
      for (let b = 0; b < a; b++) {
        let product = 0
        draws[a]!.forEach((x, i) => (product += x * (draws[b]![i] as number)))
        // 780 correlations of standard deviation sqrt(4000) / 12, beyond 6 of them: 780 * 2e-9 = 2e-6
        expect(Math.abs(product) / (Math.sqrt(4000) / 12)).toBeLessThan(6)
      }
    }
  })
})

function rank(rows: bigint[]): number {
  const left = [...rows]
  let found = 0
  for (let bit = 255n; bit >= 0n; bit--) {
    const index = left.findIndex((row) => (row >> bit) & 1n)
    if (index < 0) continue
    const [pivot] = left.splice(index, 1) as [bigint]
    found += 1
    left.forEach((row, i) => {
      if ((row >> bit) & 1n) left[i] = row ^ pivot
    })
  }
  return found
}
