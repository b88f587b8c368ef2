// The reference counts what each scheme costs; the counts are the formulas of the schemes.
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { createReferenceEngine } from '../../src/reference.ts'
import { floats } from '../support/cases.ts'

const size = fc.integer({ min: 1, max: 12 })

it('counts a product and its checks as their formulas say', () => {
  fc.assert(
    fc.property(size, size, size, size, size, (m, n, k, tileRows, tileColumns) => {
      const engine = createReferenceEngine({ tile: [tileRows, tileColumns] })
      const [a, b] = [floats([m, k], 1), floats([k, n], 2)]
      engine.matmulSync(a, b, { emit: { rowSums: true, columnSums: true, total: true, rowStatistics: true } })
      const { product, rowSums, columnSums, total, rowStatistics } = engine.counts
      expect(product).toEqual({ multiplyAdds: m * n * k, adds: 0, bytes: 4 * (m * k + k * n + m * n) })
      expect([rowSums.multiplyAdds, rowSums.adds]).toEqual([m * k, m * n])
      expect([columnSums.multiplyAdds, columnSums.adds]).toEqual([k * n, m * k + m * n])
      expect([total.multiplyAdds, total.adds]).toEqual([0, m * n])
      expect(rowStatistics.adds).toBe(3 * m * k)
      expect(rowStatistics.multiplyAdds).toBe(m * k)
    }),
  )
})

it('counts tile checks of whole tiles as SC’21 does: 1 / columns, 1 / (rows x columns) and 1 of the product', () => {
  const [tileRows, tileColumns, k] = [4, 8, 5]
  const [m, n] = [3 * tileRows, 2 * tileColumns]
  const [a, b] = [floats([m, k], 1), floats([k, n], 2)]
  const counted = (emit: object): { multiplyAdds: number; adds: number } => {
    const engine = createReferenceEngine({ tile: [tileRows, tileColumns] })
    engine.matmulSync(a, b, { emit })
    const { tileSums, replica } = engine.counts
    return { multiplyAdds: tileSums.multiplyAdds + replica.multiplyAdds, adds: tileSums.adds + replica.adds }
  }
  const tiles = (m / tileRows) * (n / tileColumns)
  expect(counted({ tileSums: 'one-sided' })).toEqual({
    multiplyAdds: (m * n * k) / tileColumns,
    adds: tiles * k * (tileColumns - 1) + m * n,
  })
  expect(counted({ tileSums: 'two-sided' })).toEqual({
    multiplyAdds: (m * n * k) / (tileRows * tileColumns),
    adds: tiles * k * (tileColumns - 1 + tileRows - 1) + m * n,
  })
  expect(counted({ replica: true })).toEqual({ multiplyAdds: m * n * k, adds: m * n })
})

it('starts again from zero when asked', () => {
  const engine = createReferenceEngine()
  engine.matmulSync(floats([2, 2], 1), floats([2, 2], 2))
  expect(engine.counts.product.multiplyAdds).toBe(8)
  engine.resetCounts()
  expect(engine.counts.product.multiplyAdds).toBe(0)
})
