// `inspect`: what a model is made of.
import type { Output } from '@ft/report'
import { dumpTree } from '../insight/dumpTree.ts'
import { treeDot, treeSvg } from '../insight/treePicture.ts'
import { importance } from '../insight/importance.ts'
import { roundsOf } from '../model.ts'
import { depthOf } from '../tree.ts'
import { readModel, writeOut } from './files.ts'

export interface InspectFlags {
  readonly tree?: number
  readonly svg?: string
  readonly dot?: string
  readonly top: number
}

export function inspectCommand(file: string, flags: InspectFlags, output: Output): void {
  const model = readModel(file)
  const leaves = model.trees.reduce((sum, tree) => sum + tree.value.length, 0)
  output.settings(file, {
    objective: model.objective,
    rounds: roundsOf(model),
    outputs: model.outputs,
    trees: model.trees.length,
    leaves,
    depth: model.trees.reduce((deepest, tree) => Math.max(deepest, depthOf(tree)), 0),
    features: model.featureNames.length,
  })
  if (flags.tree !== undefined) output.text(dumpTree(model, flags.tree))
  if (flags.svg !== undefined) writeOut(flags.svg, treeSvg(model, flags.tree ?? 0))
  if (flags.dot !== undefined) writeOut(flags.dot, treeDot(model, flags.tree ?? 0))
  const [gain, split] = [importance(model, 'gain'), importance(model, 'split')]
  const total = gain.reduce((sum, value) => sum + value, 0) || 1
  const rows = model.featureNames
    .map((name, i) => ({
      name,
      share: (gain[i] as number) / total,
      splits: split[i] as number,
      kinds: model.featureLevels[i],
    }))
    .sort((a, b) => b.share - a.share)
  output.table(rows.slice(0, flags.top), [
    { header: 'feature', value: ({ name }) => name },
    { header: 'kind', value: ({ kinds }) => (kinds ? `${kinds.length} categories` : 'number') },
    { header: 'gain', value: ({ share }) => share, format: 'percent' },
    { header: 'splits', value: ({ splits }) => splits, format: 'plain' },
  ])
  for (const { name, share, splits } of rows) output.result({ command: 'inspect', feature: name, gain: share, splits })
  const weights = [...model.weights].sort((a, b) => a - b)
  output.conclusion(
    weights.length === 0
      ? 'No trees: the base score answers.'
      : `Weights of trees from ${weights[0]?.toPrecision(3)} to ${weights.at(-1)?.toPrecision(3)}, base score ${[...model.baseScores].map((score) => score.toPrecision(4)).join(', ')}.`,
  )
}
