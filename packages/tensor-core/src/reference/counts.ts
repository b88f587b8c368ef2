// What a product and each of its emitted sums cost, counted as they are made: cost formulas can be checked against it.

export interface OperationCounts {
  multiplyAdds: number
  adds: number
  /** Bytes read and written beside what the product itself holds: checksum vectors and sums are float64, 8 bytes. */
  bytes: number
}

export type CountedPart =
  'product' | 'rowSums' | 'columnSums' | 'total' | 'tileSums' | 'replica' | 'nextChecksum' | 'rowStatistics'

export type Counts = Record<CountedPart, OperationCounts>

const parts: readonly CountedPart[] = [
  'product',
  'rowSums',
  'columnSums',
  'total',
  'tileSums',
  'replica',
  'nextChecksum',
  'rowStatistics',
]

export function zeroCounts(): Counts {
  return Object.fromEntries(parts.map((part) => [part, { multiplyAdds: 0, adds: 0, bytes: 0 }])) as Counts
}
