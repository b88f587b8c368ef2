// Checks: laws of matrix products, within bounds that follow from rounding: no outside implementation needed.
import fc from 'fast-check'
import type { Tensor } from '@ft/core'
import { floats } from '../support/cases.ts'
import { assert, sameBits } from './compare.ts'
import { engineOf, type Check } from './suite.ts'

const u = 2 ** -24
const size = fc.integer({ min: 1, max: 50 })
const sizes = fc.tuple(size, size, size, fc.nat(1_000_000))

function turn(t: Tensor): Tensor {
  const [rows, columns] = t.shape as [number, number]
  const data = new Float32Array(rows * columns)
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < columns; j++) data[j * rows + i] = t.data[i * columns + j] as number
  return { data, shape: [columns, rows], dtype: 'float32' }
}

const add = (a: Tensor, b: Tensor): Tensor => ({
  ...a,
  data: Float32Array.from(a.data as Float32Array, (x, i) => x + (b.data[i] as number)),
})

function within(a: Tensor, b: Tensor, bound: number): void {
  a.data.forEach((x, i) => {
    const d = Math.abs(x - (b.data[i] as number))
    assert(d <= bound, () => `element ${i}: off by ${d}, more than ${bound}`)
  })
}

const checks: Check[] = [
  {
    name: 'linear: A (B + C) = A B + A C',
    async run() {
      const engine = await engineOf()
      await fc.assert(
        fc.asyncProperty(sizes, async ([m, n, k, seed]) => {
          const [a, b, c] = [floats([m, k], seed), floats([k, n], seed + 1), floats([k, n], seed + 2)]
          const left = (await engine.matmul(a, add(b, c))).output
          const right = add((await engine.matmul(a, b)).output, (await engine.matmul(a, c)).output)
          // Terms of size up to 2; each of three products errs by k u of its k terms, B + C and the sum by u.
          within(left, right, 4 * (k + 2) * u * 2 * k)
        }),
        { numRuns: 15 },
      )
    },
  },
  {
    name: 'turns over: (A B)^T = B^T A^T, bit for bit',
    async run() {
      const engine = await engineOf()
      await fc.assert(
        fc.asyncProperty(sizes, async ([m, n, k, seed]) => {
          const [a, b] = [floats([m, k], seed), floats([k, n], seed + 1)]
          // The same products in the same order: factors change places, and multiplication commutes.
          const right = (await engine.matmul(turn(b), turn(a))).output
          sameBits(turn((await engine.matmul(a, b)).output), right)
          sameBits((await engine.matmul(b, a, { transposeA: true, transposeB: true })).output, right)
        }),
        { numRuns: 15 },
      )
    },
  },
  {
    name: 'associative: (A B) C = A (B C)',
    async run() {
      const engine = await engineOf()
      await fc.assert(
        fc.asyncProperty(sizes, size, async ([m, n, k, seed], p) => {
          const [a, b, c] = [floats([m, k], seed), floats([k, n], seed + 1), floats([n, p], seed + 2)]
          const left = (await engine.matmul((await engine.matmul(a, b)).output, c)).output
          const right = (await engine.matmul(a, (await engine.matmul(b, c)).output)).output
          // Both have k n terms below 1, and pass through k + n roundings.
          within(left, right, 2 * (k + n + 4) * u * k * n)
        }),
        { numRuns: 15 },
      )
    },
  },
]

export default checks
