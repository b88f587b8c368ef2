// A model as bytes of this package's own: compact, versioned, with a checksum, bit for bit.
import { FtError } from '@ft/core'
import type { Model } from '../model.ts'
import { SET_WORDS, type Tree } from '../tree.ts'
import { checkModel } from './checkModel.ts'
import { pack, unpack, type Arrays, type Stored } from './container.ts'

const KIND = 'model'
const VERSION = 1

/** Arrays of all trees behind each other; `nodes`, `leaves` and `sets` say where each ends. */
export function packTrees(trees: readonly Tree[]): Arrays {
  const join = <T extends Stored>(make: (length: number) => T, pick: (tree: Tree) => T): T => {
    const out = make(trees.reduce((sum, tree) => sum + pick(tree).length, 0))
    let at = 0
    for (const tree of trees) {
      out.set(pick(tree), at)
      at += pick(tree).length
    }
    return out
  }
  return {
    nodes: Uint32Array.from(trees, (tree) => tree.feature.length),
    setCounts: Uint32Array.from(trees, (tree) => tree.sets.length / SET_WORDS),
    feature: join(
      (n) => new Uint16Array(n),
      (tree) => tree.feature,
    ),
    threshold: join(
      (n) => new Float32Array(n),
      (tree) => tree.threshold,
    ),
    missingLeft: join(
      (n) => new Uint8Array(n),
      (tree) => tree.missingLeft,
    ),
    left: join(
      (n) => new Int32Array(n),
      (tree) => tree.left,
    ),
    right: join(
      (n) => new Int32Array(n),
      (tree) => tree.right,
    ),
    value: join(
      (n) => new Float64Array(n),
      (tree) => tree.value,
    ),
    gain: join(
      (n) => new Float64Array(n),
      (tree) => tree.gain,
    ),
    nodeCover: join(
      (n) => new Float64Array(n),
      (tree) => tree.nodeCover,
    ),
    leafCover: join(
      (n) => new Float64Array(n),
      (tree) => tree.leafCover,
    ),
    setAt: join(
      (n) => new Int32Array(n),
      (tree) => tree.setAt,
    ),
    sets: join(
      (n) => new Uint32Array(n),
      (tree) => tree.sets,
    ),
  }
}

/** Trees from their joined arrays. */
export function unpackTrees(arrays: Arrays, where: string): Tree[] {
  const get = <T extends Stored>(name: string, type: new (length: number) => T): T => {
    const array = arrays[name]
    if (array instanceof type) return array
    throw new FtError('CORRUPT_DATA', `${where}: no array ${name}`, { name })
  }
  const all = {
    feature: get('feature', Uint16Array),
    threshold: get('threshold', Float32Array),
    missingLeft: get('missingLeft', Uint8Array),
    left: get('left', Int32Array),
    right: get('right', Int32Array),
    value: get('value', Float64Array),
    gain: get('gain', Float64Array),
    nodeCover: get('nodeCover', Float64Array),
    leafCover: get('leafCover', Float64Array),
    setAt: get('setAt', Int32Array),
    sets: get('sets', Uint32Array),
  }
  const setCounts = get('setCounts', Uint32Array)
  let [node, leaf, set] = [0, 0, 0]
  const trees = Array.from(get('nodes', Uint32Array), (nodes, t) => {
    const inner = [node, (node += nodes)] as const
    const leaves = [leaf, (leaf += nodes + 1)] as const
    const words = SET_WORDS * (setCounts[t] ?? 0)
    return {
      feature: all.feature.slice(...inner),
      threshold: all.threshold.slice(...inner),
      missingLeft: all.missingLeft.slice(...inner),
      left: all.left.slice(...inner),
      right: all.right.slice(...inner),
      value: all.value.slice(...leaves),
      gain: all.gain.slice(...inner),
      nodeCover: all.nodeCover.slice(...inner),
      leafCover: all.leafCover.slice(...leaves),
      setAt: all.setAt.slice(...inner),
      sets: all.sets.slice(set, (set += words)),
    }
  })
  if (node !== all.feature.length || leaf !== all.value.length || set !== all.sets.length) {
    throw new FtError('CORRUPT_DATA', `${where}: its trees have ${node} nodes, its arrays ${all.feature.length}`)
  }
  return trees
}

/**
 * Saves a model: about 34 bytes a node.
 *
 * @example
 * ```ts
 * import { predict, train } from '@ft/dart'
 * const features = { data: Float32Array.of(0, 1, 2, 3), rows: 4, columns: 1 }
 * const { model } = await train({ features, label: [1, 1, 5, 5] }, { objective: 'squared', rounds: 3 })
 * const bytes = saveModel(model)
 * predict(loadModel(bytes), features)[0] === predict(model, features)[0] // => true
 * ```
 */
export function saveModel(model: Model): Uint8Array {
  const { objective, parameters, outputs, featureNames, featureLevels } = model
  const levels = featureLevels.map((each) => each ?? null)
  return pack({
    kind: KIND,
    version: VERSION,
    meta: { objective, parameters, outputs, featureNames, featureLevels: levels },
    arrays: { weights: model.weights, baseScores: model.baseScores, ...packTrees(model.trees) },
  })
}

/**
 * Loads what `saveModel` wrote.
 *
 * @throws FtError `CORRUPT_DATA`, `CHECKSUM_MISMATCH`, or `VERSION_UNSUPPORTED` for a file of a newer version
 */
export function loadModel(bytes: Uint8Array): Model {
  const where = 'loadModel'
  if (!((bytes as unknown) instanceof Uint8Array)) {
    throw new FtError(
      'INVALID_ARGUMENT',
      `${where}: expected a Uint8Array; of an ArrayBuffer make new Uint8Array(buffer)`,
    )
  }
  const { meta, arrays } = unpack(bytes, { where, kind: KIND, version: VERSION })
  const { objective, parameters, outputs, featureNames, featureLevels } = metaOf(meta, where)
  const { weights, baseScores } = arrays
  if (!(weights instanceof Float64Array) || !(baseScores instanceof Float64Array)) {
    throw new FtError('CORRUPT_DATA', `${where}: no weights or base scores`)
  }
  const levels = featureLevels.map((each) => each ?? undefined)
  const trees = unpackTrees(arrays, where)
  return checkModel(
    { objective, parameters, outputs, featureNames, featureLevels: levels, trees, weights, baseScores },
    where,
  )
}

interface Meta {
  readonly objective: string
  readonly parameters: Readonly<Record<string, number>>
  readonly outputs: number
  readonly featureNames: readonly string[]
  readonly featureLevels: readonly (readonly string[] | null)[]
}

function metaOf(meta: unknown, where: string): Meta {
  const given = meta as Partial<Record<keyof Meta, unknown>> | null
  const isText = (value: unknown): boolean => typeof value === 'string'
  const isTexts = (value: unknown): boolean => Array.isArray(value) && value.every(isText)
  const { parameters } = given ?? {}
  const isSound =
    isText(given?.objective) &&
    typeof parameters === 'object' &&
    parameters !== null &&
    Object.values(parameters).every((value) => typeof value === 'number') &&
    Number.isInteger(given?.outputs) &&
    isTexts(given?.featureNames) &&
    Array.isArray(given?.featureLevels) &&
    given.featureLevels.every((each) => each === null || isTexts(each))
  if (!isSound) throw new FtError('CORRUPT_DATA', `${where}: its description lacks fields`)
  return meta as Meta
}
