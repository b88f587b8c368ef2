// A plain booster to compare with: exact greedy splits over sorted distinct values, everything in float64, no tricks.
import type { Tree } from '../../src/index.ts'

export interface NaiveOptions {
  readonly rounds: number
  readonly learningRate: number
  readonly maxDepth: number
  readonly l2: number
  readonly minHessian: number
  readonly minRows?: number
}

export interface NaiveNode {
  readonly feature?: number
  readonly threshold?: number
  readonly missingLeft?: boolean
  readonly left?: NaiveNode
  readonly right?: NaiveNode
  readonly value: number
}

interface Rows {
  readonly x: readonly Float32Array[]
  readonly g: Float64Array
  readonly h: Float64Array
}

const sum = (rows: readonly number[], values: Float64Array) => rows.reduce((all, row) => all + (values[row] ?? 0), 0)

export function growNaive(data: Rows, rows: readonly number[], depth: number, options: NaiveOptions): NaiveNode {
  const { l2, minHessian, minRows = 1 } = options
  const [G, H] = [sum(rows, data.g), sum(rows, data.h)]
  const score = (g: number, h: number) => (g * g) / (h + l2)
  const value = -G / (H + l2)
  if (depth === options.maxDepth) return { value }
  let best: { gain: number; feature: number; low: number; high: number; missingLeft: boolean } | undefined
  for (let feature = 0; feature < (data.x[0]?.length ?? 0); feature++) {
    const at = (row: number) => data.x[row]?.[feature] as number
    const present = rows.filter((row) => !Number.isNaN(at(row))).sort((a, b) => at(a) - at(b))
    const missing = rows.filter((row) => Number.isNaN(at(row)))
    for (const missingLeft of missing.length > 0 ? [false, true] : [false]) {
      let [gl, hl, count] = missingLeft ? [sum(missing, data.g), sum(missing, data.h), missing.length] : [0, 0, 0]
      for (let i = 0; i < present.length; i++) {
        gl += data.g[present[i] as number] as number
        hl += data.h[present[i] as number] as number
        count++
        const last = i === present.length - 1
        if (last ? missingLeft || missing.length === 0 : at(present[i] as number) === at(present[i + 1] as number))
          continue
        if (hl < minHessian || H - hl < minHessian || count < minRows || rows.length - count < minRows) continue
        const gain = score(gl, hl) + score(G - gl, H - hl) - score(G, H)
        if (gain > 1e-9 && gain > (best?.gain ?? 0) + 1e-9) {
          best = {
            gain,
            feature,
            low: at(present[i] as number),
            high: last ? Infinity : at(present[i + 1] as number),
            missingLeft,
          }
        }
      }
    }
  }
  if (!best) return { value }
  const { feature, low, missingLeft } = best
  const goesLeft = (row: number) => {
    const x = data.x[row]?.[feature] as number
    return Number.isNaN(x) ? missingLeft : x <= low
  }
  return {
    value,
    feature,
    threshold: low,
    missingLeft,
    left: growNaive(data, rows.filter(goesLeft), depth + 1, options),
    right: growNaive(
      data,
      rows.filter((row) => !goesLeft(row)),
      depth + 1,
      options,
    ),
  }
}

export function leafValue(node: NaiveNode, x: Float32Array): number {
  if (!node.left || !node.right || node.feature === undefined) return node.value
  const value = x[node.feature] as number
  const left = Number.isNaN(value) ? node.missingLeft : value <= (node.threshold ?? 0)
  return leafValue(left ? node.left : node.right, x)
}

/** Gradient boosting with squared loss; returns the raw scores of the training rows after each round. */
export function boostNaive(x: readonly Float32Array[], y: Float64Array, options: NaiveOptions): Float64Array[] {
  const base = y.reduce((all, value) => all + value, 0) / y.length
  const scores = new Float64Array(y.length).fill(base)
  const history: Float64Array[] = []
  for (let round = 0; round < options.rounds; round++) {
    const g = scores.map((score, row) => score - (y[row] as number))
    const h = new Float64Array(y.length).fill(1)
    const tree = growNaive({ x, g, h }, [...y.keys()], 0, options)
    scores.forEach((_, row) => {
      scores[row] = (scores[row] as number) + options.learningRate * leafValue(tree, x[row] as Float32Array)
    })
    history.push(scores.slice())
  }
  return history
}

/** Sum of weighted leaves computed from the model's arrays alone. */
export function recompute(
  model: { trees: readonly Tree[]; weights: Float64Array; baseScores: Float64Array; outputs: number },
  rows: readonly Float32Array[],
): Float64Array {
  const out = new Float64Array(rows.length * model.outputs)
  rows.forEach((row, r) => {
    for (let output = 0; output < model.outputs; output++) {
      let score = model.baseScores[output] as number
      for (let t = output; t < model.trees.length; t += model.outputs) {
        const tree = model.trees[t] as Tree
        let node = tree.feature.length === 0 ? -1 : 0
        while (node >= 0) {
          const x = row[tree.feature[node] as number] as number
          const left = goesLeftPlainly(tree, node, x)
          node = (left ? tree.left[node] : tree.right[node]) as number
        }
        score += (model.weights[t] as number) * (tree.value[~node] as number)
      }
      out[r * model.outputs + output] = score
    }
  })
  return out
}

function goesLeftPlainly(tree: Tree, node: number, x: number): boolean {
  if (Number.isNaN(x)) return tree.missingLeft[node] === 1
  const set = tree.setAt[node] as number
  if (set < 0) return x <= (tree.threshold[node] as number)
  return x < 255 && (((tree.sets[8 * set + Math.floor(x / 32)] as number) >> (x % 32)) & 1) === 1
}
