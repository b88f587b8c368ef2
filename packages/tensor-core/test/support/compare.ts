// Comparison of products with bounds that follow from how they are computed.
import type { CheckSums, Product, Tensor } from '@ft/core'
import { expect } from 'vitest'

export const u = 2 ** -24
const u64 = 2 ** -53

/** Largest |a[i] - b[i]|; NaN beside NaN and equal infinities differ by nothing. */
export function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length)
  let largest = 0
  for (let i = 0; i < a.length; i++) {
    if (Object.is(a[i], b[i]) || a[i] === b[i]) continue
    const d = Math.abs((a[i] as number) - (b[i] as number))
    if (!(d <= largest)) largest = d
  }
  return largest
}

export function sameBits(a: Tensor, b: Tensor): void {
  expect(a.shape).toEqual(b.shape)
  expect(a.dtype).toBe(b.dtype)
  const bytes = ({ data }: Tensor): Uint8Array => new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  const other = bytes(b)
  expect(bytes(a).findIndex((byte, i) => byte !== other[i])).toBe(-1)
}

export interface Magnitude {
  readonly k: number
  readonly m: number
  readonly n: number
  /** Largest |a| |b| of operands. */
  readonly product: number
}

/**
 * Error of one element computed in float32: at most k + k / 256 + 1 roundings on sums of at most k products (Higham
 * 2002, section 3.1), nine more where sums over C start in float32, and the reference's one. |c| <= k * product.
 */
export function elementBound({ k, product }: Magnitude): number {
  return (k + k / 256 + 12) * u * Math.max(1, k) * product
}

/**
 * Sums of elements carry each element's error; float64 additions add 2^-53 of the sum a step; predicted tile sums are
 * float32 sums of at most 96 k products within blocks of 256 steps: as many roundings as additions, on at most all. Predicted row
 * sums round row sums of B, products and 16 additions in float32, on sums of at most n k products.
 */
export function compareProducts(actual: Product, expected: Product, magnitude: Magnitude): void {
  const { k, m, n, product } = magnitude
  const element = elementBound(magnitude)
  const exact = (terms: number): number => 4 * terms * u64 * terms * Math.max(1, k) * product
  expect(actual.output.shape).toEqual(expected.output.shape)
  // GELU and ReLU do not enlarge differences by more than 1.13; GELU's formula is off by 2e-7 max(1, |x|).
  const size = Math.max(1, k) * product + 2
  expect(distance(actual.output.data, expected.output.data)).toBeLessThanOrEqual(
    1.2 * element + u * size + 2.5e-7 * size,
  )
  const predicted = 18 * u * n * Math.max(1, k) * product + exact(n + k)
  compareChecks(actual.rowSums, expected.rowSums, { actual: n * element, expected: predicted })
  const split = ({ rowSums }: Product) => [rowSums?.ranges, rowSums?.rangeColumns]
  expect(split(actual)).toEqual(split(expected))
  compareChecks(actual.columnSums, expected.columnSums, { actual: m * element, expected: exact(m + k) })
  const tile = 96 * element + (96 + 8) * element
  compareChecks(actual.tileSums, expected.tileSums, { actual: tile, expected: tile })
  compareChecks(actual.replica, expected.replica, { actual: tile, expected: tile })
  if (expected.tileSums !== undefined) {
    expect(actual.tileSums?.grid).toEqual(expected.tileSums.grid)
    expect([actual.tileSums?.tileRows, actual.tileSums?.tileColumns]).toEqual([
      expected.tileSums.tileRows,
      expected.tileSums.tileColumns,
    ])
  }
  if (expected.total !== undefined)
    expect(distance(actual.total ?? [], expected.total)).toBeLessThanOrEqual(m * n * element + exact(m * n))
  if (expected.nextChecksum !== undefined) {
    expect(actual.nextChecksum?.shape).toEqual(expected.nextChecksum.shape)
    const bound = m * (1.2 * element + u * size + 2.5e-7 * size)
    expect(distance(actual.nextChecksum?.data ?? [], expected.nextChecksum.data)).toBeLessThanOrEqual(bound)
  }
  if (expected.rowStatistics === undefined) return
  // Statistics sum in float32 lanes of at most 64 steps, then in float64.
  expect(distance(actual.rowStatistics?.sum ?? [], expected.rowStatistics.sum)).toBeLessThanOrEqual(64 * u * k)
  const squares = expected.rowStatistics.squares ?? new Float64Array()
  const largest = Math.max(0, ...squares)
  expect(distance(actual.rowStatistics?.squares ?? [], squares)).toBeLessThanOrEqual(66 * u * largest)
  expect(distance(actual.rowStatistics?.min ?? [], expected.rowStatistics.min)).toBe(0)
  expect(distance(actual.rowStatistics?.max ?? [], expected.rowStatistics.max)).toBe(0)
}

function compareChecks(
  actual: CheckSums | undefined,
  expected: CheckSums | undefined,
  bound: { actual: number; expected: number },
): void {
  expect(actual === undefined).toBe(expected === undefined)
  if (actual === undefined || expected === undefined) return
  expect(distance(actual.actual, expected.actual)).toBeLessThanOrEqual(bound.actual)
  expect(distance(actual.expected, expected.expected)).toBeLessThanOrEqual(bound.expected)
}

/** Integer products agree exactly in everything. */
export function compareIntegers(actual: Product, expected: Product): void {
  sameBits(actual.output, expected.output)
  expect(actual.rowSums?.ranges).toBe(expected.rowSums?.ranges)
  for (const kind of ['rowSums', 'columnSums', 'tileSums', 'replica'] as const) {
    expect(distance(actual[kind]?.actual ?? [], expected[kind]?.actual ?? [])).toBe(0)
    expect(distance(actual[kind]?.expected ?? [], expected[kind]?.expected ?? [])).toBe(0)
  }
  expect(distance(actual.total ?? [], expected.total ?? [])).toBe(0)
  expect(distance(actual.nextChecksum?.data ?? [], expected.nextChecksum?.data ?? [])).toBe(0)
  for (const kind of ['sum', 'min', 'max'] as const)
    expect(distance(actual.rowStatistics?.[kind] ?? [], expected.rowStatistics?.[kind] ?? [])).toBe(0)
}
