// An element's bits depend on its row of A, its column of B and the build: on nothing else.
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { CheckSums, Product, Tensor } from '@ft/core'
import { createWasmEngine, relaxedSimdSupported, type WasmEngine } from '../../src/wasm.ts'
import { floats, integers } from '../support/cases.ts'
import { sameBits } from '../support/compare.ts'

const variants = relaxedSimdSupported() ? [false, true] : [false]
const emit = {
  rowSums: true,
  columnSums: true,
  total: true,
  tileSums: 'two-sided',
  replica: true,
  rowStatistics: true,
  nextChecksum: { kind: 'matmul' },
} as const

describe.each(variants)('relaxed: %s', (relaxed) => {
  let engines: WasmEngine[]
  beforeAll(async () => {
    engines = [1, 2, 3, 5].map((threads) => createWasmEngine({ threads, relaxed }))
    for (const engine of engines) await engine.ready()
  })
  afterAll(async () => {
    for (const engine of engines) await engine.dispose()
  })

  it('is the same for any number of threads, sums included', () => {
    // Large enough to be shared among threads (2^20 multiply-adds), in rows, in columns and in both.
    for (const [m, n, k] of [
      [300, 200, 70],
      [1, 2100, 600],
      [5, 1500, 300],
      [140, 600, 300],
    ] as const) {
      const [a, b] = [floats([m, k], 1), floats([k, n], 2)]
      const products = engines.map((engine) => engine.matmulSync(a, b, { emit, activation: 'gelu' }))
      for (const product of products) sameProduct(product, products[0] as Product)
    }
    const [a, b] = [integers([130, 150], 'uint8', 1), integers([150, 100], 'int8', 2)]
    const products = engines.map((engine) => engine.matmulInt8Sync(a, b, { emit }))
    for (const product of products) sameProduct(product, products[0] as Product)
  })

  it('is the same for convolutions, depthwise too, on any number of threads', () => {
    const x = floats([2, 40, 30, 32], 1)
    for (const [filter, groups] of [
      [[3, 3, 32, 40], 1],
      [[3, 3, 8, 40], 4],
      [[3, 3, 1, 32], 32],
    ] as const) {
      const weights = floats(filter, 2)
      const wanted = { groups, pad: [1, 1, 1, 1], activation: 'relu' } as const
      const products = engines.map((engine) => engine.conv2dSync(x, weights, wanted))
      for (const product of products) sameProduct(product, products[0] as Product)
    }
  })

  it('is the same whichever rows and columns are beside it', () => {
    const engine = engines[0] as WasmEngine
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 140 }),
        fc.integer({ min: 1, max: 140 }),
        fc.integer({ min: 1, max: 530 }),
        fc.array(fc.nat(), { minLength: 2, maxLength: 2 }),
        fc.nat(),
        (m, n, k, cuts, seed) => {
          const [a, b] = [floats([m, k], seed), floats([k, n], seed + 1)]
          const whole = engine.matmulSync(a, b).output
          const [row, column] = [(cuts[0] as number) % m, (cuts[1] as number) % n]
          const rows = engine.matmulSync(slice(a, row, m), b).output
          sameBits(rows, slice(whole, row, m))
          const columns = engine.matmulSync(a, turn(slice(turn(b), column, n))).output
          sameBits(columns, turn(slice(turn(whole), column, n)))
        },
      ),
      { numRuns: 60 },
    )
  })

  it('is the same where the operands lie in wasm memory, and writes the output there', () => {
    const engine = engines[1] as WasmEngine
    const { runtime } = engine
    const [a, b] = [floats([50, 70], 1), floats([70, 90], 2)]
    const { output } = engine.matmulSync(a, b)
    const room = runtime.alloc(4 * (50 * 70 + 70 * 90 + 50 * 90))
    const inside = (shape: number[], offset: number): Tensor => ({
      data: new Float32Array(runtime.memory.buffer, room + 4 * offset, (shape[0] as number) * (shape[1] as number)),
      shape,
      dtype: 'float32',
    })
    const [aIn, bIn, out] = [inside([50, 70], 0), inside([70, 90], 3500), inside([50, 90], 9800)]
    aIn.data.set(a.data)
    bIn.data.set(b.data)
    expect(engine.matmulSync(aIn, bIn, { out }).output).toBe(out)
    sameBits(out, output)
    out.data.fill(0)
    engine.matmulSync(aIn, engine.prepareSync(b), { out })
    sameBits(out, output)
    runtime.free(room)
  })
})

function slice(t: Tensor, from: number, to: number): Tensor {
  const columns = t.shape[1] as number
  return { ...t, data: t.data.slice(from * columns, to * columns), shape: [to - from, columns] }
}

function turn(t: Tensor): Tensor {
  const [rows, columns] = t.shape as [number, number]
  const data = new Float32Array(rows * columns)
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < columns; j++) data[j * rows + i] = t.data[i * columns + j] as number
  return { data, shape: [columns, rows], dtype: 'float32' }
}

function sameProduct(a: Product, b: Product): void {
  sameBits(a.output, b.output)
  const numbers = (product: Product): unknown[] => [
    ...[product.rowSums, product.columnSums, product.tileSums, product.replica].map((c: CheckSums | undefined) => [
      c?.actual,
      c?.expected,
    ]),
    product.total,
    product.nextChecksum?.data,
    product.rowStatistics,
  ]
  expect(numbers(a)).toEqual(numbers(b))
}
