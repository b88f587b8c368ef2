// A model as an ONNX graph: one TreeEnsembleRegressor, weights folded into its leaves.
import { FtError } from '@ft/core'
import { graphBuilder, type OnnxModel } from '@ft/onnx'
import type { Model } from '../model.ts'

/** Operator set of ai.onnx.ml that all runtimes since 2021 read. */
const ML_OPSET = 3

/**
 * Builds an ONNX model: input `features` `[n, columns]` float32, output `answer` `[n, outputs]` float32: probabilities for
 * logistic and softmax, rates for poisson, else scores. Save it with `serializeModel` of `@ft/onnx`.
 *
 * Thresholds are exact, x <= t in float32; leaves become float32. Missing values follow the trees.
 *
 * @throws FtError `UNSUPPORTED` for categorical splits, which this operator lacks
 */
export function toOnnx(model: Model): OnnxModel {
  if (model.trees.some((tree) => tree.sets.length > 0)) {
    throw new FtError('UNSUPPORTED', 'toOnnx: TreeEnsembleRegressor has no categorical splits; train on numbers')
  }
  const { outputs, objective, featureNames, baseScores } = model
  const builder = graphBuilder({ name: 'dart', opset: 15, domains: { 'ai.onnx.ml': ML_OPSET } })
  const input = builder.input('features', 'float32', ['n', featureNames.length])
  // A node of its own: onnxruntime leaves the operator's post_transform out for one target.
  const link = ({ softmax: 'Softmax', logistic: 'Sigmoid', poisson: 'Exp' } as Record<string, string>)[objective]
  builder.node('TreeEnsembleRegressor', [input], {
    domain: 'ai.onnx.ml',
    outputs: [link ? 'score' : 'answer'],
    attributes: {
      n_targets: { int: outputs },
      aggregate_function: { string: 'SUM' },
      post_transform: { string: 'NONE' },
      base_values: { floats: [...baseScores] },
      ...ensembleOf(model),
    },
  })
  if (link) builder.node(link, ['score'], { outputs: ['answer'] })
  builder.output('answer', 'float32', ['n', outputs])
  return builder.build()
}

function ensembleOf({ trees, weights, outputs }: Model) {
  const node = { tree: [], id: [], feature: [], value: [], yes: [], no: [], missing: [] } as Record<string, number[]>
  const modes: string[] = []
  const leaf = { tree: [], id: [], target: [], weight: [] } as Record<string, number[]>
  const push = (lists: Record<string, number[]>, values: Record<string, number>): void => {
    for (const [name, value] of Object.entries(values)) lists[name]?.push(value)
  }
  trees.forEach((tree, t) => {
    const inner = tree.feature.length
    const numberOf = (child: number): number => (child >= 0 ? child : inner + ~child)
    for (let at = 0; at < inner; at++) {
      push(node, {
        tree: t,
        id: at,
        feature: tree.feature[at] as number,
        value: tree.threshold[at] as number,
        yes: numberOf(tree.left[at] as number),
        no: numberOf(tree.right[at] as number),
        missing: tree.missingLeft[at] as number,
      })
      modes.push('BRANCH_LEQ')
    }
    tree.value.forEach((value, at) => {
      push(node, { tree: t, id: inner + at, feature: 0, value: 0, yes: 0, no: 0, missing: 0 })
      modes.push('LEAF')
      push(leaf, { tree: t, id: inner + at, target: t % outputs, weight: value * (weights[t] as number) })
    })
  })
  const ints = (values: number[] | undefined) => ({ ints: values ?? [] })
  return {
    nodes_treeids: ints(node['tree']),
    nodes_nodeids: ints(node['id']),
    nodes_featureids: ints(node['feature']),
    nodes_modes: { strings: modes },
    nodes_values: { floats: node['value'] ?? [] },
    nodes_truenodeids: ints(node['yes']),
    nodes_falsenodeids: ints(node['no']),
    nodes_missing_value_tracks_true: ints(node['missing']),
    target_treeids: ints(leaf['tree']),
    target_nodeids: ints(leaf['id']),
    target_ids: ints(leaf['target']),
    target_weights: { floats: leaf['weight'] ?? [] },
  }
}
