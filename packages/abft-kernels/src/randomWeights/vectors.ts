// The random weights of checksums: how they are drawn, and what is known of them.
import { createRandom, type Random } from '@ft/core/random'

/** Least magnitude of a weight: an error counts for at least so much of itself in its check sum. */
export const LEAST = 1 / 2

/** Mean magnitude and mean square of a weight, uniform in +-[1/2, 1). */
export const MEAN_MAGNITUDE = 3 / 4
export const MEAN_SQUARE = 7 / 12

/** 2^24 weights there are, half of them negative. */
const DRAWN_BITS = 24
const HALF = 2 ** (DRAWN_BITS - 1)

/**
 * Weights drawn uniformly from +-[1/2, 1), multiples of 2^-24.
 *
 * Their product with a float32 is exact in float64 (24 + 24 bits). Their density is 1 at most, so that the largest error of a
 * sum, of size E, is hidden within +-x by whatever else is wrong there with a chance of at most 2 x / E + 2^-24: the weight of
 * that error would have to lie in an interval of length 2 x / E, wherever the other errors put it.
 */
function drawWeights(random: Random, count: number): Float64Array {
  return Float64Array.from({ length: count }, () => {
    const drawn = random.integer(0, 2 * HALF - 1)
    return drawn < HALF ? (HALF + drawn) / (2 * HALF) : -drawn / (2 * HALF)
  })
}

/** Weights of columns, and those of rows, as many as a product has: longer products start with the same ones. */
export class WeightVectors {
  readonly columns: Float64Array
  readonly #random: Random
  #rows: Float64Array = new Float64Array()

  /** One column is a sum of its own, in which nothing can cancel: its weight is 1. */
  constructor(seed: number, n: number) {
    this.#random = createRandom(seed).stream('checksum weights')
    this.columns = n === 1 ? Float64Array.of(1) : drawWeights(this.#random.stream('columns'), n)
  }

  /** `[m]`: a view, not to be written. */
  rows(m: number): Float64Array {
    if (this.#rows.length < m) this.#rows = drawWeights(this.#random.stream('rows'), Math.max(m, 2 * this.#rows.length))
    return this.#rows.subarray(0, m)
  }
}
