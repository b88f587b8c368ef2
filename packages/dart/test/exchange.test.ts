// Golden models of XGBoost and LightGBM (golden/MAKER.md), with rows that lie exactly on thresholds and missing values.
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { serializeModel } from '@ft/onnx'
import {
  contributions,
  dumpTree,
  predict,
  readLightgbm,
  readXgboost,
  toOnnx,
  train,
  writeLightgbm,
  writeXgboost,
  type Model,
  type TrainOptions,
} from '../src/index.ts'
import { makeData } from './support/made.ts'
import { writtenModels } from './support/writtenModels.ts'

interface Golden {
  readonly name: string
  readonly rows: number
  readonly features: (number | null)[]
  readonly answer: number[]
}
type XgboostGolden = Golden & { readonly model: Record<string, never>; readonly margin: number[] }
type LightgbmGolden = Golden & { readonly text: string; readonly raw: number[] }

const golden = <T>(file: string) => JSON.parse(readFileSync(new URL(`golden/${file}`, import.meta.url), 'utf8')) as T[]

const matrixOf = ({ rows, features }: Golden) => ({
  data: Float32Array.from(features, (value) => value ?? NaN),
  rows,
  columns: features.length / rows,
})

/** Largest difference, relative to the larger of 1 and the value. */
function apart(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length)
  return Array.from(a).reduce((worst, value, i) => {
    const other = b[i] as number
    const difference = Math.abs(value - other) / Math.max(1, Math.abs(other))
    return difference > worst || Number.isNaN(difference) ? difference : worst
  }, 0)
}

// XGBoost sums at most 15 leaves in float32, each rounding by 2^-24 of the sum: below 1e-6.
const FLOAT32_SUM = 1e-6

describe('XGBoost 1.7.4', () => {
  const cases = golden<XgboostGolden>('xgboost-1.7.4.json')

  it.each(cases.map((each) => [each.name, each] as const))('%s: margins and answers agree', (_, each) => {
    const model = readXgboost(JSON.stringify(each.model))
    const features = matrixOf(each)
    expect(apart(predict(model, features, { output: 'raw' }), each.margin)).toBeLessThan(FLOAT32_SUM)
    expect(apart(predict(model, features), each.answer)).toBeLessThan(FLOAT32_SUM)
  })

  it.each(cases.map((each) => [each.name, each] as const))(
    '%s: the newer schema reads as the same model',
    (_, each) => {
      const old = structuredClone(each.model) as unknown as Wrapped
      const booster = old.learner.gradient_booster
      if (booster.name !== 'dart') return
      const newer = { ...booster.gbtree, model: { ...booster.gbtree.model, weight_drop: booster.weight_drop } }
      const rewrapped = { ...old, version: [3, 3, 0], learner: { ...old.learner, gradient_booster: newer } }
      expect(readXgboost(JSON.stringify(rewrapped))).toEqual(readXgboost(JSON.stringify(old)))
    },
  )

  it.each(cases.map((each) => [each.name, each] as const))('%s: written and read again it is the same', (_, each) => {
    const model = readXgboost(JSON.stringify(each.model))
    const features = matrixOf(each)
    const scores = predict(model, features, { output: 'raw' })
    for (const weights of ['wrapper', 'inline', 'folded'] as const) {
      const again = readXgboost(writeXgboost(model, { weights }))
      // Thresholds, leaves and weights came as float32 and are written as such; folding rounds once more.
      expect(apart(predict(again, features, { output: 'raw' }), scores)).toBeLessThan(FLOAT32_SUM)
    }
  })

  interface Wrapped {
    learner: {
      gradient_booster: {
        name: string
        weight_drop: number[]
        gbtree: { name: string; model: Record<string, unknown> }
      }
    }
  }

  it.each<[string, (model: never) => void, RegExp]>([
    ['a child out of range', (m: Xgb) => (tree(m).left_children[0] = 999), /trees\[0\]: no node 999/],
    ['a cycle', (m: Xgb) => (tree(m).left_children[1] = 0), /two parents or is its own/],
    ['a feature out of range', (m: Xgb) => (tree(m).split_indices[0] = 5), /node 0 splits feature 5 of 5/],
    ['text for a number', (m: Xgb) => (tree(m).split_conditions[2] = 'x'), /split_conditions\[2\]: expected a number/],
    ['a short list', (m: Xgb) => tree(m).right_children.pop(), /right_children: expected 2\d numbers/],
    ['an unknown objective', (m: Xgb) => (m.learner.objective.name = 'survival:cox'), /objective survival:cox/],
    ['a linear booster', (m: Xgb) => (m.learner.gradient_booster.name = 'gblinear'), /booster gblinear/],
    ['a tree of no class', (m: Xgb) => (m.learner.gradient_booster.model.tree_info[1] = 4), /tree 1 adds to output 4/],
    [
      'no weights',
      (m: Xgb) => (m.learner.gradient_booster = { name: 'dart', gbtree: m.learner.gradient_booster }),
      /weight_drop/,
    ],
  ] as [string, (model: never) => void, RegExp][])('%s is refused by name', (_, damage, message) => {
    const model = structuredClone(cases[0]?.model) as never
    damage(model)
    expect(() => readXgboost(JSON.stringify(model))).toThrow(message)
  })

  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- the document as it is, to be damaged
  type Xgb = any
  const tree = (m: Xgb): Xgb => m.learner.gradient_booster.model.trees[0]

  it('a file cut short is no JSON', () => {
    const text = JSON.stringify(cases[0]?.model)
    expect(() => readXgboost(text.slice(0, 5000))).toThrow(/not JSON/)
  })
})

