/** All sets of `size` of the numbers `from .. n - 1`, each in order. */
export function* subsets(n: number, size: number, from = 0): Generator<number[]> {
  if (size === 0) {
    yield []
    return
  }
  for (let first = from; first <= n - size; first++)
    for (const rest of subsets(n, size - 1, first + 1)) yield [first, ...rest]
}
