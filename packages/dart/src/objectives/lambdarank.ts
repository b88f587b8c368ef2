// LambdaMART: pairs of a query's documents, each pushed apart by how much swapping them would change NDCG.
import { FtError } from '@ft/core'
import { exp, log } from '@ft/core/math'
import type { Objective } from './objective.ts'

export interface LambdaRankOptions {
  /** Rows of each query, in order. */
  readonly groups: Int32Array
  /** Pairs are formed with the documents ranked so high. Default 30. */
  readonly truncation?: number
  /** Steepness of the pair's logistic. Default 1. */
  readonly sigma?: number
  /** Divides by score differences and scales each query by its total, as LightGBM does. Default true. */
  readonly normalizeLambdas?: boolean
}

const LN2 = 0.6931471805599453

/** 1 / log2(2 + rank) for ranks from 0. */
export function discounts(count: number): Float64Array {
  return Float64Array.from({ length: count }, (_, rank) => LN2 / log(2 + rank))
}

/** 2^label - 1. */
export const gainOf = (label: number): number =>
  Number.isInteger(label) && label >= 0 && label < 31 ? (1 << label) - 1 : 2 ** label - 1

/** Starts of the groups, and the end of the last. */
export function groupStarts(groups: ArrayLike<number>): Int32Array {
  const starts = new Int32Array(groups.length + 1)
  for (let query = 0; query < groups.length; query++)
    starts[query + 1] = (starts[query] as number) + (groups[query] as number)
  return starts
}

/** Checks that groups are whole and add up to the rows. */
export function toGroups(
  groups: ArrayLike<number> | undefined,
  { rows, where }: { rows: number; where: string },
): Int32Array {
  if (groups === undefined)
    throw new FtError('INVALID_ARGUMENT', `${where}: ranking needs \`group\`, the number of rows of each query`)
  let sum = 0
  for (let query = 0; query < groups.length; query++) {
    const size = groups[query] as number
    if (!Number.isInteger(size) || size < 1)
      throw new FtError('INVALID_ARGUMENT', `${where}: group ${query} has ${size} rows; it must have at least one`, {
        query,
      })
    sum += size
  }
  if (sum !== rows)
    throw new FtError('SHAPE_MISMATCH', `${where}: groups add up to ${sum} rows, the data have ${rows}`, { sum, rows })
  return Int32Array.from(groups)
}

/** Discounted gain of the best order, of at most `at` documents. */
export function idealDcg(labels: Float64Array, discount: Float64Array, at: number): number {
  const sorted = labels.slice().sort().reverse()
  let sum = 0
  for (let rank = 0; rank < Math.min(at, sorted.length); rank++)
    sum += gainOf(sorted[rank] as number) * (discount[rank] as number)
  return sum
}

/** Queries up to this size are put in order by insertion: they are short, or nearly in order since the last round. */
const INSERTED = 256

/**
 * Puts the rows of one query in order of falling score; equal scores keep their order.
 *
 * @param order - the query's rows in any order, changed in place; one that is nearly right already costs little
 */
export function rankRows(order: Int32Array, scores: Float64Array): Int32Array {
  if (order.length > INSERTED) {
    return order.sort((a, b) => (scores[b] as number) - (scores[a] as number) || a - b)
  }
  for (let i = 1; i < order.length; i++) {
    const row = order[i] as number
    const score = scores[row] as number
    let at = i
    for (; at > 0; at--) {
      const before = order[at - 1] as number
      const above = scores[before] as number
      if (above > score || (above === score && before < row)) break
      order[at] = before
    }
    order[at] = row
  }
  return order
}

/** The row numbers 0 .. rows - 1. */
export function rowNumbers(rows: number): Int32Array {
  const numbers = new Int32Array(rows)
  for (let row = 0; row < rows; row++) numbers[row] = row
  return numbers
}

/**
 * LambdaMART (Burges 2010, section 7).
 *
 * For i ranked above the truncation and j below i with another label: rho = 1 / (1 + e^(sigma (s_hi - s_lo))), lambda =
 * sigma rho |dNDCG|, hessian sigma^2 rho (1 - rho) |dNDCG|. Queries without a relevant document give nothing.
 */
export function lambdarank({
  groups,
  truncation = 30,
  sigma = 1,
  normalizeLambdas = true,
}: LambdaRankOptions): Objective {
  const starts = groupStarts(groups)
  const discount = discounts(groups.reduce((most, size) => Math.max(most, size), 1))
  const orders = rowNumbers(starts.at(-1) as number)
  // Labels do not change from round to round.
  let ideals: Float64Array | undefined
  return {
    name: 'lambdarank',
    parameters: { truncation, sigma },
    outputs: 1,
    metric: 'ndcg@10',
    baseScores: () => new Float64Array(1),
    derive({ scores: [scoreBlock], labels, weights, gradients: [gradientBlock], hessians: [hessianBlock] }) {
      const [scores, label] = [scoreBlock?.view() as Float64Array, labels.view()]
      const [g, h] = [gradientBlock?.view() as Float64Array, hessianBlock?.view() as Float64Array]
      g.fill(0)
      h.fill(0)
      ideals ??= Float64Array.from(groups, (_, query) =>
        idealDcg(label.subarray(starts[query], starts[query + 1]), discount, truncation),
      )
      for (let query = 0; query < groups.length; query++) {
        const best = ideals[query] as number
        if (best === 0) continue
        const order = rankRows(orders.subarray(starts[query], starts[query + 1]), scores)
        deriveQuery({ scores, label, g, h, order, best })
      }
      const weight = weights?.view()
      if (!weight) return
      for (let row = 0; row < g.length; row++) {
        g[row] = (g[row] as number) * (weight[row] as number)
        h[row] = (h[row] as number) * (weight[row] as number)
      }
    },
    answer: () => {},
  }

  function deriveQuery(query: {
    scores: Float64Array
    label: Float64Array
    g: Float64Array
    h: Float64Array
    order: Int32Array
    best: number
  }): void {
    const { scores, label, g, h, order, best } = query
    const [top, bottom] = [scores[order[0] as number] as number, scores[order[order.length - 1] as number] as number]
    let total = 0
    for (let i = 0; i < Math.min(truncation, order.length); i++) {
      for (let j = i + 1; j < order.length; j++) {
        const [first, second] = [order[i] as number, order[j] as number]
        if (label[first] === label[second]) continue
        const [high, low] = (label[first] as number) > (label[second] as number) ? [first, second] : [second, first]
        const apart = (scores[high] as number) - (scores[low] as number)
        const gains = gainOf(label[high] as number) - gainOf(label[low] as number)
        let change = (gains * Math.abs((discount[i] as number) - (discount[j] as number))) / best
        if (normalizeLambdas && top !== bottom) change /= 0.01 + Math.abs(apart)
        const rho = 1 / (1 + exp(Math.min(sigma * apart, 700)))
        const lambda = sigma * rho * change
        const curve = sigma * sigma * rho * (1 - rho) * change
        g[high] = (g[high] as number) - lambda
        g[low] = (g[low] as number) + lambda
        h[high] = (h[high] as number) + curve
        h[low] = (h[low] as number) + curve
        total += 2 * lambda
      }
    }
    if (!normalizeLambdas || total <= 0) return
    const factor = log(1 + total) / LN2 / total
    for (const row of order) {
      g[row] = (g[row] as number) * factor
      h[row] = (h[row] as number) * factor
    }
  }
}
