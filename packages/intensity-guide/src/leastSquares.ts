// Non-negative least squares for a handful of unknowns.

/**
 * The x >= 0 that makes the sum of squares of A x - b smallest.
 *
 * Method: coordinate descent on scaled columns, which for a convex problem with bounds converges to the optimum.
 *
 * Cost: O(columns^2) a sweep after O(rows columns^2).
 */
export function nonNegativeLeastSquares(rows: readonly (readonly number[])[], targets: readonly number[]): number[] {
  const columns = rows[0]?.length ?? 0
  const scale = Array.from({ length: columns }, (_, j) => Math.hypot(...rows.map((row) => row[j] as number)) || 1)
  const at = (i: number, j: number) => (rows[i]?.[j] as number) / (scale[j] as number)
  const dot = (f: (i: number) => number) => rows.reduce((sum, _, i) => sum + f(i), 0)
  const gram = Array.from({ length: columns }, (_, p) =>
    Array.from({ length: columns }, (__, q) => dot((i) => at(i, p) * at(i, q))),
  )
  const right = Array.from({ length: columns }, (_, j) => dot((i) => at(i, j) * (targets[i] as number)))
  const x = new Array<number>(columns).fill(0)
  for (let sweep = 0; sweep < 20_000; sweep++) {
    let moved = 0
    for (let j = 0; j < columns; j++) {
      const diagonal = gram[j]?.[j] as number
      if (diagonal === 0) continue
      const slope = (right[j] as number) - x.reduce((sum, value, q) => sum + (gram[j]?.[q] as number) * value, 0)
      const next = Math.max(0, (x[j] as number) + slope / diagonal)
      moved = Math.max(moved, Math.abs(next - (x[j] as number)))
      x[j] = next
    }
    if (moved < 1e-13) break
  }
  return x.map((value, j) => value / (scale[j] as number))
}
