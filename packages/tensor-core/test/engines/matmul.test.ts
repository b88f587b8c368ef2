// Matrix products of every build against the reference, over random and adversarial shapes, with everything emitted.
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Activation, Emit } from '@ft/core'
import { floats, integers } from '../support/cases.ts'
import { compareIntegers, compareProducts, sameBits } from '../support/compare.ts'
import { builds, createPair, disposeAll, type Pair } from '../support/engines.ts'

const all: Emit = {
  rowSums: true,
  columnSums: true,
  total: true,
  tileSums: 'one-sided',
  replica: true,
  rowStatistics: true,
  nextChecksum: { kind: 'matmul' },
}

// Nothing, one, a little more and less than tiles (6x16), strips (128) and blocks (132 rows, 256 steps).
const sizes = [
  [0, 3, 4],
  [3, 0, 4],
  [3, 4, 0],
  [0, 0, 0],
  [1, 1, 1],
  [1, 130, 257],
  [2, 16, 256],
  [3, 17, 255],
  [5, 4, 19],
  [6, 8, 512],
  [7, 9, 513],
  [8, 127, 30],
  [9, 129, 31],
  [131, 15, 40],
  [133, 33, 12],
  [263, 5, 9],
  [40, 260, 300],
  // Three ranges of columns.
  [4, 1100, 300],
] as const

const random = fc.record({
  m: fc.integer({ min: 1, max: 150 }),
  n: fc.integer({ min: 1, max: 150 }),
  k: fc.integer({ min: 1, max: 300 }),
  batch: fc.integer({ min: 0, max: 3 }),
  sharedA: fc.boolean(),
  sharedB: fc.boolean(),
  transposeA: fc.boolean(),
  transposeB: fc.boolean(),
  bias: fc.boolean(),
  activation: fc.constantFrom<Activation | undefined>(undefined, 'relu', 'gelu'),
  prepared: fc.boolean(),
  emit: fc.record({
    rowSums: fc.boolean(),
    columnSums: fc.boolean(),
    total: fc.boolean(),
    replica: fc.boolean(),
    rowStatistics: fc.boolean(),
    tiles: fc.constantFrom(undefined, 'one-sided' as const, 'two-sided' as const),
    next: fc.boolean(),
  }),
  seed: fc.nat(1_000_000),
})

describe.each(builds)('$name', ({ options }) => {
  let pair: Pair
  beforeAll(async () => {
    pair = await createPair(options)
  })
  afterAll(() => disposeAll([pair.engine, pair.reference]))

  it.each(sizes)('float32 %i x %i x %i with every sum', (m, n, k) => {
    const { engine, reference } = pair
    const [a, b, bias] = [floats([m, k], 1), floats([k, n], 2), floats([n], 3)]
    for (const tileSums of ['one-sided', 'two-sided'] as const) {
      const wanted = { bias, activation: 'gelu', emit: { ...all, tileSums } } as const
      compareProducts(engine.matmulSync(a, b, wanted), reference.matmulSync(a, b, wanted), { m, n, k, product: 1 })
    }
  })

  it.each(sizes)('int8 %i x %i x %i with every sum, exactly', (m, n, k) => {
    const { engine, reference } = pair
    const b = integers([k, n], 'int8', 2)
    for (const tileSums of ['one-sided', 'two-sided'] as const)
      for (const a of [integers([m, k], 'int8', 3), integers([m, k], 'uint8', 4)]) {
        const wanted = { activation: 'relu', emit: { ...all, tileSums } } as const
        compareIntegers(engine.matmulInt8Sync(a, b, wanted), reference.matmulInt8Sync(a, b, wanted))
      }
  })

  it('agrees on any product: batches, transposes, bias, activation, any sums, weights prepared or not', () => {
    const { engine, reference } = pair
    fc.assert(
      fc.property(random, (o) => {
        const { m, n, k, batch, transposeA, transposeB, activation } = o
        const shape = (rows: number, columns: number, turned: boolean, shared: boolean): number[] => [
          ...(batch > 0 && !shared ? [batch] : []),
          ...(turned ? [columns, rows] : [rows, columns]),
        ]
        const a = floats(shape(m, k, transposeA, o.sharedA), o.seed)
        const b = floats(shape(k, n, transposeB, o.sharedB), o.seed + 1)
        const emit: Emit = {
          rowSums: o.emit.rowSums,
          columnSums: o.emit.columnSums,
          total: o.emit.total,
          replica: o.emit.replica,
          rowStatistics: o.emit.rowStatistics,
          ...(o.emit.tiles !== undefined && { tileSums: o.emit.tiles }),
          ...(o.emit.next && { nextChecksum: { kind: 'matmul' as const } }),
        }
        const wanted = {
          transposeA,
          transposeB,
          emit,
          ...(o.bias && { bias: floats([n], o.seed + 2) }),
          ...(activation !== undefined && { activation }),
        }
        const weights = o.prepared ? engine.prepareSync(b, { transposeB }) : b
        const product = engine.matmulSync(a, weights, wanted)
        compareProducts(product, reference.matmulSync(a, b, wanted), { m, n, k, product: 1 })
        // Emitting changes no bit of the output.
        const { emit: _emit, ...plain } = wanted
        sameBits(engine.matmulSync(a, weights, plain).output, product.output)
        if ('release' in weights) weights.release()
      }),
      { numRuns: 150 },
    )
  })

  it('agrees on integer batches and transposes', () => {
    const { engine, reference } = pair
    fc.assert(
      fc.property(random, ({ m, n, k, batch, transposeA, transposeB, prepared, seed }) => {
        const items = batch > 0 ? [batch] : []
        const a = integers([...items, ...(transposeA ? [k, m] : [m, k])], 'uint8', seed)
        const b = integers(transposeB ? [n, k] : [k, n], 'int8', seed + 1)
        const wanted = { transposeA, transposeB, emit: { rowSums: true, columnSums: true, total: true } }
        const weights = prepared ? engine.prepareSync(b, { kind: 'matmul-int8', transposeB }) : b
        compareIntegers(engine.matmulInt8Sync(a, weights, wanted), reference.matmulInt8Sync(a, b, wanted))
        if ('release' in weights) weights.release()
      }),
      { numRuns: 60 },
    )
  })

  it('passes infinities and NaN on as the definition says', () => {
    const { engine, reference } = pair
    const a = floats([5, 20], 1)
    const b = floats([20, 33], 2)
    a.data[0] = Infinity
    a.data[20] = NaN
    b.data[5 * 33 + 7] = -Infinity
    for (const activation of [undefined, 'relu'] as const) {
      const wanted = { emit: { rowSums: true }, ...(activation && { activation }) }
      const [ours, theirs] = [engine.matmulSync(a, b, wanted), reference.matmulSync(a, b, wanted)]
      for (let i = 0; i < theirs.output.data.length; i++) {
        const value = theirs.output.data[i] as number
        if (!Number.isFinite(value)) expect(ours.output.data[i]).toBe(value)
      }
      const unfinished = (sums: ArrayLike<number> | undefined): boolean[] =>
        Array.from(sums ?? [], (sum) => Number.isFinite(sum))
      expect(unfinished(ours.rowSums?.actual)).toEqual(unfinished(theirs.rowSums?.actual))
      expect(unfinished(ours.rowSums?.expected)).toEqual(unfinished(theirs.rowSums?.expected))
    }
  })
})
