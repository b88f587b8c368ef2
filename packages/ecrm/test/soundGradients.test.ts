// A batch that is not finite changes nothing, wherever it is computed: not the dense network, not a row.
import { afterEach, expect, it } from 'vitest'
import { isFtError } from '@ft/core'
import { createWasmEngine } from '@ft/tensor-core/wasm'
import {
  createScoreWindow,
  createDenseModel,
  openShards,
  trainStep,
  type Samples,
  type ShardStore,
} from '../src/index.ts'
import { takeBatch } from '../src/dlrm/samples.ts'
import { trainAsynchronously, trainSynchronously } from '../src/workers/dataParallel.ts'
import { createWorker } from '../src/workers/worker.ts'
import { plantedSamples } from './support/made.ts'

const good = plantedSamples(400, 1)
/** Row 250 is in the second step, and there the first of two workers has it. */
const bad: Samples = { ...good, dense: good.dense.with(250 * 3 + 1, NaN) }
const halves = [0, 200].map((start) => Uint32Array.from({ length: 200 }, (_, i) => start + i))
const optimizer = { name: 'adagrad', learningRate: 0.1 } as const
const engine = createWasmEngine({ threads: 1 })
const makeModel = () => createDenseModel({ engine, features: 3, tables: 2, d: 4, optimizer, seed: 1 })
let open: ShardStore[] = []
afterEach(async () => {
  await Promise.all(open.map((store) => store.close()))
  open = []
})
async function start(): Promise<ShardStore> {
  const tables = good.categorical.map(({ size }) => ({ rows: size }))
  const store = await openShards({ tables, d: 4, k: 2, where: 'memory', optimizer })
  open.push(store)
  return store
}
const refused = expect.toSatisfy(
  (error) => isFtError(error, 'INVALID_ARGUMENT') && /gradients of a batch are not finite/.test(error.message),
)

it('a step alone', async () => {
  const ends = []
  for (const withBad of [false, true]) {
    const store = await start()
    const state = { model: makeModel(), store, pushing: Promise.resolve(), window: createScoreWindow(1000) }
    await trainStep(state, takeBatch(good, halves[0]!, store.offsets))
    if (withBad) await expect(trainStep(state, takeBatch(bad, halves[1]!, store.offsets))).rejects.toThrow(refused)
    expect(state.window.score().samples).toBe(200)
    // Whoever catches it goes on.
    await trainStep(state, takeBatch(good, halves[1]!, store.offsets))
    await state.pushing
    const { parameters, state: moments } = state.model
    ends.push({ parameters, moments, rows: await store.snapshot() })
  }
  expect(ends[1]).toEqual(ends[0])
})

it.each([
  ['together', trainSynchronously],
  ['each by itself', trainAsynchronously],
])('workers, %s', async (_, run) => {
  const ends = []
  for (const data of [good, bad]) {
    const store = await start()
    const model = makeModel()
    // One at a time where each goes by itself: which step comes first is then known.
    const count = run === trainSynchronously ? 2 : 1
    const workers = Array.from({ length: count }, () => createWorker({ rows: store, model: makeModel(), d: 4 }))
    const steps = data === bad ? halves : halves.slice(0, 1)
    const window = createScoreWindow(100)
    const running = run({
      data,
      model,
      workers,
      offsets: store.offsets,
      steps,
      window,
      signal: undefined,
      onStep: () => 0,
    })
    if (data === bad) await expect(running).rejects.toThrow(refused)
    else await running
    ends.push({ parameters: model.parameters, state: model.state, rows: await store.snapshot(), score: window.score() })
  }
  expect(ends[1]).toEqual(ends[0])
})