describe('LightGBM 4.6.0', () => {
  const cases = golden<LightgbmGolden>('lightgbm-4.6.0.json')

  it.each(cases.map((each) => [each.name, each] as const))('%s: raw scores and answers agree', (_, each) => {
    const model = readLightgbm(each.text)
    const features = matrixOf(each)
    // Both sum float64 leaves in tree order; a forest's raw score is a sum there, the mean here.
    const raw = each.name === 'forest' ? each.raw.map((sum) => sum / 5) : each.raw
    expect(apart(predict(model, features, { output: 'raw' }), raw)).toBeLessThan(1e-14)
    expect(apart(predict(model, features), each.answer)).toBeLessThan(1e-14)
  })

  it.each(cases.map((each) => [each.name, each] as const))('%s: written and read again it is the same', (_, each) => {
    const model = readLightgbm(each.text)
    const features = matrixOf(each)
    const again = readLightgbm(writeLightgbm(model))
    expect(
      apart(predict(again, features, { output: 'raw' }), predict(model, features, { output: 'raw' })),
    ).toBeLessThan(1e-14)
  })

  it.each<[string, (text: string) => string, RegExp]>([
    ['a file cut short', (t) => t.slice(0, 3000), /no line 'end of trees'/],
    ['another file', () => 'hello', /first line must be 'tree'/],
    ['a newer version', (t) => t.replace('version=v4', 'version=v9'), /version 'v9'/],
    ['a child out of range', (t) => t.replace('left_child=3', 'left_child=77'), /tree 0: no node 77/],
    ['a cycle', (t) => t.replace('left_child=3', 'left_child=0'), /two parents or is its own/],
    ['a missing value', (t) => t.replace(/leaf_value=\S+ /, 'leaf_value='), /leaf_value has 9 values, not 10/],
    ['linear leaves', (t) => t.replace('is_linear=0', 'is_linear=1'), /linear leaves/],
    ['zeros as missing', (t) => t.replace('decision_type=8', 'decision_type=4'), /zeros for missing/],
    ['a set that is not there', (t) => t.replace('num_cat=1', 'num_cat=0'), /no set 0/],
    [
      'an unknown loss',
      (t) => t.replace('objective=regression', 'objective=cross_entropy'),
      /objective 'cross_entropy'/,
    ],
    [
      'feature names that do not add up',
      (t) => t.replace('feature_names=Column_0 ', 'feature_names='),
      /4 feature_names for 5/,
    ],
  ])('%s is refused by name', (_, damage, message) => {
    expect(() => readLightgbm(damage(cases[0]?.text as string))).toThrow(message)
  })
})

