// Normalised discounted cumulative gain of rankings.
import { discounts, gainOf, groupStarts, idealDcg, rankRows, rowNumbers } from './objectives/lambdarank.ts'

/** What a query without a relevant row counts: XGBoost and LightGBM say 1, LETOR's script 0; or it is left out. */
export type EmptyQuery = 1 | 0 | 'skip'

/**
 * Mean NDCG@at over queries; gain 2^label - 1, discount 1 / log2(1 + position), equal scores in the order of rows.
 *
 * @param options.emptyQuery - say which in every table: on MQ2008 it moves NDCG@3 from 0.38 to 0.71
 * @returns NaN when every query is left out
 */
export function ndcg(
  {
    scores,
    labels,
    groups,
  }: { readonly scores: Float64Array; readonly labels: Float64Array; readonly groups: ArrayLike<number> },
  { at, emptyQuery = 'skip' }: { at: number; emptyQuery?: EmptyQuery },
): number {
  const starts = groupStarts(groups)
  const discount = discounts(at)
  const orders = rowNumbers(starts.at(-1) as number)
  let [sum, count] = [0, 0]
  for (let query = 0; query < groups.length; query++) {
    const [start, end] = [starts[query] as number, starts[query + 1] as number]
    const best = idealDcg(labels.subarray(start, end), discount, at)
    if (best === 0) {
      if (emptyQuery === 'skip') continue
      sum += emptyQuery
    } else {
      const order = rankRows(orders.subarray(start, end), scores)
      let gain = 0
      for (let rank = 0; rank < Math.min(at, order.length); rank++)
        gain += gainOf(labels[order[rank] as number] as number) * (discount[rank] as number)
      sum += gain / best
    }
    count++
  }
  return sum / count
}
