// What every model from outside must satisfy before it predicts.
import { FtError } from '@ft/core'
import type { Model } from '../model.ts'
import { SET_WORDS, type Tree } from '../tree.ts'

/**
 * Checks a model: lengths, children, features, numbers.
 *
 * Every inner node but the root has one parent, before it in the list, and every leaf one: so there are no cycles.
 *
 * @throws FtError `CORRUPT_DATA` naming tree and node
 */
export function checkModel(model: Model, where: string): Model {
  const fail = (what: string): never => {
    throw new FtError('CORRUPT_DATA', `${where}: ${what}`)
  }
  const given = (model as Partial<Model> | null | undefined) ?? {}
  const lists = [given.trees, given.weights, given.baseScores, given.featureNames, given.featureLevels]
  if (lists.some((each) => typeof (each as { length?: number } | undefined)?.length !== 'number'))
    fail('not a model: trees, weights, base scores or features are absent')
  const { outputs, trees, weights, baseScores, featureNames, featureLevels } = model
  if (!Number.isInteger(outputs) || outputs < 1) fail(`outputs is ${outputs}`)
  if (trees.length % outputs !== 0) fail(`${trees.length} trees for ${outputs} outputs`)
  if (weights.length !== trees.length) fail(`${weights.length} weights for ${trees.length} trees`)
  if (baseScores.length !== outputs) fail(`${baseScores.length} base scores for ${outputs} outputs`)
  if (featureLevels.length !== featureNames.length) fail('levels and names of features differ in number')
  if (featureNames.length === 0 || featureNames.length > 65_535) fail(`${featureNames.length} features`)
  weights.forEach((weight, t) => Number.isFinite(weight) || fail(`weight of tree ${t} is ${weight}`))
  baseScores.forEach((score) => Number.isFinite(score) || fail(`base score ${score}`))
  trees.forEach((tree, t) => {
    const problem = problemOf(tree, featureNames.length)
    if (problem !== undefined) fail(`tree ${t}, ${problem}`)
  })
  return model
}

function problemOf(tree: Tree, features: number): string | undefined {
  const nodes = tree.feature.length
  const leaves = tree.value.length
  const { threshold, missingLeft, left, right, gain, nodeCover, setAt } = tree
  for (const array of [threshold, missingLeft, left, right, gain, nodeCover, setAt]) {
    if (array.length !== nodes) return `arrays of ${nodes} and ${array.length} nodes`
  }
  if (leaves !== nodes + 1 || tree.leafCover.length !== leaves) return `${nodes} nodes but ${leaves} leaves`
  const badLeaf = tree.value.findIndex((value) => !Number.isFinite(value))
  if (badLeaf >= 0) return `leaf ${badLeaf}: value ${tree.value[badLeaf]}`
  const seenNode = new Uint8Array(nodes)
  const seenLeaf = new Uint8Array(leaves)
  for (let node = 0; node < nodes; node++) {
    const feature = tree.feature[node] as number
    if (feature >= features) return `node ${node}: feature ${feature} of ${features}`
    // Kernels add it to an index.
    const missing = missingLeft[node] as number
    if (missing > 1) return `node ${node}: missing values go to ${missing}, neither left (1) nor right (0)`
    const set = setAt[node] as number
    if (set < -1) return `node ${node}: set ${set}`
    if (set >= 0 ? (set + 1) * SET_WORDS > tree.sets.length : Number.isNaN(threshold[node])) {
      return `node ${node}: ${set >= 0 ? `no set ${set}` : 'its threshold is not a number'}`
    }
    for (const child of [left[node] as number, right[node] as number]) {
      if (child >= 0 ? child >= nodes || child <= node : ~child >= leaves) return `node ${node}: child ${child}`
      const seen = child >= 0 ? seenNode : seenLeaf
      const at = child >= 0 ? child : ~child
      if (seen[at] === 1) return `node ${node}: child ${child} has another parent`
      seen[at] = 1
    }
  }
  return undefined
}