describe('models of this package', () => {
  const small: TrainOptions = { objective: 'squared', rounds: 12, maxDepth: 4, dropout: { dropRate: 0.2 } }
  const withCategory = (() => {
    const made = makeData(500, { missing: 0.1 })
    const data = made.features.data.map((value, i) => (i % 6 === 4 ? Math.floor(value * 12) : value))
    const label = made.label.map((y, row) => y + 5 * Math.sin(7 * (data[6 * row + 4] || 0)))
    return { features: { data, rows: 500, columns: 6, categorical: [4] }, label }
  })()

  it.each([
    ['regression', makeData(400, { missing: 0.1 }), small],
    ['logistic', makeData(400, { task: 'binary' }), { ...small, objective: 'logistic' }],
    ['softmax', makeData(400, { task: 'classes' }), { ...small, objective: 'softmax' }],
    ['categories', withCategory, small],
  ] as const)('%s: through XGBoost JSON and LightGBM text and back', async (name, data, options) => {
    const { model } = await train(data, options)
    const raw = predict(model, data.features, { output: 'raw' })
    for (const weights of ['wrapper', 'inline', 'folded'] as const) {
      const again = readXgboost(writeXgboost(model, { weights }))
      expect(apart(predict(again, data.features, { output: 'raw' }), raw)).toBeLessThan(FLOAT32_SUM)
      expect(again.trees.length).toBe(model.trees.length + (name === 'softmax' ? 3 : 0))
    }
    expect(apart(predict(readLightgbm(writeLightgbm(model)), data.features, { output: 'raw' }), raw)).toBeLessThan(
      1e-13,
    )
  })

  it.each(['squared', 'logistic', 'softmax'] as const)(
    '%s: a model that validation left without trees keeps its base scores',
    async (objective) => {
      const task = ({ squared: 'regression', logistic: 'binary', softmax: 'classes' } as const)[objective]
      const data = makeData(200, { task })
      // One class more often than the others, so that no base score is 0.
      const label = data.label.map((y, row) => (row % 3 === 0 && objective !== 'squared' ? 1 : y))
      const { model } = await train({ ...data, label }, { ...small, objective, rounds: 0 })
      expect(model.trees.length).toBe(0)
      expect(model.baseScores.every((base) => base !== 0)).toBe(true)
      const raw = predict(model, data.features, { output: 'raw' })
      expect(predict(readLightgbm(writeLightgbm(model)), data.features, { output: 'raw' })).toEqual(raw)
      const throughXgboost = predict(readXgboost(writeXgboost(model)), data.features, { output: 'raw' })
      expect(apart(throughXgboost, raw)).toBeLessThan(FLOAT32_SUM)
    },
  )

  it('XGBoost files carry base scores that a float32 probability or rate does not hold', async () => {
    const data = makeData(60, { task: 'binary' })
    const common: TrainOptions = { ...small, rounds: 3 }
    const sure = await train({ ...data, label: data.label.map(() => 1) }, { ...common, objective: 'logistic' })
    expect(sure.model.baseScores[0]).toBeCloseTo(13.8155, 4)
    const models = [sure.model]
    for (const baseScore of [4, 9, -9, 0.5])
      models.push((await train(data, { ...common, objective: 'logistic', baseScore })).model)
    for (const baseScore of [-100, 95])
      models.push((await train(data, { ...common, objective: 'poisson', rounds: 0, baseScore })).model)
    const carried = models.map((model) => {
      const raw = predict(model, data.features, { output: 'raw' })
      const text = writeXgboost(model)
      const again = readXgboost(text)
      expect(apart(predict(again, data.features, { output: 'raw' }), raw)).toBeLessThan(FLOAT32_SUM * 10)
      const { learner } = JSON.parse(text) as { learner: { learner_model_param: { base_score: string } } }
      // As XGBoost calculates the margin of a probability, in float32.
      const p = Math.fround(Number(learner.learner_model_param.base_score))
      const margin = -Math.log(Math.fround(Math.fround(1 / p) - 1))
      const base = model.baseScores[0] as number
      if (model.objective === 'logistic' && again.trees.length === model.trees.length) {
        expect(Math.abs(margin - base)).toBeLessThan(2e-6)
      }
      return again.trees.length - model.trees.length
    })
    // Probabilities near 0 and in the middle are kept well, rates of e^-100 and e^95 not at all.
    expect(carried).toEqual([1, 1, 1, 0, 0, 1, 1])
  })

  it('trees of any depth predict; those that cannot be walked are refused by name', () => {
    const chain = (nodes: number): Model => {
      const ids = Array.from({ length: nodes }, (_, i) => i)
      const list = <T>(inner: (id: number) => T, leaf: T) => [...ids.map(inner), ...ids.map(() => leaf), leaf]
      // Node i has leaf nodes + i on its left and node i + 1 on its right, the last one a leaf.
      const tree = {
        tree_param: { num_nodes: String(2 * nodes + 1), size_leaf_vector: '0' },
        left_children: list((id) => nodes + id, -1),
        right_children: list((id) => (id + 1 < nodes ? id + 1 : 2 * nodes), -1),
        split_indices: list(() => 0, 0),
        split_conditions: list((id) => id + 0.5, 1),
        default_left: list(() => 0, 0),
        loss_changes: list(() => 1, 0),
        sum_hessian: list((id) => nodes + 1 - id, 1),
      }
      const model = { trees: [tree], tree_info: [0], gbtree_model_param: { num_trees: '1' } }
      const learner_model_param = { base_score: '0', num_class: '0', num_feature: '1' }
      const objective = { name: 'reg:squarederror' }
      return readXgboost(
        JSON.stringify({ learner: { gradient_booster: { name: 'gbtree', model }, learner_model_param, objective } }),
      )
    }
    const features = { data: Float32Array.from({ length: 100 }, (_, i) => 300 * i), rows: 100, columns: 1 }
    const deep = chain(30_000)
    expect([...predict(deep, features)]).toEqual(new Array(100).fill(1))
    expect(() => dumpTree(deep, 0)).toThrow(/dumpTree: tree 0 has 30000 levels; at most 1000 are followed/)
    expect(() => contributions(deep, features)).toThrow(/contributions: tree 0 has 30000 levels/)
    expect(() => contributions(deep, features, { background: features })).toThrow(/30000 levels/)
    const walked = chain(1000)
    expect(dumpTree(walked, 0).split('\n').length).toBe(3001)
    expect(contributions(walked, { data: Float32Array.of(3), rows: 1, columns: 1 }).length).toBe(2)
  })

  it('LightGBM sends missing categories right, also where its file knows no missing values', () => {
    const block = [
      ...['num_leaves=2', 'num_cat=1', 'split_feature=0', 'split_gain=1', 'threshold=0'],
      // Categorical, missing type None; the set has code 0.
      ...['decision_type=1', 'left_child=-1', 'right_child=-2', 'leaf_value=1 2', 'leaf_weight=1 1'],
      ...['internal_weight=2', 'cat_boundaries=0 1', 'cat_threshold=1', 'is_linear=0', 'shrinkage=1'],
    ]
    const header = [
      'version=v4',
      'num_tree_per_iteration=1',
      'max_feature_idx=0',
      'objective=regression',
      'feature_names=c',
    ]
    const model = readLightgbm(['tree', ...header, '', 'Tree=0', ...block, '', 'end of trees', ''].join('\n'))
    const answers = predict(model, { data: Float32Array.of(0, 1, NaN, -1), rows: 4, columns: 1 })
    expect([...answers]).toEqual([1, 2, 2, 2])
  })

  it('LightGBM names with blanks are refused', async () => {
    const { model } = await train({ features: [{ 'a b': 1 }, { 'a b': 2 }], label: [1, 2] }, small)
    expect(() => writeLightgbm(model)).toThrow(/feature name 'a b'/)
  })

  it('onnxruntime agrees on the exported graph', async () => {
    const { InferenceSession, Tensor } = await import('onnxruntime-node')
    const run = async (model: Model, data: Float32Array, rows: number): Promise<Float32Array> => {
      const session = await InferenceSession.create(serializeModel(toOnnx(model)))
      const { answer } = await session.run({ features: new Tensor('float32', data, [rows, data.length / rows]) })
      return answer?.data as Float32Array
    }
    const tasks: [TrainOptions['objective'], 'regression' | 'binary' | 'classes'][] = [
      ['squared', 'regression'],
      ['logistic', 'binary'],
      ['softmax', 'classes'],
      ['poisson', 'regression'],
    ]
    for (const [objective, task] of tasks) {
      const made = makeData(400, { missing: 0.1, task })
      const label = objective === 'poisson' ? made.label.map((y) => Math.max(0, Math.round(y))) : made.label
      const { model } = await train({ ...made, label }, { ...small, objective, maxDepth: 5 })
      const ours = predict(model, made.features)
      // Leaves are float32 there and summed in float32: 12 terms of relative rounding 2^-24 each, through a link of slope 1.
      expect([objective, apart(await run(model, made.features.data, 400), ours) < 2e-6]).toEqual([objective, true])
    }
  })

  it('rows on thresholds go the same way in onnxruntime', async () => {
    const { InferenceSession, Tensor } = await import('onnxruntime-node')
    const each = golden<XgboostGolden>('xgboost-1.7.4.json')[1] as XgboostGolden
    const model = readXgboost(JSON.stringify(each.model))
    const { data, rows } = matrixOf(each)
    const session = await InferenceSession.create(serializeModel(toOnnx(model)))
    const { answer } = await session.run({ features: new Tensor('float32', data, [rows, 5]) })
    expect(apart(answer?.data as Float32Array, each.margin)).toBeLessThan(FLOAT32_SUM)
  })

  it('a graph cannot hold categories', async () => {
    const { model } = await train(withCategory, small)
    expect(() => toOnnx(model)).toThrow(/no categorical splits/)
  })
})

describe('what this package writes', () => {
  interface Written extends Golden {
    readonly lightgbm: string
    readonly wrapper: string
    readonly folded: string
    readonly byLightgbm: number[]
    readonly byXgboost: { readonly wrapper: number[]; readonly folded: number[] }
  }
  it('is what LightGBM and XGBoost have read, with our scores', async () => {
    const recorded = new Map(golden<Written>('written.json').map((each) => [each.name, each]))
    for (const { name, model, data, rows } of await writtenModels()) {
      const then = recorded.get(name) as Written
      expect(writeLightgbm(model)).toBe(then.lightgbm)
      expect(writeXgboost(model)).toBe(then.wrapper)
      expect(writeXgboost(model, { weights: 'folded' })).toBe(then.folded)
      const raw = predict(model, { data, rows, columns: 6 }, { output: 'raw' })
      // LightGBM adds the base score into the first tree: one rounding more.
      expect(apart(raw, then.byLightgbm)).toBeLessThan(1e-13)
      for (const form of ['wrapper', 'folded'] as const) {
        expect(apart(raw, then.byXgboost[form])).toBeLessThan(FLOAT32_SUM)
      }
    }
  })
})
