// The cost formulas equal what the reference engine counts, over random shapes and tiles, ragged ones included.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { LinearLayer, ProtectionScheme, Tensor } from '@ft/core'
import { createReferenceEngine } from '@ft/tensor-core/reference'
import { columnChecksum } from '../src/activationChecksum.ts'
import { emitFor } from '../src/checks.ts'
import { createKernels, roundingOf, schemeCost } from '../src/index.ts'
import { dot } from '../src/protectedMatmul.ts'
import { judgeRandomly } from '../src/randomWeights/judge.ts'
import { matrixRows } from '../src/randomWeights/rows.ts'
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

  it.each(['row', 'column', 'row-column', 'global'] as const)(
    '%s with random weights: multiply-adds as reads of their operands',
    async (scheme) => {
      const engine = createReferenceEngine()
      for (const [m, n, k] of [
        [7, 9, 5],
        [4, 1, 6],
        [3, 1100, 5],
      ] as const) {
        const [a, b] = [normalTensor([m, k], 1), normalTensor([k, n], 2)]
        const weights = await createKernels({ engine }).prepare(b, { checksumWeights: 'random' })
        const random = weights.random as NonNullable<typeof weights.random>
        const { output, rowStatistics } = engine.matmulSync(a, b, { emit: { rowStatistics: true } })
        const reads = { matrix: 0, rowWeight: 0, checksum: 0 }
        const counted = (of: keyof typeof reads, values: Tensor['data']) =>
          new Proxy(values, {
            get(target, key) {
              if (typeof key === 'string' && /^\d+$/.test(key)) reads[of]++
              return Reflect.get(target, key) as unknown
            },
          })
        const rowsOf = ({ data, shape: [count = 0, length = 0] }: Tensor) =>
          matrixRows(counted('matrix', data), { count, length, first: 0, step: length })
        const { columns } = random.vectors
        const judgement = judgeRandomly({
          ...{ scheme, items: 1, m, n, k, output, norms: weights.norms, calibration: undefined },
          ...{ falseAlarmProbability: 1e-6, thresholdFault: undefined, statistics: rowStatistics },
          // What only storing rounds has thresholds of its outputs, which are read for them once more.
          rounding: roundingOf('wasm', 'float32'),
          checksums: {
            ...random,
            vectors: {
              columns,
              rows: (count: number) => counted('rowWeight', random.vectors.rows(count)) as Float64Array,
            } as typeof random.vectors,
            sums: random.sums.map((sums) => counted('checksum', sums) as Float64Array),
          },
          rows: { a: () => rowsOf(a), b: () => rowsOf(b), c: () => rowsOf(output) },
        })
        expect(judgement.alarms).toEqual([])
        const layer: LinearLayer = { id: 'l', m, n, k, count: 1, dtype: 'float32', op: { kind: 'matmul', batch: 1 } }
        const { multiplyAdds, adds } = schemeCost(layer, scheme, { tile: [4, 8], checksumWeights: 'random' })
        const { ranges } = random.split
        // Global, besides the matrices: a row's sum times its weight, which A's pass, its statistics and the least weight read too; and the dot
        // product with B w, after a pass over its ranges where there are several.
        const small = reads.rowWeight / 4 + reads.checksum + (ranges > 1 ? k : 0)
        expect({ multiplyAdds, adds }).toEqual({
          multiplyAdds: reads.matrix + (scheme === 'global' ? small : 0),
          adds: 0,
        })
      }
    },
  )

  it('random weights: bytes of the passes, and no such scheme of tiles', () => {
    const [m, n, k] = [6, 600, 5]
    const layer: LinearLayer = { id: 'l', m, n, k, count: 1, dtype: 'float32', op: { kind: 'matmul', batch: 1 } }
    const cost = (scheme: ProtectionScheme) => schemeCost(layer, scheme, { tile: [4, 8], checksumWeights: 'random' })
    // C and A; w, and of both ranges B w and both sides.
    expect(cost('row').bytes).toBe(4 * (m * n + m * k) + 8 * n + 2 * 8 * (k + 2 * m))
    // C, A and B; v, v^T A, and both sides.
    expect(cost('column').bytes).toBe(4 * (m * n + m * k + k * n) + 8 * (m + k + 2 * n))
    expect(cost('row-column').bytes).toBe(cost('row').bytes + cost('column').bytes)
    // C and A; w, v, v^T A, B w of both ranges, and both sides.
    expect(cost('global').bytes).toBe(4 * (m * n + m * k) + 8 * (n + m + k + 2 * k + 2))
    expect(cost('none').bytes).toBe(0)
    expect(() => cost('replication')).toThrow(expect.objectContaining({ code: 'UNSUPPORTED' }) as Error)
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
