import { createRandom } from '@ft/core/random'
import { createDenseModel } from '@ft/ecrm'
import { createWasmEngine } from '@ft/tensor-core/wasm'
import { describe, expect, it } from 'vitest'
import { createSimulation } from '../page/serving/simulation.ts'
import type { Run } from '../src/dlrm.ts'
import { WIDTH } from '../src/dlrm.ts'
import { networkFingerprint, openNetwork, vectorsOf } from '../src/serving/servedNetwork.ts'

describe('the served network', () => {
  const shape = { features: 3, tables: 2 }
  const samples = {
    dense: createRandom(1).fillNormal(new Float32Array(5 * 3)),
    categorical: [
      { size: 4, ids: [0, 1, 2, 3, 0] },
      { size: 3, ids: [2, 1, 0, 1, 2] },
    ],
    label: [0, 1, 0, 1, 1],
  }
  // Rows of 16 values and 16 of optimizer state, which must not reach the vectors
  const width = 2 * WIDTH
  const stored = Float32Array.from({ length: 7 * width }, (_, i) => (i % width < WIDTH ? i / 100 : NaN))
  const run = {
    snapshot: { words: new Uint32Array(stored.buffer), width, versions: new Uint32Array(7) },
    offsets: [0, 4],
  } as unknown as Run

  it('takes vectors of dense features and looked-up embeddings', () => {
    const { data, shape: size } = vectorsOf(samples, run)
    expect(size).toEqual([5, 3 + 2 * WIDTH])
    const second = data.subarray(size[1], 2 * (size[1] as number))
    expect(second.subarray(0, 3)).toEqual(samples.dense.subarray(3, 6))
    expect(second.subarray(3, 3 + WIDTH)).toEqual(stored.subarray(width, width + WIDTH))
    // The second table's rows follow the first's
    expect(second.subarray(3 + WIDTH)).toEqual(stored.subarray(5 * width, 5 * width + WIDTH))
  })

  it('answers as the trained model does', () => {
    const optimizer = { name: 'sgd', learningRate: 0.1 } as const
    const engine = createWasmEngine({ threads: 1 })
    const model = createDenseModel({ engine, ...shape, d: WIDTH, bottom: [64], top: [64, 32], optimizer, seed: 7 })
    const vectors = vectorsOf(samples, run)
    const logOdds = openNetwork(shape, model.parameters)(vectors).data
    const embeddings = new Float32Array(5 * 2 * WIDTH)
    for (let row = 0; row < 5; row++)
      embeddings.set(vectors.data.subarray(row * 35 + 3, (row + 1) * 35), row * 2 * WIDTH)
    const direct = model.predict({ dense: samples.dense, embeddings })
    // A float32 probability and back: 2^-24 relative, a little more near 0 and 1
    direct.forEach((p, row) => expect(1 / (1 + Math.exp(-(logOdds[row] as number)))).toBeCloseTo(p, 6))
  })

  it('is bound by its weights', () => {
    const weights = [Float32Array.of(1, 2), Float32Array.of(3)]
    expect(networkFingerprint(weights)).toBe(networkFingerprint([Float32Array.of(1, 2, 3)]))
    expect(networkFingerprint(weights)).not.toBe(networkFingerprint([Float32Array.of(1, 2), Float32Array.of(4)]))
  })
})

describe('the simulated clusters', () => {
  const load = { seed: 5, load: 0.5, k: 2, late: 0.02, patience: 30 }
  const turn = () => new Promise((resolve) => setTimeout(resolve, 0))
  const after = async (seconds: number, how?: 'stall' | 'kill') => {
    const simulation = createSimulation(load)
    for (let ms = 0; ms <= seconds * 1000; ms += 50) {
      if (how !== undefined && ms === 5000) simulation.breakOne(how)
      simulation.advanceTo(ms)
      await turn()
    }
    return simulation.view()
  }

  it('are the same for the same seed', async () => {
    expect(await after(3)).toEqual(await after(3))
  })

  it.each(['stall', 'kill'] as const)('lose, swap and double nothing when one worker is struck (%s)', async (how) => {
    const view = await after(10, how)
    for (const { now, before, workers } of view) {
      // Half of what four workers of 10 ms can serve is 200 a second, five seconds on each side
      expect(before?.answered).toBeGreaterThan(900)
      expect(now.answered).toBeGreaterThan(900)
      expect(now.wrong + (before?.wrong ?? 0)).toBe(0)
      expect(workers).toHaveLength(6)
    }
    const coded = view.find(({ name }) => name === 'coded')
    expect(coded?.now.reconstructed).toBeGreaterThan(0)
    expect(coded?.now.unanswered).toBe(0)
  })
})
