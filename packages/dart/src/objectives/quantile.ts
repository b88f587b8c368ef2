// Quantiles of weighted values.

/** Smallest value whose weight, with that of all below it, reaches share `alpha` of the total; 0 for no values. */
export function weightedQuantile(values: Float64Array, weights: Float64Array | undefined, alpha: number): number {
  if (values.length === 0) return 0
  if (!weights) {
    const sorted = values.slice().sort()
    return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(alpha * sorted.length) - 1))] as number
  }
  const order = Array.from(values.keys()).sort((a, b) => (values[a] as number) - (values[b] as number))
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  let below = 0
  for (const row of order) {
    below += weights[row] as number
    if (below >= alpha * total) return values[row] as number
  }
  return values[order[order.length - 1] as number] as number
}
