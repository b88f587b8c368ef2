// The cost formulas equal what the reference engine counts, over random shapes and tiles, ragged ones included.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { LinearLayer, ProtectionScheme } from '@ft/core'
import { createReferenceEngine } from '@ft/tensor-core/reference'
import { columnChecksum } from '../src/activationChecksum.ts'
import { emitFor } from '../src/checks.ts'
import { schemeCost } from '../src/index.ts'
import { dot } from '../src/protectedMatmul.ts'
import { normalTensor } from './support/data.ts'

const size = fc.integer({ min: 1, max: 12 })
const counted: ProtectionScheme[] = [
  'none',
  'row',
  'column',
  'row-column',
  'thread-one-sided',
  'thread-two-sided',
  'replication',
]

describe('costs', () => {
  it.each(counted)('%s: multiply-adds, adds and bytes of a product', (scheme) => {
    fc.assert(
      fc.property(size, size, size, size, size, (m, n, k, rows, columns) => {
        const engine = createReferenceEngine({ tile: [rows, columns] })
        engine.matmulSync(normalTensor([m, k], 1), normalTensor([k, n], 2), { emit: emitFor(scheme) })
        const layer: LinearLayer = { id: 'l', m, n, k, count: 1, dtype: 'float32', op: { kind: 'matmul', batch: 1 } }
        expect(schemeCost(layer, scheme, { tile: [rows, columns] })).toEqual(sumOfCounts(engine))
      }),
    )
  })

  it.each(counted)('%s: of a product with more columns than a row sum takes', (scheme) => {
    const engine = createReferenceEngine()
    engine.matmulSync(normalTensor([3, 5], 1), normalTensor([5, 1100], 2), { emit: emitFor(scheme) })
    const layer: LinearLayer = {
      id: 'w',
      m: 3,
      n: 1100,
      k: 5,
      count: 1,
      dtype: 'float32',
      op: { kind: 'matmul', batch: 1 },
    }
    expect(schemeCost(layer, scheme, { tile: [4, 8] })).toEqual(sumOfCounts(engine))
    if (scheme === 'row') expect(schemeCost(layer, scheme, { tile: [4, 8], ranges: 1 }).multiplyAdds).toBe(3 * 5)
  })

  it.each(counted)('%s: of a convolution in groups', (scheme) => {
    const engine = createReferenceEngine({ tile: [4, 8] })
    const [x, filter] = [normalTensor([2, 5, 4, 6], 1), normalTensor([3, 2, 2, 9], 2)]
    engine.conv2dSync(x, filter, { groups: 3, stride: [1, 2], emit: emitFor(scheme) })
    const layer: LinearLayer = {
      id: 'c',
      m: 2 * 3 * 2,
      n: 9,
      k: 12,
      count: 1,
      dtype: 'float32',
      op: {
        kind: 'conv2d',
        x: [2, 5, 4, 6],
        filter: [3, 2, 2, 9],
        stride: [1, 2],
        pad: [0, 0, 0, 0],
        dilation: [1, 1],
        groups: 3,
      },
    }
    expect(schemeCost(layer, scheme, { tile: [4, 8] })).toEqual(sumOfCounts(engine))
  })

  it('global: the total as the engine counts it, the dot product and the pass over A as reads of their operands', () => {
    const [m, n, k] = [7, 9, 5]
    const engine = createReferenceEngine()
    engine.matmulSync(normalTensor([m, k], 1), normalTensor([k, n], 2), { emit: emitFor('global') })
    const reads = { count: 0 }
    const counting = <T extends object>(values: T): T =>
      new Proxy(values, {
        get(target, key) {
          if (typeof key === 'string' && /^\d+$/.test(key)) reads.count++
          return Reflect.get(target, key) as unknown
        },
      })
    const a = normalTensor([m, k], 1)
    const sums = columnChecksum({ ...a, data: counting(a.data) })
    const pass = reads.count
    reads.count = 0
    dot(counting(sums), new Float64Array(k))
    const layer: LinearLayer = { id: 'l', m, n, k, count: 1, dtype: 'float32', op: { kind: 'matmul', batch: 1 } }
    const cost = schemeCost(layer, 'global', { tile: [4, 8], chained: false })
    expect(cost.multiplyAdds).toBe(reads.count)
    expect(cost.adds).toBe(engine.counts.total.adds + pass)
    expect(cost.bytes).toBe(engine.counts.total.bytes + 2 * 8 * reads.count + 4 * pass)
    expect(schemeCost(layer, 'global', { tile: [4, 8] }).adds).toBe(engine.counts.total.adds + m * n)
  })

  it('shares of the product as SC’21 states them: 1 / c, 1 / (r c) and 1, for whole tiles', () => {
    const layer: LinearLayer = {
      id: 'l',
      m: 64,
      n: 64,
      k: 32,
      count: 1,
      dtype: 'float32',
      op: { kind: 'matmul', batch: 1 },
    }
    const share = (scheme: ProtectionScheme) =>
      schemeCost(layer, scheme, { tile: [4, 8] }).multiplyAdds / (64 * 64 * 32)
    expect(share('thread-one-sided')).toBe(1 / 8)
    expect(share('thread-two-sided')).toBe(1 / 32)
    expect(share('replication')).toBe(1)
  })
})

function sumOfCounts(engine: ReturnType<typeof createReferenceEngine>): ReturnType<typeof schemeCost> {
  const { rowSums, columnSums, tileSums, replica, rowStatistics } = engine.counts
  const parts = [rowSums, columnSums, tileSums, replica]
  const sum = (key: 'multiplyAdds' | 'adds' | 'bytes') => parts.reduce((all, part) => all + part[key], 0)
  return {
    multiplyAdds: sum('multiplyAdds'),
    adds: sum('adds'),
    bytes: sum('bytes'),
    statistics: { ...rowStatistics },
  }
}
