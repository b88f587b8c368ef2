// The generator: pure-rand's xoroshiro128+ with mixed output, and the distributions drawn from it.
import { xoroshiro128plusFromState } from 'pure-rand/generator/xoroshiro128plus'
import { log, log1p } from '../math.ts'
import { checkProbability, checkRange, checkSize, checkSpread, invalid } from './check.ts'
import { keyOfSeed, keyOfStream, mix32, type Key } from './hash.ts'
import { parseState } from './state.ts'
import type { Random, RandomState, SampleOptions, Shufflable } from './types.ts'

const TWO_32 = 4294967296
const TWO_53 = 9007199254740992

/**
 * Makes a seeded generator.
 *
 * @param seed - any safe integer; other seed, other bits
 * @throws FtError `INVALID_ARGUMENT` when the seed is not a safe integer
 * @example
 * ```ts
 * const random = createRandom(7)
 * const faults = random.stream('faults')
 * faults.integer(0, 31) // => 19
 * ```
 */
export function createRandom(seed: number): Random {
  if (!Number.isSafeInteger(seed)) throw invalid('createRandom', 'seed', 'a safe integer', seed)
  return generatorOf(keyOfSeed(seed))
}

/**
 * Continues a saved generator: the next numbers are those the saved one would have given.
 *
 * @throws FtError `CORRUPT_DATA` when the state is damaged, `VERSION_UNSUPPORTED` when a newer version wrote it
 * @example
 * ```ts
 * const random = createRandom(1)
 * const saved = JSON.stringify(random.state())
 * restoreRandom(JSON.parse(saved)).uint32() === random.uint32() // => true
 * ```
 */
export function restoreRandom(state: RandomState): Random {
  const { key, words, spare } = parseState(state)
  return new Generator(key, words, spare)
}

function generatorOf(key: Key): Random {
  // All zeros is the one state that xoroshiro cannot leave.
  return new Generator(key, key.every((word) => word === 0) ? [1, 0, 0, 0] : key, null)
}

class Generator implements Random {
  private readonly key: Key
  private readonly source: { next(): number; getState(): readonly number[] }
  private spare: number | null

  constructor(key: Key, state: readonly number[], spare: number | null) {
    this.key = key
    this.source = xoroshiro128plusFromState(state)
    this.spare = spare
  }

  stream(name: string, index = 0): Random {
    if (!Number.isSafeInteger(index)) throw invalid('stream', 'index', 'a safe integer', index)
    return generatorOf(keyOfStream(this.key, name, index))
  }

  // pure-rand gives the low half of xoroshiro128+, whose lowest bits are linear functions of the state. The mixing is
  // a bijection, so the numbers stay equidistributed, and no bit of the result is linear.
  uint32(): number {
    return mix32(this.source.next()) >>> 0
  }

  integer(low: number, high: number): number {
    const count = high - low + 1
    if (!Number.isSafeInteger(low) || !Number.isSafeInteger(high) || !(count >= 1 && count <= TWO_53)) {
      const expected = 'safe integers with low <= high and at most 2^53 values'
      throw invalid('integer', 'low, high', expected, `${low}, ${high}`)
    }
    return low + this.below(count)
  }

  uniform(low = 0, high = 1): number {
    const unit = this.bits53() / TWO_53
    if (low === 0 && high === 1) return unit
    checkRange('uniform', low, high)
    const value = low + (high - low) * unit
    return value < high ? value : low // rounding can reach `high`
  }

  normal(mean = 0, standardDeviation = 1): number {
    checkSpread('normal', mean, standardDeviation)
    return mean + standardDeviation * this.standardNormal()
  }

  exponential(rate = 1): number {
    if (!(rate > 0 && rate < Infinity)) throw invalid('exponential', 'rate', 'a positive finite number', rate)
    return -this.logUniform() / rate
  }

  bernoulli(p: number): boolean {
    checkProbability('bernoulli', 'p', p)
    return this.bits53() < p * TWO_53
  }

  binomial(n: number, p: number): number {
    checkSize('binomial', 'n', n)
    checkProbability('binomial', 'p', p)
    if (p > 0.5) return n - this.binomial(n, 1 - p)
    if (p === 0) return 0
    // Failures before the next success are floor(log U / log(1 - p)); count the successes that n trials hold.
    const logFailure = log1p(-p)
    let successes = 0
    for (let trial = 0; ; successes++) {
      trial += Math.floor(this.logUniform() / logFailure) + 1
      if (trial > n) return successes
    }
  }

  permutation(n: number): Uint32Array {
    checkSize('permutation', 'n', n)
    return this.shuffle(Uint32Array.from({ length: n }, (_, i) => i))
  }

