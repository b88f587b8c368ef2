// The program of a worker's thread. Bundled into src/generated/trainWorker.ts.
import { parentPort, workerData } from 'node:worker_threads'
import { createWasmEngine } from '@ft/tensor-core/wasm'
import type { RowAccess } from '../client.ts'
import { createDenseModel } from '../dlrm/denseModel.ts'
import { takeSeat } from '../network/seat.ts'
import { createPlaces } from '../tables/places.ts'
import { splitAccess, type Halves } from '../tables/splitAccess.ts'
import { layRowsAt, rowsAt } from '../shard/words.ts'
import { packFailure, unpackFailure } from './failure.ts'
import type { Assignment, Computed, ToTrainer, ToWorker } from './protocol.ts'
import { createWorker } from './worker.ts'

const port = parentPort!
const { sizes, seat, tables } = workerData as Assignment
const say = (message: ToTrainer): void => port.postMessage(message)

/** Rows by way of the trainer, where workers have none of their own. */
const asked = new Map<number, { resolve(values: Float32Array): void; reject(error: Error): void }>()
let questions = 0
function ask(message: (id: number) => ToTrainer): Promise<Float32Array> {
  return new Promise((resolve, reject) => {
    const id = questions++
    asked.set(id, { resolve, reject })
    say(message(id))
  })
}
const throughTrainer: RowAccess = {
  pull: (ids) => ask((id) => ({ type: 'pull', id, ids })),
  async push(ids, gradients, options = {}) {
    await ask((id) => ({ type: 'push', id, ids, gradients, options }))
  },
}

const seated = seat === undefined ? undefined : takeSeat(seat)

/** Rows at the shards by connections of its own, and those that the trainer has by way of it. */
function bothWays(sharded: RowAccess): RowAccess {
  const places = createPlaces(tables)
  if (places.plain) return sharded
  const idsOf = (rows: Uint32Array): Uint32Array => rows.map(places.replicated.idOf)
  const replicated: Halves['replicated'] = {
    async pull({ rows, at }, into) {
      layRowsAt(into, at, await throughTrainer.pull(idsOf(rows)), sizes.d)
    },
    push: ({ rows, at }, gradients, options) =>
      throughTrainer.push(idsOf(rows), rowsAt(gradients, at, sizes.d), options),
  }
  return splitAccess(places, { sharded, replicated }, sizes.d)
}
/** The trainer has the weights and their optimizer: what this model starts with is never used. */
const optimizer = { name: 'sgd', learningRate: 1 } as const
const model = createDenseModel({ ...sizes, engine: createWasmEngine({ threads: 1 }), optimizer, seed: 0 })
const worker = createWorker({ rows: seated === undefined ? throughTrainer : bothWays(seated), model, d: sizes.d })
/** Commands are carried out one after the other. */
let tail: Promise<unknown> = Promise.resolve()

function inTurn(id: number, work: () => Promise<Computed | void>): void {
  const done = tail.then(work)
  tail = done.catch(() => undefined)
  done.then(
    (computed) => say({ type: 'done', id, ...(computed === undefined ? {} : { computed }) }),
    (error: unknown) => say({ type: 'done', id, error: packFailure(error) }),
  )
}

port.on('message', (message: ToWorker) => {
  switch (message.type) {
    case 'compute':
      inTurn(message.id, () => worker.compute(message))
      return
    case 'push':
      inTurn(message.id, () => worker.push(message.options))
      return
    case 'settle':
      inTurn(message.id, () => worker.settle())
      return
    case 'renewed':
      seated?.renewed(message.server, message.address)
      return
    case 'answer': {
      const { id, values, error } = message
      const one = asked.get(id)
      asked.delete(id)
      if (error === undefined) one?.resolve(values ?? new Float32Array(0))
      else one?.reject(unpackFailure(error))
    }
  }
})
