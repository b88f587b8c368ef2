// Row sums by ranges of columns: of batches, groups and prepared weights, beside the reference; and how columns are split.
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { columnRanges } from '../../src/index.ts'
import { floats } from '../support/cases.ts'
import { compareProducts, distance, sameBits } from '../support/compare.ts'
import { builds, createPair, disposeAll, type Pair } from '../support/engines.ts'

it('splits columns into whole strips of 128, at most 512 each, none empty, and integers not at all', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 20_000 }), (n) => {
      const { ranges, rangeColumns } = columnRanges(n)
      expect(rangeColumns).toBeLessThanOrEqual(512)
      expect(ranges * rangeColumns).toBeGreaterThanOrEqual(n)
      expect(ranges).toBe(Math.max(1, Math.ceil(n / Math.max(1, rangeColumns))))
      if (n <= 512) expect([ranges, rangeColumns]).toEqual([1, n])
      else expect(rangeColumns % 128).toBe(0)
      expect(columnRanges(n, true)).toEqual({ ranges: 1, rangeColumns: n })
    }),
  )
})

describe.each(builds)('$name', ({ options }) => {
  let pair: Pair
  beforeAll(async () => {
    pair = await createPair(options)
  })
  afterAll(() => disposeAll([pair.engine, pair.reference]))

  const [m, k, n] = [7, 70, 700]
  const sums = { rowSums: true, total: true, rowStatistics: true } as const

  it.each([
    ['with weights of their own', [3, k, n], sums],
    ['with one matrix, as one tall product', [k, n], { rowSums: true, rowStatistics: true }],
    ['with one matrix, one by one', [k, n], { ...sums, columnSums: true }],
  ] as const)('batches %s', (_, shape, emit) => {
    const { engine, reference } = pair
    const [a, b] = [floats([3, m, k], 1), floats(shape, 2)]
    const weights = engine.prepareSync(b)
    for (const given of [b, weights]) {
      const product = engine.matmulSync(a, given, { emit })
      expect(product.rowSums?.actual.length).toBe(2 * 3 * m)
      compareProducts(product, reference.matmulSync(a, b, { emit }), { m, n, k, product: 1 })
      sameBits(product.output, engine.matmulSync(a, given).output)
    }
    const whole = reference.prepareSync(b).rowSums
    // Two float64 sums of n terms below 1 in two orders.
    expect(distance(weights.rowSums, whole)).toBeLessThan(2 * n * n * 2 ** -53)
    weights.release()
  })

  it('groups of a convolution', () => {
    const { engine, reference } = pair
    const [x, filter] = [floats([2, 5, 4, 6], 1), floats([2, 2, 3, 1200], 2)]
    const wanted = { groups: 2, emit: sums, activation: 'relu' } as const
    const product = engine.conv2dSync(x, filter, wanted)
    expect(product.rowSums).toMatchObject({ ranges: 2, rangeColumns: 384 })
    compareProducts(product, reference.conv2dSync(x, filter, wanted), { m: 24, n: 600, k: 12, product: 1 })
  })

  it('are the sums of their own columns', () => {
    const { engine } = pair
    const { output, rowSums } = engine.matmulSync(floats([m, k], 1), floats([k, 1100], 2), { emit: { rowSums: true } })
    for (let range = 0; range < 3; range++)
      for (let i = 0; i < m; i++) {
        const own = output.data.subarray(i * 1100 + range * 384, i * 1100 + Math.min(1100, (range + 1) * 384))
        const sum = (own as Float32Array).reduce((all, value) => all + value, 0)
        // Four neighbours are added in float32: two roundings on at most 4 k, for each four of 384.
        expect(Math.abs(sum - (rowSums?.actual[range * m + i] as number))).toBeLessThan(2 * 384 * k * 2 ** -24)
      }
  })
})
