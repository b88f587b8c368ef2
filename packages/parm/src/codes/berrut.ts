// Berrut's rational interpolation as a code: no parity model and no training, any number of late outputs, and every answer
// approximate. Queries lie on nodes alpha of an interpolant, units are its values at nodes beta, answers are read off the
// interpolant of the outputs that came.
import { FtError, assertInteger, assertOneOf, invalidArgument } from '@ft/core'
import { assertAlike, assertSummable, type NamedTensor } from '../named.ts'
import type { Code } from './code.ts'
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
}

/**
 * The Berrut code (BACC, ApproxIFER).
 *
 * Guarantees: no poles, whatever is late, since signs alternate over the sorted nodes that came.
 * Differs from `sum`: not systematic. No answer comes before k of the k + late units, and none is exact; on MNIST's base
 * perceptron 97 % are right with nobody late and 87 % with one (k = 2), against 97.9 % of the model.
 * Cost: n k additions an input element, k times the outputs that came an output element.
 *
 * @see T. Jahani-Nezhad, M. A. Maddah-Ali: Berrut Approximated Coded Computing, 2020; M. Soleymani et al.: ApproxIFER, 2021
 */
export function berrut(options: BerrutOptions): Code {
  const { k, late, nodes = late === 1 ? 'open' : 'closed' } = options
  assertInteger(k, { where: 'berrut', argument: 'k', min: 2, max: 32 })
  assertInteger(late, { where: 'berrut', argument: 'late', min: 1, max: 16 })
  assertOneOf(nodes, { where: 'berrut', argument: 'nodes', values: ['open', 'closed'] })
  const n = k + late
  const alpha = Array.from({ length: k }, (_, j) => Math.cos(((2 * j + 1) * Math.PI) / (2 * k)))
  const beta = Array.from({ length: n }, (_, i) => Math.cos((i * Math.PI) / (nodes === 'open' ? n : n - 1)))
  const mixing = beta.map((at) => interpolation(alpha, at))
  return {
    name: 'berrut',
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
    canDecode: (got) => got.size >= k,
    decode(got) {
      if (got.size < k)
        throw new FtError('UNRECOVERABLE', `berrut: decode must have at least ${k} of ${n} outputs, got ${got.size}`, {
          k,
          n,
          got: [...got.keys()],
        })
      const slots = [...got.keys()].sort((a, b) => a - b)
      const came = slots.map((slot) => got.get(slot) as readonly NamedTensor[])
      for (const outputs of came) assertAlike(came[0] as readonly NamedTensor[], outputs, 'berrut')
      const at = slots.map((slot) => beta[slot] as number)
      return {
        outputs: alpha.map((node) => weightedSum(came, interpolation(at, node))),
        quality: alpha.map(() => 'reconstructed' as const),
      }
    },
    modelFor: () => 'base',
  }
}

/** Weights of values at nodes (descending) in Berrut's interpolant at a point: signs alternate over the nodes given. */
export function interpolation(nodes: readonly number[], at: number): number[] {
  const hit = nodes.indexOf(at)
  if (hit >= 0) return nodes.map((_, j) => (j === hit ? 1 : 0))
  const terms = nodes.map((node, j) => (j % 2 === 0 ? 1 : -1) / (at - node))
  const total = terms.reduce((sum, term) => sum + term, 0)
  return terms.map((term) => term / total)
}
