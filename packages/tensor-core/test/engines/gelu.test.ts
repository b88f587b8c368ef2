// GELU of both engines over its whole range.
import { expect, it } from 'vitest'
import { gelu } from '../../src/problem/gelu.ts'
import { createWasmEngine } from '../../src/wasm.ts'
import golden from '../golden/gelu.json' with { type: 'json' }

const table = golden as [number, number][]

it('is accurate in float64', () => {
  // What gelu promises.
  for (const [x, y] of table) expect(Math.abs(gelu(x) - y)).toBeLessThanOrEqual(1e-12 * Math.abs(y))
  expect(gelu(Infinity)).toBe(Infinity)
  expect(Math.abs(gelu(-Infinity))).toBe(0)
  expect(gelu(NaN)).toBe(NaN)
})

it('is within 2.5e-7 max(1, |x|) in the wasm kernels, with limits and NaN', async () => {
  const engine = createWasmEngine({ threads: 1 })
  const values = Float32Array.from({ length: 40_001 }, (_, i) => (i - 20_000) / 1000)
  const special = Float32Array.of(Infinity, -Infinity, NaN, -0, 1e-30, -1e-30, 3e38, -3e38)
  const all = Float32Array.of(...values, ...special)
  const one = { data: Float32Array.of(1), shape: [1, 1], dtype: 'float32' } as const
  const { output } = engine.matmulSync({ data: all, shape: [all.length, 1], dtype: 'float32' }, one, {
    activation: 'gelu',
  })
  all.forEach((x, i) => {
    const y = output.data[i] as number
    if (Number.isNaN(x)) expect(y).toBe(NaN)
    else if (x === Infinity) expect(y).toBe(Infinity)
    else expect(Math.abs(y - gelu(x))).toBeLessThanOrEqual(2.5e-7 * Math.max(1, Math.abs(x)))
  })
  await engine.dispose()
})
