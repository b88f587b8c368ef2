// Products of a few columns: their replica, computed beside them with the weights' signs turned, is exact.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Fault } from '@ft/core'
import { floats } from '../support/cases.ts'
import { sameBits } from '../support/compare.ts'
import { builds, createPair, disposeAll, type Pair } from '../support/engines.ts'

describe.each(builds)('$name', ({ options }) => {
  let pair: Pair
  beforeAll(async () => {
    pair = await createPair({ ...options, instrumented: true })
  })
  afterAll(() => disposeAll([pair.engine, pair.reference]))
  const differing = (actual: ArrayLike<number> = [], expected: ArrayLike<number> = []): number[] =>
    Array.from(actual, (_, i) => i).filter((i) => !((actual[i] as number) - (expected[i] as number) === 0))

  it.each([1, 2, 3, 4])('%i columns: both sides are the sums of the outputs, bit for bit', (n) => {
    const { engine } = pair
    for (const [m, k] of [
      [1, 1],
      [7, 3],
      [37, 255],
      [140, 600],
    ] as const) {
      const [a, b] = [floats([m, k], 1), floats([k, n], 2)]
      const weights = engine.prepareSync(b)
      expect(weights.exactReplica).toBe(true)
      const plain = engine.matmulSync(a, weights)
      for (const emit of [{ replica: true }, { replica: true, rowSums: true, tileSums: 'one-sided' }] as const) {
        const { output, replica, rowSums } = engine.matmulSync(a, weights, { emit })
        sameBits(output, plain.output)
        expect(replica).toMatchObject({ exact: true, tileRows: 6, grid: [Math.ceil(m / 6), 1] })
        expect(differing(replica?.actual, replica?.expected)).toEqual([])
        const sums = Array.from({ length: Math.ceil(m / 6) }, (_, tile) =>
          (output.data.subarray(tile * 6 * n, (tile + 1) * 6 * n) as Float32Array).reduce((sum, x) => sum + x, 0),
        )
        // Some of the additions are of float64 in another order.
        sums.forEach((sum, tile) => expect(replica?.actual[tile]).toBeCloseTo(sum, 9))
        if ('rowSums' in emit)
          for (let row = 0; row < m; row++) {
            const own = (output.data.subarray(row * n, (row + 1) * n) as Float32Array).reduce((sum, x) => sum + x, 0)
            expect(rowSums?.actual[row]).toBeCloseTo(own, 9)
          }
      }
      weights.release()
    }
  })

  it('a struck accumulator, of any bit, is on one side only', () => {
    const { engine } = pair
    const [m, n, k] = [37, 3, 530]
    const [a, b] = [floats([m, k], 1), floats([k, n], 2)]
    const clean = engine.matmulSync(a, b, { emit: { replica: true } })
    for (const bit of [0, 5, 22, 30])
      for (const [row, column, step] of [
        [0, 0, 529],
        [20, 2, 255],
        [36, 1, 0],
      ] as const) {
        const faults: Fault[] = [
          { site: { kind: 'accumulator', row, column, step }, effect: { kind: 'flip', bits: [bit] } },
        ]
        const { output, replica } = engine.matmulSync(a, b, { emit: { replica: true }, faults })
        expect(differing(replica?.expected, clean.replica?.expected)).toEqual([])
        const wrong = differing(output.data, clean.output.data)
        expect(wrong.every((at) => at === row * n + column)).toBe(true)
        // Later additions may round a change away; then there is none.
        expect(differing(replica?.actual, replica?.expected)).toEqual(wrong.map(() => Math.floor(row / 6)))
      }
  })

  it('what is not finite is not equal', () => {
    const a = floats([9, 20], 1)
    a.data[4 * 20 + 3] = NaN
    const { replica } = pair.engine.matmulSync(a, floats([20, 2], 2), { emit: { replica: true } })
    expect(differing(replica?.actual, replica?.expected)).toEqual([0])
  })

  it('five columns have a replica as wide products have', () => {
    const weights = pair.engine.prepareSync(floats([30, 5], 2))
    expect(weights.exactReplica).toBeUndefined()
    const { replica } = pair.engine.matmulSync(floats([9, 30], 1), weights, { emit: { replica: true } })
    expect(replica?.exact).toBeUndefined()
    weights.release()
  })
})
