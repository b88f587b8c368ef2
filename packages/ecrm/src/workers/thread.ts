// A worker in a thread of its own, as its trainer sees it.
import { Worker as Thread } from 'node:worker_threads'
import { FtError } from '@ft/core'
import type { PushOptions } from '../client.ts'
import { trainWorker } from '../generated/trainWorker.ts'
import { seatsAt } from '../seating.ts'
import type { ShardStore } from '../store.ts'
import { packFailure, unpackFailure } from './failure.ts'
import type { Assignment, Computed, Sizes, ToTrainer, ToWorker, Work } from './protocol.ts'
import type { Worker } from './worker.ts'

export interface WorkerThread extends Worker {
  close(): Promise<void>
}

interface Waiting {
  resolve(computed: Computed | undefined): void
  reject(error: Error): void
}

/**
 * Starts a worker. With a store whose shards are processes it has connections of its own to them; else it reaches rows through
 * the store.
 */
export function startWorkerThread(store: ShardStore, sizes: Sizes): WorkerThread {
  const waiting = new Map<number, Waiting>()
  let questions = 0
  let failure: Error | undefined
  const seated = seatsAt(store)?.take({
    renewed: (server, address) => say({ type: 'renewed', server, address }),
    failed: fail,
  })
  const assignment: Assignment = { sizes, seat: seated?.seat, tables: store.tables }
  const thread = new Thread(trainWorker, { eval: true, workerData: assignment })
  const say = (message: ToWorker): void => thread.postMessage(message)

  function fail(error: Error): void {
    failure ??= error
    for (const { reject } of waiting.values()) reject(error)
    waiting.clear()
  }
  function command(message: (id: number) => ToWorker): Promise<Computed | undefined> {
    if (failure !== undefined) return Promise.reject(failure)
    return new Promise((resolve, reject) => {
      const id = questions++
      waiting.set(id, { resolve, reject })
      say(message(id))
    })
  }
  async function forWorker(id: number, work: Promise<Float32Array | void>): Promise<void> {
    try {
      const values = await work
      say({ type: 'answer', id, ...(values === undefined ? {} : { values }) })
    } catch (error) {
      say({ type: 'answer', id, error: packFailure(error) })
    }
  }

  thread.on('message', (message: ToTrainer) => {
    if (message.type === 'pull') return void forWorker(message.id, store.pull(message.ids))
    if (message.type === 'push')
      return void forWorker(message.id, store.push(message.ids, message.gradients, message.options))
    const one = waiting.get(message.id)
    waiting.delete(message.id)
    if (message.error === undefined) one?.resolve(message.computed)
    else one?.reject(unpackFailure(message.error))
  })
  const ended = 'train: the thread of a worker ended; look at the cause and start the training again'
  thread.on('error', (cause) => fail(new FtError('UNRECOVERABLE', ended, {}, { cause })))
  thread.on('exit', () => fail(new FtError('UNRECOVERABLE', ended, {})))

  return {
    async compute(work: Work) {
      return (await command((id) => ({ type: 'compute', id, ...work })))!
    },
    async push(options: PushOptions) {
      await command((id) => ({ type: 'push', id, options }))
    },
    async settle() {
      await command((id) => ({ type: 'settle', id }))
    },
    async close() {
      seated?.leave()
      await thread.terminate()
    },
  }
}
