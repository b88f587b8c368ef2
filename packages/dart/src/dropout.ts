// Which trees a round drops, and what it makes of the weights (DART, AISTATS'15, algorithm 1).
import type { Random } from '@ft/core/random'
import type { Normalization, ResolvedOptions } from './options.ts'

type Dropout = Exclude<ResolvedOptions['dropout'], false>

/**
 * Draws the dropped set, ascending.
 *
 * Each of the candidates is dropped with probability p, independently; under plus-one one of them uniformly when none was
 * drawn. Weighted: P(drop i) = p T w_i / sum(w), capped at 1, as XGBoost and LightGBM do.
 *
 * @param weights - current weight of each candidate (a round, or a tree)
 */
export function chooseDropped(weights: Float64Array, dropout: Dropout, random: Random): number[] {
  const count = weights.length
  if (count === 0) return []
  if (dropout.skipDrop > 0 && random.uniform() < dropout.skipDrop) return []
  const weighted = dropout.sample === 'weighted'
  const total = weighted ? weights.reduce((sum, weight) => sum + weight, 0) : 0
  // Weights may have shrunk to nothing: then no tree is likelier than another.
  const scale = weighted && total > 0 ? (dropout.dropRate * count) / total : 0
  const dropped: number[] = []
  for (let i = 0; i < count; i++) {
    const probability = scale > 0 ? scale * (weights[i] as number) : dropout.dropRate
    if (random.uniform() < probability) dropped.push(i)
  }
  if (dropout.maxDrop > 0 && dropped.length > dropout.maxDrop) {
    // Differs: LightGBM keeps the first in index order, which favours old trees; this keeps a random subset.
    random.shuffle(dropped)
    dropped.length = dropout.maxDrop
    dropped.sort((a, b) => a - b)
  }
  if (dropped.length === 0 && dropout.plusOne) dropped.push(pickOne(weights, weighted && total > 0 ? total : 0, random))
  return dropped
}

function pickOne(weights: Float64Array, total: number, random: Random): number {
  if (total === 0) return random.integer(0, weights.length - 1)
  let left = random.uniform() * total
  for (let i = 0; i < weights.length; i++) {
    left -= weights[i] as number
    if (left < 0) return i
  }
  return weights.length - 1
}

/** Weight of the new tree and factor on the dropped ones. */
export interface Normalized {
  readonly added: number
  readonly factor: number
}

/**
 * The weights after a round with k dropped trees and learning rate eta; k = 0 is plain boosting.
 *
 * 'tree' with eta = 1 is the paper's: the new tree and the k dropped ones all aim at the same gap, and 1/(k+1) with
 * k/(k+1) make their joint effect that of the dropped trees alone.
 */
export function normalize(rule: Normalization, k: number, eta: number): Normalized {
  if (k === 0) return { added: eta, factor: 1 }
  switch (rule) {
    case 'tree':
      return { added: eta / (k + eta), factor: k / (k + eta) }
    case 'forest':
      return { added: eta / (1 + eta), factor: 1 / (1 + eta) }
    case 'lightgbm':
      return { added: eta / (k + 1), factor: k / (k + 1) }
    case 'none':
      return { added: eta, factor: 1 }
  }
}
