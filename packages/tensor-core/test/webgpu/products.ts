// Checks: matrix products against the reference, over random and adversarial shapes, with everything emitted.
import fc from 'fast-check'
import type { Activation } from '@ft/core'
import { webgpuTiles } from '../../src/webgpu.ts'
import { floats, integers } from '../support/cases.ts'
import { assert, compareIntegers, compareProducts, sameBits } from './compare.ts'
import { emits, engineOf, referenceOf, type Check } from './suite.ts'

// Nothing, one, a tile more and less than tiles (4x4), workgroups (16x16) and stages (4 steps).
const sizes = [
  [0, 3, 4],
  [3, 0, 4],
  [3, 4, 0],
  [0, 0, 0],
  [1, 1, 1],
  [1, 65, 130],
  [3, 5, 4],
  [4, 4, 3],
  [16, 16, 5],
  [15, 17, 31],
  [17, 15, 33],
  [50, 33, 129],
] as const

const random = fc.record({
  m: fc.integer({ min: 1, max: 70 }),
  n: fc.integer({ min: 1, max: 70 }),
  k: fc.integer({ min: 1, max: 150 }),
  batch: fc.integer({ min: 0, max: 3 }),
  sharedA: fc.boolean(),
  sharedB: fc.boolean(),
  transposeA: fc.boolean(),
  transposeB: fc.boolean(),
  bias: fc.boolean(),
  activation: fc.constantFrom<Activation | undefined>(undefined, 'relu', 'gelu'),
  prepared: fc.boolean(),
  out: fc.boolean(),
  emit: fc.constantFrom(undefined, emits.rows, emits.all, emits.twoSided),
  seed: fc.nat(1_000_000),
})

