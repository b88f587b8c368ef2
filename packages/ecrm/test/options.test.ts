// Options by a name that there is not, and options objects that are none, are errors that say what there is.
import { afterAll, expect, it } from 'vitest'
import { isFtError } from '@ft/core'
import { createWasmEngine } from '@ft/tensor-core/wasm'
import {
  createCheckpointer,
  createDenseModel,
  createParityGroup,
  evaluate,
  openShards,
  serveShards,
  train,
  type ShardOptions,
} from '../src/index.ts'
import { openShards as openInMemory, train as trainAlone } from '../src/memory.ts'
import { plantedSamples } from './support/made.ts'

const data = plantedSamples(40, 1)
const tables = data.categorical.map(({ size }) => ({ rows: size }))
const base: ShardOptions = { tables, d: 4, k: 2, where: 'memory' }
const store = await openShards(base)
const { model } = await train(data, { store })
afterAll(() => store.close())
const engine = createWasmEngine({ threads: 1 })
const optimizer = { name: 'sgd', learningRate: 0.1 } as const
const sizes = { engine, features: 3, tables: 2, d: 4, optimizer, seed: 0 }

const calls: readonly (readonly [string, (more: object) => unknown, string])[] = [
  ['openShards', (more) => openShards({ ...base, ...more }), 'patience'],
  ['openShards of a page', (more) => openInMemory({ tables, d: 4, ...more }), 'sweep'],
  ['its optimizer', (more) => openShards({ ...base, optimizer: { ...optimizer, ...more } }), 'learningRate'],
  ['its heartbeat', (more) => openShards({ ...base, heartbeat: { interval: 10, ...more } }), 'missed'],
  ['its sweep', (more) => openShards({ ...base, sweep: { share: 0.5, ...more } }), 'pause'],
  ['train', (more) => train(data, { store, ...more }), 'workers'],
  ['train of a page', (more) => trainAlone(data, { store, ...more }), 'epochs'],
  ["train's optimizer", (more) => train(data, { store, optimizer: { ...optimizer, ...more } }), 'learningRate'],
  ['evaluate', (more) => evaluate(model, data, { store, ...more }), 'batch'],
  ['scrub', (more) => store.scrub({ ...more }), 'repair'],
  ['serveShards', (more) => serveShards({ listen: '127.0.0.1:0', token: 'x', ...more }), 'idle'],
  ['createCheckpointer', (more) => createCheckpointer({ folder: 'x', ...more }), 'fullEvery'],
  ['createDenseModel', (more) => createDenseModel({ ...sizes, ...more }), 'bottom'],
  ['createParityGroup', (more) => createParityGroup([new Uint8Array(4)], { ...more }), 'k'],
]
it.each(calls)('%s refuses a name that it does not know, and tells those that it does', async (_, call, known) => {
  const error: unknown = await Promise.resolve()
    .then(() => call({ lr: 1 }))
    .catch((cause: unknown) => cause)
  expect(error).toSatisfy((one) => isFtError(one, 'INVALID_ARGUMENT'))
  expect((error as Error).message).toMatch(new RegExp(`has no option "lr"; it has .*\\b${known}\\b`))
})

it.each([
  ['optimizer', null],
  ['optimizer', 'adam'],
  ['heartbeat', null],
  ['sweep', null],
  ['tables', [null]],
  ['tables', null],
])('openShards refuses %s: %j', async (name, value) => {
  await expect(openShards({ ...base, [name]: value })).rejects.toThrow(
    expect.toSatisfy((error) => isFtError(error, 'INVALID_ARGUMENT') && error.message.includes(name)),
  )
})

it('what is left undefined has its default', async () => {
  const more = { optimizer: undefined, heartbeat: undefined, sweep: undefined } as unknown as object
  const other = await openShards({ ...base, ...more })
  await train(data, { store: other, ...({ until: undefined, optimizer: undefined } as unknown as object) })
  await other.close()
})
