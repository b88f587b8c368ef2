// Laws of matrix products, within bounds that follow from rounding: no outside implementation needed.
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import type { Tensor } from '@ft/core'
import { createReferenceEngine } from '../../src/reference.ts'
import { createWasmEngine } from '../../src/wasm.ts'
import { floats } from '../support/cases.ts'
import { distance, u } from '../support/compare.ts'

const wasm = createWasmEngine({ threads: 2 })
const engines = [createReferenceEngine(), wasm]
afterAll(() => wasm.dispose())

const size = fc.integer({ min: 1, max: 70 })
const sizes = fc.tuple(size, size, size, fc.nat())

function turn(t: Tensor): Tensor {
  const [rows, columns] = t.shape as [number, number]
  const data = new Float32Array(rows * columns)
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < columns; j++) data[j * rows + i] = t.data[i * columns + j] as number
  return { data, shape: [columns, rows], dtype: 'float32' }
}

function combine(a: Tensor, b: Tensor, f: (x: number, y: number) => number): Tensor {
  return { ...a, data: Float32Array.from(a.data as Float32Array, (x, i) => f(x, b.data[i] as number)) }
}

describe.each(engines)('$name', (engine) => {
  it('is linear: A (B + C) = A B + A C', () => {
    fc.assert(
      fc.property(sizes, ([m, n, k, seed]) => {
        const [a, b, c] = [floats([m, k], seed), floats([k, n], seed + 1), floats([k, n], seed + 2)]
        const left = engine.matmulSync(
          a,
          combine(b, c, (x, y) => x + y),
        ).output
        const right = combine(engine.matmulSync(a, b).output, engine.matmulSync(a, c).output, (x, y) => x + y)
        // Terms of size up to 2; each of three products errs by (k + 2) u of its k terms, B + C and the sum by u.
        expect(distance(left.data, right.data)).toBeLessThanOrEqual(4 * (k + 4) * u * 2 * k)
      }),
    )
  })

  it('turns over: (A B)^T = B^T A^T', () => {
    fc.assert(
      fc.property(sizes, ([m, n, k, seed]) => {
        const [a, b] = [floats([m, k], seed), floats([k, n], seed + 1)]
        const left = turn(engine.matmulSync(a, b).output)
        const right = engine.matmulSync(turn(b), turn(a)).output
        const flagged = engine.matmulSync(b, a, { transposeA: true, transposeB: true }).output
        // The same products in the same order: factors change places, and multiplication commutes in IEEE arithmetic.
        expect(distance(left.data, right.data)).toBe(0)
        expect(distance(flagged.data, right.data)).toBe(0)
      }),
    )
  })

  it('associates: (A B) C = A (B C)', () => {
    fc.assert(
      fc.property(sizes, size, ([m, n, k, seed], p) => {
        const [a, b, c] = [floats([m, k], seed), floats([k, n], seed + 1), floats([n, p], seed + 2)]
        const left = engine.matmulSync(engine.matmulSync(a, b).output, c).output
        const right = engine.matmulSync(a, engine.matmulSync(b, c).output).output
        // Both have k n terms below 1, and pass through (k + 2) + (n + 2) roundings.
        expect(distance(left.data, right.data)).toBeLessThanOrEqual(2 * (k + n + 4) * u * k * n)
      }),
    )
  })

  it('keeps a matrix times the identity, and gives zeros times zero', () => {
    fc.assert(
      fc.property(size, size, fc.nat(), (m, k, seed) => {
        const a = floats([m, k], seed)
        const identity = { data: new Float32Array(k * k), shape: [k, k], dtype: 'float32' } as const
        expect(engine.matmulSync(a, identity).output.data.every((x) => x === 0)).toBe(true)
        for (let i = 0; i < k; i++) identity.data[i * k + i] = 1
        expect(distance(engine.matmulSync(a, identity).output.data, a.data)).toBe(0)
      }),
    )
  })
})
