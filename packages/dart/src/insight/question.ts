// What an inner node asks, in words.
import type { Model } from '../model.ts'
import { inSet, type Tree } from '../tree.ts'

/** 'size <= 3.5' or 'city in {Bonn, Ulm}': those that answer yes go left. */
export function questionOf(model: Model, tree: Tree, node: number): string {
  const feature = tree.feature[node] as number
  const name = model.featureNames[feature] ?? `f${feature}`
  const set = tree.setAt[node] as number
  if (set < 0) return `${name} <= ${Number((tree.threshold[node] as number).toPrecision(6))}`
  const levels = model.featureLevels[feature] ?? []
  return `${name} in {${levels.filter((_, code) => inSet(tree.sets, set, code)).join(', ')}}`
}
