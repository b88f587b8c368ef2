// Bootstrap intervals: seeded, percentile or BCa, of any statistic of independent (or paired) observations.
import { assertInteger, assertOneOf, invalidArgument } from '../guards.ts'
import { createRandom } from '../random/generator.ts'
import type { Interval } from '../types/common.ts'
import { checkConfidence } from './check.ts'
import { normalCdf, normalQuantile } from './normal.ts'
import { quantileOfSorted } from './quantiles.ts'

export interface BootstrapOptions {
  readonly seed: number
  /** Default 2000. */
  readonly resamples?: number
  /** Default 0.95. */
  readonly confidence?: number
  /** 'percentile' (default), or 'bca': corrects bias and skewness for n more evaluations of the statistic. */
  readonly method?: 'percentile' | 'bca'
}

/**
 * A statistic of a sample with its bootstrap interval. For a paired comparison, let each element hold both members.
 *
 * Cost: `resamples` evaluations of the statistic, and n more for 'bca'.
 *
 * @param options.statistic - finite for every resample of at least one different element
 * @throws FtError `INVALID_ARGUMENT` for an empty sample or a statistic that is not finite
 * @see Efron and Tibshirani 1993, chapters 13 and 14
 * @example
 * ```ts
 * const pairs = [[3, 2], [5, 4], [4, 4], [6, 3], [5, 3], [7, 6]]
 * const difference = (all: readonly number[][]) => all.reduce((sum, [a = 0, b = 0]) => sum + a - b, 0) / all.length
 * bootstrap(pairs, { statistic: difference, seed: 1 }).low > 0 // => true
 * ```
 */
export function bootstrap<T>(
  sample: ArrayLike<T>,
  options: BootstrapOptions & { statistic: (resample: readonly T[]) => number },
): Interval {
  const { statistic, ...rest } = options
  return bootstrapIndices(sample.length, {
    ...rest,
    statistic: (indices) => statistic(Array.from(indices, (i) => sample[i] as T)),
  })
}

/**
 * The same over indices 0 .. n - 1, for statistics of typed arrays that should not be copied.
 *
 * @param options.statistic - of the observations at these indices; the array is used again for the next resample
 */
export function bootstrapIndices(
  n: number,
  options: BootstrapOptions & { statistic: (indices: Uint32Array) => number },
): Interval {
  const { statistic, seed, resamples = 2000, confidence = 0.95, method = 'percentile' } = options
  assertInteger(n, { where: 'bootstrap', argument: 'sample length', min: 1, max: 2 ** 32 - 1 })
  assertInteger(resamples, { where: 'bootstrap', argument: 'resamples', min: 100 })
  assertOneOf(method, { where: 'bootstrap', argument: 'method', values: ['percentile', 'bca'] })
  checkConfidence(confidence, 'bootstrap')
  const evaluate = (indices: Uint32Array) => {
    const value = statistic(indices)
    if (Number.isFinite(value)) return value
    throw invalidArgument({ where: 'bootstrap', argument: 'statistic' }, 'finite for every resample', value)
  }
  const value = evaluate(Uint32Array.from({ length: n }, (_, i) => i))
  const random = createRandom(seed).stream('bootstrap')
  const indices = new Uint32Array(n)
  const replicates = new Float64Array(resamples)
  for (let b = 0; b < resamples; b++) {
    for (let i = 0; i < n; i++) indices[i] = random.integer(0, n - 1)
    replicates[b] = evaluate(indices)
  }
  replicates.sort()
  const tail = (1 - confidence) / 2
  const level = method === 'bca' ? bcaLevels({ value, replicates, n, evaluate }) : (p: number) => p
  return {
    value,
    low: quantileOfSorted(replicates, level(tail)),
    high: quantileOfSorted(replicates, level(1 - tail)),
    confidence,
    n,
  }
}

/** The corrected level of each nominal level (Efron and Tibshirani 1993, equations 14.9 to 14.15). */
function bcaLevels(run: {
  value: number
  replicates: Float64Array
  n: number
  evaluate: (indices: Uint32Array) => number
}): (p: number) => number {
  const { value, replicates, n, evaluate } = run
  let below = 0
  for (const replicate of replicates) below += replicate < value ? 1 : replicate === value ? 0.5 : 0
  // Kept off 0 and 1, where the correction would be infinite
  const share = Math.min(Math.max(below, 0.5), replicates.length - 0.5) / replicates.length
  const bias = normalQuantile(share)
  const acceleration = n > 1 ? jackknifeAcceleration(n, evaluate) : 0
  return (p) => {
    const z = bias + normalQuantile(p)
    return normalCdf(bias + z / (1 - acceleration * z))
  }
}

function jackknifeAcceleration(n: number, evaluate: (indices: Uint32Array) => number): number {
  const indices = Uint32Array.from({ length: n - 1 }, (_, i) => i + 1)
  const values = new Float64Array(n)
  for (let left = 0; left < n; left++) {
    values[left] = evaluate(indices)
    if (left < n - 1) indices[left] = left // the next element left out is left + 1
  }
  const centre = values.reduce((sum, x) => sum + x, 0) / n
  let squares = 0
  let cubes = 0
  for (const x of values) {
    const distance = centre - x
    squares += distance * distance
    cubes += distance * distance * distance
  }
  return squares === 0 ? 0 : cubes / (6 * squares * Math.sqrt(squares))
}
