// A process that holds shards: it listens, lets in who knows the token, and gives each run a shard of its own. A run ends
// with its control's connection: its rows are then of no use to anybody, as the others decode them.
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { FtError } from '@ft/core'
import type { RedisClass } from '../redis/node.ts'
import { createOwnerRun } from '../redis/ownerRun.ts'
import type { Message } from '../shard/messages.ts'
import { unpackText } from '../shard/text.ts'
import { dial, secrets, type TlsFiles } from './address.ts'
import { carryMessages, type ConnectionEvents } from './connection.ts'
import { protocol, reasonOf, type Refusal } from './refusals.ts'
import { createShardRun, type Node, type ShardRun } from './shardRun.ts'

export interface HostOptions {
  readonly token: Uint32Array
  readonly host: string
  /** 0: any that is free. */
  readonly port: number
  /** Of a socket in the file system to listen at instead. */
  readonly path?: string | undefined
  readonly tls?: TlsFiles
  /** Milliseconds without a word of the control after which its run is over; default never. */
  readonly idle?: number
  /** Milliseconds in which who connects must have shown the token; default 10,000. */
  readonly greeting?: number
  /** The client of Redis nodes, for runs whose rows are there; without it they are refused. */
  redis?(): Promise<RedisClass>
  /** Told of runs that begin here and end. */
  onRun?(event: 'begun' | 'ended', runs: number): void
}

export interface ShardHost {
  readonly port: number
  close(): Promise<void>
}

/** A run of which only peers were heard is forgotten after so long: its control has ended, or never knew of it. */
const strangerMs = 10_000

/** @throws FtError `IO` when the address cannot be listened at */
export function hostShards(options: HostOptions): Promise<ShardHost> {
  const { token, host, port, path, tls, idle = 0, greeting = 10_000, redis, onRun } = options
  const runs = new Map<string, ShardRun>()
  const sockets = new Set<Socket>()

  function runOf(words: Uint32Array): ShardRun {
    const key = words.join()
    const known = runs.get(key)
    if (known !== undefined) return known
    const over = (): void => forget(key, run)
    const run: ShardRun = createShardRun({ token, run: words.slice(), dial: (address) => dial(address, tls), over })
    runs.set(key, run)
    setTimeout(() => !run.started && forget(key, run), strangerMs).unref()
    return run
  }

  /** The first word of a run's trainer says whether its rows are here or on Redis nodes. */
  function ownersOf(key: string, load: () => Promise<RedisClass>): ShardRun {
    const known = runs.get(key)
    if (known?.started === true) return known
    const run = createOwnerRun(load)
    runs.set(key, run)
    return run
  }

  function forget(key: string, run: ShardRun): void {
    if (runs.get(key) !== run) return
    const begun = run.started
    runs.delete(key)
    run.end()
    if (begun) onRun?.('ended', runs.size)
  }

  function accept(socket: Socket): void {
    sockets.add(socket)
    const late = setTimeout(() => socket.destroy(), greeting)
    let from: Node | undefined
    let run: ShardRun | undefined
    let key = ''
    let refused = false
    const refuse = (refusal: Refusal): void => {
      refused = true
      connection.send({ type: 'refused', reason: reasonOf(refusal) })
      connection.end()
    }
    const events: ConnectionEvents = {
      message(message) {
        if (refused) return
        if (run !== undefined && from !== undefined) {
          if (message.type === 'own') {
            if (redis === undefined) return refuse('redis')
            run = ownersOf(key, redis)
          }
          const before = run.started
          const refusal = run.take(from, message, connection)
          if (refusal !== undefined) refuse(refusal)
          else if (leads(message)) socket.setTimeout(idle, () => socket.destroy())
          if (!before && run.started) onRun?.('begun', runs.size)
          return
        }
        if (message.type !== 'hello' || message.protocol !== protocol) return refuse('protocol')
        if (!sameWords(message.token, token)) return refuse('token')
        clearTimeout(late)
        connection.trust()
        from = { node: message.node, incarnation: message.incarnation }
        run = runOf(message.run)
        key = message.run.join()
        const { epoch, address } = message
        const refusal = run.greet({ ...from, epoch, address: unpackText(address) }, connection)
        if (refusal !== undefined) refuse(refusal)
      },
      closed() {
        sockets.delete(socket)
        clearTimeout(late)
        if (from !== undefined && run?.gone(from, connection) === true) forget(key, run)
      },
    }
    const connection = carryMessages(socket, events, { stranger: true })
  }

  const listener: Server =
    tls === undefined
      ? createServer(accept)
      : createTlsServer({ ...secrets(tls), requestCert: true, rejectUnauthorized: true }, accept)
  return new Promise((resolve, reject) => {
    listener.once('error', (cause) =>
      reject(
        new FtError(
          'IO',
          `shard: cannot listen at ${path ?? `${host}:${port}`}: ${cause.message}; choose another`,
          {},
          { cause },
        ),
      ),
    )
    listener.listen(path === undefined ? { port, host } : { path }, () =>
      resolve({
        port: path === undefined ? (listener.address() as AddressInfo).port : 0,
        async close() {
          for (const [key, run] of runs) forget(key, run)
          for (const socket of sockets) socket.destroy()
          await new Promise((done) => listener.close(done))
        },
      }),
    )
  })
}

/** Whether it makes its sender the control of the run. */
const leads = (message: Message): boolean =>
  message.type === 'start' || message.type === 'own' || (message.type === 'attach' && message.epoch > 0)

/** In the same time wherever they differ. */
function sameWords(a: Uint32Array, b: Uint32Array): boolean {
  let difference = a.length ^ b.length
  for (let i = 0; i < b.length; i++) difference |= (a[i] ?? 0) ^ b[i]!
  return difference === 0
}