const checks: Check[] = [
  {
    name: 'float32 of adversarial sizes with every sum',
    async run() {
      const [engine, reference] = [await engineOf(), referenceOf()]
      for (const [m, n, k] of sizes)
        for (const emit of [emits.all, emits.twoSided]) {
          const [a, b, bias] = [floats([m, k], 1), floats([k, n], 2), floats([n], 3)]
          const wanted = { bias, activation: 'gelu', emit } as const
          compareProducts(await engine.matmul(a, b, wanted), reference.matmulSync(a, b, wanted), { m, n, k })
        }
    },
  },
  {
    name: 'int8 and uint8 of adversarial sizes with every sum, exactly',
    async run() {
      const [engine, reference] = [await engineOf(), referenceOf()]
      for (const [m, n, k] of sizes)
        for (const dtype of ['int8', 'uint8'] as const) {
          const [a, b] = [integers([m, k], dtype, 3), integers([k, n], 'int8', 4)]
          const bias = {
            data: Int32Array.from({ length: n }, (_, j) => 2 ** 30 * (j % 3)),
            shape: [n],
            dtype: 'int32',
          } as const
          const wanted = { bias, activation: 'relu', emit: emits.all } as const
          compareIntegers(await engine.matmulInt8(a, b, wanted), reference.matmulInt8Sync(a, b, wanted))
        }
    },
  },
  {
    name: 'int8 sums that overflow are exact modulo 2^32',
    async run() {
      // 140,000 times -128 * -128 is 2,293,760,000: more than 2^31.
      const k = 140_000
      const [a, b] = [integers([1, k], 'int8', () => -128), integers([k, 1], 'int8', () => -128)]
      const engine = await engineOf()
      const { output } = await engine.matmulInt8(a, b)
      assert(output.data[0] === ((k * 16384) | 0), () => `got ${String(output.data[0])}`)
    },
  },
  {
    name: 'any product: batches, transposes, bias, activation, sums, weights prepared or not, out given or not',
    async run() {
      const [engine, reference] = [await engineOf(), referenceOf()]
      await fc.assert(
        fc.asyncProperty(random, async (o) => {
          const { m, n, k, batch, transposeA, transposeB, activation } = o
          const shape = (rows: number, columns: number, turned: boolean, shared: boolean): number[] => [
            ...(batch > 0 && !shared ? [batch] : []),
            ...(turned ? [columns, rows] : [rows, columns]),
          ]
          const a = floats(shape(m, k, transposeA, o.sharedA), o.seed)
          const b = floats(shape(k, n, transposeB, o.sharedB), o.seed + 1)
          const plain = {
            transposeA,
            transposeB,
            ...(o.bias && { bias: floats([n], o.seed + 2) }),
            ...(activation !== undefined && { activation }),
          }
          const wanted = { ...plain, ...(o.emit !== undefined && { emit: o.emit }) }
          const weights = o.prepared ? await engine.prepare(b, { transposeB }) : b
          const expected = reference.matmulSync(a, b, wanted)
          const out = { ...expected.output, data: new Float32Array(expected.output.data.length) }
          const product = await engine.matmul(a, weights, o.out ? { ...wanted, out } : wanted)
          if (o.out) assert(product.output === out, () => 'the output given was not used')
          compareProducts(product, expected, { m, n, k })
          // Emitting changes no bit of the output.
          sameBits((await engine.matmul(a, weights, plain)).output, product.output)
          if ('release' in weights) weights.release()
        }),
        { numRuns: 40 },
      )
    },
  },
  {
    name: 'integer batches and transposes',
    async run() {
      const [engine, reference] = [await engineOf(), referenceOf()]
      await fc.assert(
        fc.asyncProperty(random, async ({ m, n, k, batch, transposeA, transposeB, prepared, seed }) => {
          const items = batch > 0 ? [batch] : []
          const a = integers([...items, ...(transposeA ? [k, m] : [m, k])], 'uint8', seed)
          const b = integers(transposeB ? [n, k] : [k, n], 'int8', seed + 1)
          const wanted = { transposeA, transposeB, emit: emits.all }
          const weights = prepared ? await engine.prepare(b, { kind: 'matmul-int8', transposeB }) : b
          compareIntegers(await engine.matmulInt8(a, weights, wanted), reference.matmulInt8Sync(a, b, wanted))
          if ('release' in weights) weights.release()
        }),
        { numRuns: 15 },
      )
    },
  },
  {
    name: 'bits do not depend on the tile, on other rows and columns, or on what is emitted',
    nodeOnly: true,
    async run() {
      const [a, b] = [floats([140, 70], 1), floats([70, 150], 2)]
      const whole = (await (await engineOf()).matmul(a, b)).output
      // Fewer steps a stage than these tiles have: software adapters unroll the stage, and compile in half the time.
      const short = { depth: 4 }
      const cases = [
        [{ ...webgpuTiles.row, ...short }, emits.rows],
        [{ ...webgpuTiles.thin, ...short }, emits.twoSided],
        [webgpuTiles.medium, emits.all],
        [
          { ...webgpuTiles.large, ...short },
          { rowSums: true, columnSums: true, tileSums: 'one-sided' },
        ],
      ] as const
      for (const [tile, emit] of cases) {
        const emitted = await (await engineOf({ tile })).matmul(a, b, { emit })
        sameBits(emitted.output, whole)
        const expected = referenceOf(tile).matmulSync(a, b, { emit })
        compareProducts(emitted, expected, { m: 140, n: 150, k: 70 })
      }
      const rows = { data: a.data.slice(70 * 20, 70 * 23), shape: [3, 70], dtype: 'float32' } as const
      const part = (await (await engineOf({})).matmul(rows, b)).output
      sameBits(part, { ...part, data: (whole.data as Float32Array).slice(150 * 20, 150 * 23) })
    },
  },
  {
    name: 'the sums over C, and what predicts its rows, are right to 2^-40 of their magnitudes, prepared row sums are B e',
    async run() {
      const engine = await engineOf()
      const [a, b] = [floats([40, 90], 1), floats([90, 50], 2)]
      const weights = await engine.prepare(b)
      const { output, rowSums, columnSums } = await engine.matmul(a, weights, { emit: emits.all })
      const sum = (indices: number[], of: ArrayLike<number>): number =>
        indices.reduce((x, i) => x + (of[i] as number), 0)
      for (let i = 0; i < 40; i++) {
        const row = Array.from({ length: 50 }, (_, j) => i * 50 + j)
        assert(Math.abs(sum(row, output.data) - (rowSums?.actual[i] as number)) < 50 * 90 * 2 ** -40, () => `row ${i}`)
      }
      for (let j = 0; j < 50; j++) {
        const column = Array.from({ length: 40 }, (_, i) => i * 50 + j)
        assert(
          Math.abs(sum(column, output.data) - (columnSums?.actual[j] as number)) < 40 * 90 * 2 ** -40,
          () => `column ${j}`,
        )
      }
      // What predicts them, from the numbers that the device has: pairs lose 2^-44 of k n products.
      const rows = weights.rowSums
      for (let i = 0; i < 40; i++) {
        const exact = Array.from(rows, (row, s) => row * (a.data[i * 90 + s] as number)).reduce((x, y) => x + y, 0)
        const off = Math.abs(exact - (rowSums?.expected[i] as number))
        assert(off < 50 * 90 * 2 ** -40, () => `predicted row ${i}: off by ${off}`)
      }
      for (let s = 0; s < 90; s++) {
        const row = Array.from({ length: 50 }, (_, j) => s * 50 + j)
        assert(Math.abs(sum(row, b.data) - (weights.rowSums[s] as number)) < 50 * 2 ** -46, () => `step ${s}`)
      }
      weights.release()
    },
  },
  {
    name: 'infinities and NaN go where the definition says',
    async run() {
      const [engine, reference] = [await engineOf(), referenceOf()]
      const [a, b] = [floats([5, 20], 1), floats([20, 33], 2)]
      a.data[0] = Infinity
      a.data[20] = NaN
      b.data[5 * 33 + 7] = -Infinity
      const finite = (sums: ArrayLike<number> | undefined): string =>
        Array.from(sums ?? [], (sum) => Number.isFinite(sum)).join()
      for (const activation of [undefined, 'relu', 'gelu'] as const) {
        const wanted = { emit: emits.rows, ...(activation && { activation }) }
        const [ours, theirs] = [await engine.matmul(a, b, wanted), reference.matmulSync(a, b, wanted)]
        theirs.output.data.forEach((value, i) => {
          const same = Object.is(ours.output.data[i], value) || ours.output.data[i] === value
          assert(Number.isFinite(value) || same, () => `element ${i}: ${String(ours.output.data[i])} for ${value}`)
        })
        for (const side of ['actual', 'expected'] as const)
          assert(finite(ours.rowSums?.[side]) === finite(theirs.rowSums?.[side]), () => `row sums, ${side}`)
      }
    },
  },
  {
    name: 'operands may change while the product runs, products may overlap',
    async run() {
      const engine = await engineOf()
      const [a, b] = [floats([30, 40], 1), floats([40, 20], 2)]
      const clean = (await engine.matmul(a, b)).output
      const products = [engine.matmul(a, b), engine.matmul(a, b, { emit: emits.rows }), engine.matmul(a, b)]
      a.data.fill(0)
      b.data.fill(0)
      for (const product of products) sameBits((await product).output, clean)
      // Released while a product reads them.
      const weights = await engine.prepare(floats([40, 20], 2))
      const product = engine.matmul(floats([30, 40], 1), weights)
      weights.release()
      const other = await engine.prepare(floats([40, 20], 9))
      sameBits((await product).output, clean)
      other.release()
    },
  },
]

export default checks
