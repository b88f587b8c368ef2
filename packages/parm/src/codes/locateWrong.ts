// Which of a group's outputs are wrong, for codes whose outputs are values of a smooth function at known points.
import type { NamedTensor } from '../named.ts'
import { leastSquares } from './leastSquares.ts'

/** Output elements that are looked at: spread evenly, when there are more. */
const ELEMENTS = 64

/**
 * The `wrong` units whose outputs fit the others least. For each output element, p(z) = y q(z) is solved by least squares
 * over the points, q of degree `wrong` with a leading term of one: where q is smallest, y is not on the curve. Elements vote.
 *
 * Differs: polynomials are sums of Chebyshev's, which keep their digits on -1..1; the authors' code has powers.
 * Cost: for at most 64 elements, points x (k + 2 wrong)^2 multiplications.
 *
 * @param o.k - p has degree k + wrong - 1
 * @see M. Soleymani et al.: ApproxIFER, 2021, after Berlekamp and Welch
 */
export function locateWrong(
  came: readonly (readonly NamedTensor[])[],
  o: { readonly at: readonly number[]; readonly k: number; readonly wrong: number },
): number[] {
  const { at, k, wrong } = o
  const values = came.map((outputs) => outputs.flatMap(({ data }) => Array.from(data as ArrayLike<number>, Number)))
  const width = values[0]?.length ?? 0
  const chebyshev = (degree: number) => at.map((z) => Math.cos(degree * Math.acos(Math.max(-1, Math.min(1, z)))))
  const numerator = Array.from({ length: k + wrong }, (_, degree) => chebyshev(degree))
  const locator = Array.from({ length: wrong + 1 }, (_, degree) => chebyshev(degree))
  const leading = locator[wrong] as number[]
  const votes = new Array<number>(at.length).fill(0)
  const step = Math.max(1, Math.ceil(width / ELEMENTS))
  for (let element = 0; element < width; element += step) {
    const y = values.map((row) => row[element] as number)
    // A value that is none votes for itself
    if (!y.every(Number.isFinite)) {
      y.forEach((value, i) => (votes[i] = (votes[i] as number) + (Number.isFinite(value) ? 0 : 1)))
      continue
    }
    const unknown = locator.slice(0, wrong).map((column) => column.map((value, i) => -value * (y[i] as number)))
    const solved = leastSquares(
      [...numerator, ...unknown],
      leading.map((value, i) => value * (y[i] as number)),
    )
    const q = at.map((_, i) =>
      locator.reduce(
        (sum, column, j) => sum + (j === wrong ? 1 : (solved[k + wrong + j] as number)) * (column[i] as number),
        0,
      ),
    )
    for (const i of smallest(q.map(Math.abs), wrong)) votes[i] = (votes[i] as number) + 1
  }
  return smallest(
    votes.map((count) => -count),
    wrong,
  )
}

/** Places of the smallest values. */
function smallest(values: readonly number[], count: number): number[] {
  return values
    .map((value, i) => [value, i] as const)
    .sort(([a], [b]) => a - b)
    .slice(0, count)
    .map(([, i]) => i)
}