  shuffle<A extends Shufflable>(array: A): A {
    const items = array as unknown[]
    for (let i = items.length - 1; i > 0; i--) {
      const j = this.below(i + 1)
      const kept = items[i]
      items[i] = items[j]
      items[j] = kept
    }
    return array
  }

  pick<T>(array: ArrayLike<T>): T {
    if (array.length === 0) throw invalid('pick', 'array', 'an array with an element', 'an empty one')
    return array[this.below(array.length)] as T
  }

  sample(n: number, count: number, options: SampleOptions = {}): Uint32Array {
    checkSize('sample', 'n', n)
    checkSize('sample', 'count', count)
    if (count > n) throw invalid('sample', 'count', `at most n = ${n}`, count)
    if (count * 8 < n) {
      const few = this.sampleFew(n, count)
      return options.ascending ? few.sort() : few
    }
    const many = this.sampleMany(n, count)
    return options.ascending ? inOrder(many, n) : many
  }

  fillUniform<A extends Float32Array | Float64Array>(target: A, range: { low?: number; high?: number } = {}): A {
    const { low = 0, high = 1 } = range
    checkRange('fillUniform', low, high)
    const single = target instanceof Float32Array
    const width = high - low
    for (let i = 0; i < target.length; i++) {
      const unit = single ? (this.uint32() >>> 8) / 16777216 : this.bits53() / TWO_53
      target[i] = low + width * unit
      if ((target[i] as number) >= high) target[i] = low // rounding can reach `high`
    }
    return target
  }

  fillNormal<A extends Float32Array | Float64Array>(
    target: A,
    distribution: { mean?: number; standardDeviation?: number } = {},
  ): A {
    const { mean = 0, standardDeviation = 1 } = distribution
    checkSpread('fillNormal', mean, standardDeviation)
    for (let i = 0; i < target.length; i++) target[i] = mean + standardDeviation * this.standardNormal()
    return target
  }

  state(): RandomState {
    const words = this.source.getState().map((word) => word >>> 0)
    return { schema: 'ft.random', version: 1, key: this.key.map((word) => word >>> 0), state: words, spare: this.spare }
  }

  private bits53(): number {
    return (this.uint32() >>> 5) * 67108864 + (this.uint32() >>> 6)
  }

  /** log of a uniform number in (0, 1]. */
  private logUniform(): number {
    return log((this.bits53() + 1) / TWO_53)
  }

  /** A uniform integer in [0, count), by rejection of the incomplete last range. */
  private below(count: number): number {
    if (count < TWO_32) {
      // 2^32 mod count, in 32-bit arithmetic: 2^32 - count leaves the same remainder.
      const limit = TWO_32 - ((-count >>> 0) % (count >>> 0))
      let x = this.uint32()
      while (x >= limit) x = this.uint32()
      return (x >>> 0) % (count >>> 0)
    }
    const limit = TWO_53 - (TWO_53 % count)
    let x = this.bits53()
    while (x >= limit) x = this.bits53()
    return x % count
  }

  private standardNormal(): number {
    if (this.spare !== null) {
      const kept = this.spare
      this.spare = null
      return kept
    }
    for (;;) {
      const x = this.bits53() / (TWO_53 / 2) - 1
      const y = this.bits53() / (TWO_53 / 2) - 1
      const square = x * x + y * y
      if (square >= 1 || square === 0) continue
      const scale = Math.sqrt((-2 * log(square)) / square)
      this.spare = y * scale
      return x * scale
    }
  }

  /** Floyd's algorithm gives a random set; its order is not random, hence the shuffle. */
  private sampleFew(n: number, count: number): Uint32Array {
    const chosen = new Set<number>()
    for (let top = n - count; top < n; top++) {
      const candidate = this.below(top + 1)
      chosen.add(chosen.has(candidate) ? top : candidate)
    }
    return this.shuffle(Uint32Array.from(chosen))
  }

  /** The first steps of a Fisher-Yates shuffle. */
  private sampleMany(n: number, count: number): Uint32Array {
    const all = new Uint32Array(n)
    for (let i = 0; i < n; i++) all[i] = i
    for (let i = 0; i < count; i++) {
      const j = i + this.below(n - i)
      const kept = all[i] as number
      all[i] = all[j] as number
      all[j] = kept
    }
    return all.slice(0, count)
  }
}

/** Different numbers below n, ascending: marked and read off, where they are too many to sort. */
function inOrder(chosen: Uint32Array, n: number): Uint32Array {
  const marks = new Uint8Array(n)
  for (const number of chosen) marks[number] = 1
  const sorted = new Uint32Array(chosen.length)
  let count = 0
  for (let number = 0; count < sorted.length; number++) {
    sorted[count] = number
    count += marks[number] as number
  }
  return sorted
}
