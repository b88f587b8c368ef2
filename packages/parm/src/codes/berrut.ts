// Berrut's rational interpolation as a code: no parity model and no training, any number of late outputs, and every answer
// approximate. Queries lie on nodes alpha of an interpolant, units are its values at nodes beta, answers are read off the
// interpolant of the outputs that came. Outputs that do not lie on it can be found and left out.
import { FtError, assertInteger, assertOneOf, invalidArgument } from '@ft/core'
import { assertAlike, assertSummable, type NamedTensor } from '../named.ts'
import type { Code } from './code.ts'
import { locateWrong } from './locateWrong.ts'
import { weightedSum } from './weighted.ts'

export interface BerrutOptions {
  /** Queries in a group. */
  readonly k: number
  /** Outputs that may be late: k + late units run, all on the deployed model. */
  readonly late: number
  /**
   * Where units lie: 'open' at cos(i pi / n), the authors' code, better for one late output; 'closed' at
   * cos(i pi / (n - 1)), symmetric, better for two and more. Default: by `late`.
   */
  readonly nodes?: 'open' | 'closed'
  /**
   * Degree of the polynomials that the interpolant blends (Floater and Hormann); 0 is Berrut's. Higher ones follow smooth
   * models closer and amplify what is late more. Default 0.
   */
  readonly order?: number
  /** Outputs that may be wrong, found and left out: 2 (k + wrong) + late units run then. Default 0. */
  readonly wrong?: number
}

/**
 * The Berrut code (BACC, ApproxIFER).
 *
 * Guarantees: no poles, whatever is late, since signs alternate over the sorted nodes that came.
 * Differs from `sum`: not systematic. No answer comes before k of the k + late units, and none is exact; on MNIST's base
 * perceptron 97 % are right with nobody late and 87 % with one (k = 2), against 97.9 % of the model.
 * Cost: n k additions an input element, k times the outputs that came an output element.
 *
 * With `wrong`, decoding needs 2 (k + wrong) outputs, and costs a least squares fit for up to 64 of their elements.
 *
 * @see T. Jahani-Nezhad, M. A. Maddah-Ali: Berrut Approximated Coded Computing, 2020; M. Soleymani et al.: ApproxIFER, 2021;
 * M. Floater, K. Hormann: Barycentric Rational Interpolation with No Poles and High Rates of Approximation, 2007
 */
export function berrut(options: BerrutOptions): Code {
  const { k, late, nodes = late === 1 ? 'open' : 'closed', order = 0, wrong = 0 } = options
  assertInteger(k, { where: 'berrut', argument: 'k', min: 2, max: 32 })
  assertInteger(late, { where: 'berrut', argument: 'late', min: 1, max: 16 })
  assertOneOf(nodes, { where: 'berrut', argument: 'nodes', values: ['open', 'closed'] })
  assertInteger(order, { where: 'berrut', argument: 'order', min: 0, max: k - 1 })
  assertInteger(wrong, { where: 'berrut', argument: 'wrong', min: 0, max: 8 })
  const needed = wrong === 0 ? k : 2 * (k + wrong)
  const n = needed + late
  const alpha = Array.from({ length: k }, (_, j) => Math.cos(((2 * j + 1) * Math.PI) / (2 * k)))
  const beta = Array.from({ length: n }, (_, i) => Math.cos((i * Math.PI) / (nodes === 'open' ? n : n - 1)))
  const mixing = beta.map((at) => interpolation(alpha, at, order))
  return {
    name: order === 0 ? 'berrut' : `floater-hormann-${order}`,
    k,
    n,
    systematic: false,
    encode(group) {
      if (group.length !== k)
        throw invalidArgument({ where: 'berrut', argument: 'group' }, `${k} members`, group.length)
      for (const member of group) {
        assertAlike(group[0] as readonly NamedTensor[], member, 'berrut')
        assertSummable(member, 'berrut')
      }
      return mixing.map((weights) => weightedSum(group, weights))
    },
    canDecode: (got) => got.size >= needed,
    decode(got) {
      if (got.size < needed)
        throw new FtError(
          'UNRECOVERABLE',
          `berrut: decode must have at least ${needed} of ${n} outputs, got ${got.size}`,
          { k, n, got: [...got.keys()] },
        )
      const slots = [...got.keys()].sort((a, b) => a - b)
      const came = slots.map((slot) => got.get(slot) as readonly NamedTensor[])
      for (const outputs of came) assertAlike(came[0] as readonly NamedTensor[], outputs, 'berrut')
      const at = slots.map((slot) => beta[slot] as number)
      const left = wrong === 0 ? [] : locateWrong(came, { at, k, wrong })
      const kept = <T>(all: readonly T[]) => all.filter((_, i) => !left.includes(i))
      const [used, points] = [kept(came), kept(at)]
      return {
        outputs: alpha.map((node) => weightedSum(used, interpolation(points, node, order))),
        quality: alpha.map(() => 'reconstructed' as const),
        ...(wrong === 0 ? {} : { leftOut: left.map((i) => slots[i] as number) }),
      }
    },
    modelFor: () => 'base',
  }
}

/**
 * Weights of values at nodes (descending) in the interpolant at a point: signs alternate over the nodes given. Of order d,
 * it blends the polynomials of degree d through d + 1 neighbours; with fewer nodes, of as many as there are.
 */
export function interpolation(nodes: readonly number[], at: number, order = 0): number[] {
  const hit = nodes.indexOf(at)
  if (hit >= 0) return nodes.map((_, j) => (j === hit ? 1 : 0))
  const degree = Math.min(order, nodes.length - 1)
  const terms = nodes.map((node, j) => ((j % 2 === 0 ? 1 : -1) * blended(nodes, j, degree)) / (at - node))
  const total = terms.reduce((sum, term) => sum + term, 0)
  return terms.map((term) => term / total)
}

/** Size of a node's weight: a sum over the runs of degree + 1 neighbours that it is in. */
function blended(nodes: readonly number[], j: number, degree: number): number {
  let sum = 0
  for (let first = Math.max(0, j - degree); first <= Math.min(j, nodes.length - 1 - degree); first++) {
    let product = 1
    for (let i = first; i <= first + degree; i++)
      if (i !== j) product /= Math.abs((nodes[j] as number) - (nodes[i] as number))
    sum += product
  }
  return sum
}
