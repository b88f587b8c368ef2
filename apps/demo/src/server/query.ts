/** A number of a query within its range; its lower end where it is no number. */
export function within(query: URLSearchParams, name: string, [low, high]: readonly [number, number]): number {
  const value = Number(query.get(name) ?? low)
  return Number.isFinite(value) ? Math.min(high, Math.max(low, value)) : low
}
