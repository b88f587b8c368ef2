// Over-specialisation (Rashmi and Gilad-Bachrach, AISTATS 2015, section 2): do the late trees still matter to most rows?
import { FtError } from '@ft/core'
import type { Features } from '../data/matrix.ts'
import type { Model } from '../model.ts'
import { predict } from '../predict.ts'
import type { Tree } from '../tree.ts'

/** Contribution of tree t to a row: |weight x leaf value|. */
export interface OverSpecialization {
  /** The paper's curve: mean contribution of each tree over the rows. */
  readonly meanContribution: Float64Array
  /** The second: share of rows to which the tree contributes more than a tenth of its largest contribution. */
  readonly reach: Float64Array
  /** Share of all contribution that the first tree has, the first tenth of the trees, the last half. */
  readonly firstTree: number
  readonly firstTenth: number
  readonly lastHalf: number
  /** Means over the last half of the trees: `reach`, and deviation over mean of the contributions of one tree. */
  readonly lastHalfReach: number
  readonly lastHalfSpread: number
}

/**
 * Measures how contributions are shared among trees. The base score stands outside.
 *
 * Cost: one pass of leaf numbers, rows x trees.
 *
 * @throws FtError `INVALID_ARGUMENT` for a model without trees, `SHAPE_MISMATCH` when the columns are not the model's
 */
export function overSpecialization(model: Model, features: Features): OverSpecialization {
  const count = model.trees.length
  if (count === 0) throw new FtError('INVALID_ARGUMENT', 'overSpecialization: the model has no trees')
  const leaves = predict(model, features, { output: 'leaf' })
  const rows = leaves.length / count
  if (rows === 0) throw new FtError('INVALID_ARGUMENT', 'overSpecialization: no rows')
  const meanContribution = new Float64Array(count)
  const reach = new Float64Array(count)
  const spread = new Float64Array(count)
  const parts = new Float64Array(rows)
  for (let t = 0; t < count; t++) {
    const { value } = model.trees[t] as Tree
    let [sum, largest] = [0, 0]
    for (let row = 0; row < rows; row++) {
      const part = Math.abs((model.weights[t] as number) * (value[leaves[row * count + t] as number] as number))
      parts[row] = part
      sum += part
      largest = Math.max(largest, part)
    }
    const mean = sum / rows
    const variance = parts.reduce((total, part) => total + (part - mean) ** 2, 0) / rows
    meanContribution[t] = mean
    reach[t] = parts.reduce((reached, part) => reached + Number(part > largest / 10), 0) / rows
    spread[t] = mean > 0 ? Math.sqrt(variance) / mean : 0
  }
  const total = meanContribution.reduce((sum, mean) => sum + mean, 0)
  const share = (from: number, to: number): number =>
    total > 0 ? meanContribution.subarray(from, to).reduce((sum, mean) => sum + mean, 0) / total : 0
  const half = Math.floor(count / 2)
  const average = (values: Float64Array): number =>
    values.subarray(half).reduce((sum, value) => sum + value, 0) / (count - half)
  return {
    meanContribution,
    reach,
    firstTree: share(0, 1),
    firstTenth: share(0, Math.max(1, Math.round(count / 10))),
    lastHalf: share(half, count),
    lastHalfReach: average(reach),
    lastHalfSpread: average(spread),
  }
}

const WIDTH = 640
const HEIGHT = 320
const MARGIN = { left: 56, right: 16, top: 28, bottom: 40 }
const COLORS = ['#1f5fa8', '#c2571a', '#3d8b37', '#7a4f9a', '#8a6d1c', '#555555']

/**
 * The paper's picture as SVG: mean contribution by tree, on a logarithmic scale, one line a model.
 *
 * @param curves - reports by name, at most six
 */
export function overSpecializationSvg(curves: Readonly<Record<string, OverSpecialization>>): string {
  const named = Object.entries(curves)
  if (named.length === 0 || named.length > COLORS.length) {
    throw new FtError('INVALID_ARGUMENT', `overSpecializationSvg: 1 to ${COLORS.length} curves, got ${named.length}`)
  }
  const positive = named.flatMap(([, { meanContribution }]) => [...meanContribution].filter((value) => value > 0))
  const top = Math.ceil(Math.log10(Math.max(...positive, 1e-12)))
  const bottom = Math.min(top - 1, Math.floor(Math.log10(Math.min(...positive, 10 ** top))))
  const longest = Math.max(...named.map(([, { meanContribution }]) => meanContribution.length))
  const x = (tree: number): number =>
    MARGIN.left + ((WIDTH - MARGIN.left - MARGIN.right) * tree) / Math.max(1, longest - 1)
  const y = (value: number): number =>
    MARGIN.top + ((HEIGHT - MARGIN.top - MARGIN.bottom) * (top - Math.log10(value))) / (top - bottom)
  const ticks = Array.from({ length: top - bottom + 1 }, (_, i) => bottom + i)
  const grid = ticks.map(
    (power) =>
      `<line x1="${MARGIN.left}" x2="${WIDTH - MARGIN.right}" y1="${y(10 ** power)}" y2="${y(10 ** power)}" stroke="#ddd"/>` +
      `<text x="${MARGIN.left - 6}" y="${y(10 ** power) + 4}" text-anchor="end">1e${power}</text>`,
  )
  const lines = named.map(([name, { meanContribution }], i) => {
    const points = Array.from(meanContribution.entries()).filter(([, value]) => value > 0)
    const path = points.map(([tree, value]) => `${x(tree).toFixed(1)},${y(value).toFixed(1)}`).join(' ')
    const color = COLORS[i] as string
    return (
      `<polyline fill="none" stroke="${color}" stroke-width="1.5" points="${path}"/>` +
      `<text x="${MARGIN.left + 8 + (i % 3) * 190}" y="${14 + 13 * Math.floor(i / 3)}" fill="${color}">${escape(name)}</text>`
    )
  })
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="11">` +
    `${grid.join('')}${lines.join('')}` +
    `<text x="${WIDTH / 2}" y="${HEIGHT - 8}" text-anchor="middle">tree (1 to ${longest}); mean contribution, logarithmic</text></svg>`
  )
}

function escape(text: string): string {
  return text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`)
}
