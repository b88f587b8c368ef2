// Memory after many products of changing shapes, and prepared weights that nobody releases.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, it } from 'vitest'
import { createWasmEngine, createWasmRuntime } from '../../src/wasm.ts'
import { floats, integers } from '../support/cases.ts'

it('holds no more wasm memory after 10,000 products than after the first hundred', async () => {
  const runtime = createWasmRuntime({ threads: 2 })
  const engine = createWasmEngine({ runtime, instrumented: true })
  const emits = [
    {},
    { rowSums: true, columnSums: true },
    { tileSums: 'one-sided', replica: true },
    { total: true, rowStatistics: true, nextChecksum: { kind: 'matmul' } },
  ] as const
  const operands = [1, 7, 16, 33].map((m) => [floats([m, 20], m), floats([20, 2 * m], m + 1)] as const)
  const int8 = [integers([9, 20], 'int8', 1), integers([20, 5], 'int8', 2)] as const
  const x = floats([1, 6, 6, 4], 1)
  const filters = [floats([3, 3, 4, 5], 2), floats([3, 3, 1, 4], 3)] as const
  const fault = { site: { kind: 'packed-weight', step: 1, column: 0 }, effect: { kind: 'flip', bits: [5] } } as const
  function round(i: number): void {
    const [a, b] = operands[i % 4] as (typeof operands)[number]
    const emit = emits[(i >> 2) % 4] ?? {}
    if (i % 5 === 0) engine.matmulInt8Sync(...int8, { emit })
    else if (i % 5 === 1) engine.conv2dSync(x, filters[0], { emit })
    else if (i % 5 === 2) engine.conv2dSync(x, filters[1], { groups: 4 })
    else if (i % 5 === 3) {
      const weights = engine.prepareSync(b)
      engine.matmulSync(a, weights, { emit, faults: [fault] })
      weights.release()
    } else engine.matmulSync(a, b, { emit, bias: floats([b.shape[1] as number], 1) })
    if (i % 7 === 0) expect(() => engine.matmulSync(a, a)).toThrow()
  }
  for (let i = 0; i < 100; i++) round(i)
  const { used } = runtime
  const size = runtime.memory.buffer.byteLength
  for (let i = 0; i < 9_900; i++) round(i)
  expect(runtime.used).toBe(used)
  expect(runtime.memory.buffer.byteLength).toBe(size)
  await engine.dispose()
  await runtime.dispose()
})

it('frees weights that were forgotten, when the garbage collector finds them', async () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const runtime = createWasmRuntime({ threads: 1 })
  const engine = createWasmEngine({ runtime })
  engine.prepareSync(floats([10, 10], 1)).release()
  const { used } = runtime
  for (let i = 0; i < 50; i++) engine.prepareSync(floats([100, 100], i))
  expect(runtime.used).toBeGreaterThan(used + 50 * 40_000)
  // Finalisers run in a task of their own after a collection.
  for (let i = 0; i < 100 && runtime.used > used; i++) {
    collect()
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  expect(runtime.used).toBeLessThan(used + 5 * 50_000)
  await engine.dispose()
})
