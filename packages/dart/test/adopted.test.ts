// Trees of a model to go on from: their leaf numbers are remembered under the cap, and followed beyond it.
import { describe, expect, it } from 'vitest'
import { createWasmRuntime } from '@ft/tensor-core/wasm'
import { createArena } from '../src/arena.ts'
import { predict, train, type TrainOptions } from '../src/index.ts'
import { resolveObjective } from '../src/objectives/index.ts'
import { resolveOptions } from '../src/options.ts'
import { readData } from '../src/readData.ts'
import { createSetUp } from '../src/setUp.ts'
import { makeData } from './support/made.ts'

const data = makeData(500)
const test = makeData(200, { seed: 2 })
const options: TrainOptions = { objective: 'squared', rounds: 20, maxDepth: 4, dropout: { dropRate: 0.3 } }

describe('trees of another run', () => {
  it.each([0, 1100, 5200, 2 ** 30])('take at most %i bytes of leaf numbers, with the same model', async (cap) => {
    const first = await train(data, options)
    const next: TrainOptions = { ...options, continueFrom: first.model, leafCacheBytes: cap }
    const runtime = createWasmRuntime({ threads: 1, relaxed: false })
    try {
      const read = readData(data, { where: 'test', ranking: false })
      const { booster } = createSetUp(createArena(runtime), {
        options: next,
        resolved: resolveOptions(next),
        objective: resolveObjective(next, read.label, undefined),
        data: read,
        validation: readData(test, { where: 'test', ranking: false }),
      })
      const boards = [booster.training, ...booster.validation]
      for (const board of boards) {
        expect(board.cached).toBe(board.data.rows * Math.min(20, Math.floor(cap / board.data.rows)))
      }
      const scores = predict(first.model, data.features, { output: 'raw' })
      expect([...(boards[0]?.scores[0]?.view() ?? [])]).toEqual([...scores])
    } finally {
      await runtime.dispose()
    }
    const input = { ...data, validation: test }
    const whole = await train(input, { ...next, leafCacheBytes: 2 ** 30 })
    expect(await train(input, next)).toEqual(whole)
  })
})
