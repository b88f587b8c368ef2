// Shards in the caller's own thread: for tests, browsers and small tables. A kill throws a shard's memory away.
import { FtError } from '@ft/core'
import type { Message } from '../shard/messages.ts'
import { createShard, type Shard } from '../shard/shard.ts'
import type { ResolvedSpec } from '../shard/spec.ts'
import type { Cluster, ClusterEvents, ClusterKind } from './cluster.ts'
import type { SweepOptions } from './members.ts'

interface Letter {
  readonly from: { readonly node: number; readonly incarnation: number }
  readonly to: { readonly node: number; readonly incarnation: number }
  readonly message: Message
}

/**
 * Shards in this thread as a kind of servers.
 *
 * @param said - told of every message; only for tests
 */
export function memoryKind(sweep: SweepOptions, said: (message: Message) => void = () => undefined): ClusterKind {
  const kind: ClusterKind = {
    start: (spec, events) => Promise.resolve(startInMemory(spec, events, { ...sweep, said })),
    grown: () => kind,
    shrunk: () => kind,
  }
  return kind
}

function startInMemory(
  spec: ResolvedSpec,
  events: ClusterEvents,
  sweep: SweepOptions & { said(message: Message): void },
): Cluster {
  const stripes = Math.min(sweep.stripes, spec.rowsAMessage)
  const { servers } = spec.layout
  const control = servers
  const incarnations = new Array<number>(servers + 1).fill(1)
  let letters: Letter[] = []
  let scheduled = false
  let closed = false
  let timer: ReturnType<typeof setTimeout> | undefined

  const post = (from: Letter['from'], node: number, message: Message): void => {
    if (closed || incarnations[from.node] !== from.incarnation) return
    sweep.said(message)
    letters.push({ from, to: { node, incarnation: incarnations[node]! }, message })
    if (scheduled) return
    scheduled = true
    queueMicrotask(deliver)
  }

  function deliver(): void {
    // Letters written while these are read wait for the next turn.
    const batch = letters
    letters = []
    scheduled = false
    try {
      for (const { from, to, message } of batch) {
        if (closed || incarnations[to.node] !== to.incarnation) continue
        if (to.node === control) events.message(from.node, message)
        else shards[to.node]!.receive(from, message)
      }
      watch()
    } catch (cause) {
      events.failed(new FtError('CORRUPT_DATA', 'openShards: a shard refused a message', {}, { cause }))
    }
  }

  /** Rows can be missing without a kill, as when parity is found wrong. */
  const watch = (): void => {
    if (!closed && shards.some(({ storage }) => storage.missing > 0)) timer ??= setTimeout(recover, sweep.pause)
  }

  const start = (server: number, lost: boolean): Shard => {
    const from = { node: server, incarnation: incarnations[server]! }
    const send = (to: number, message: Message): void => post(from, to, message)
    return createShard({ spec, server, incarnation: from.incarnation, lost, send })
  }
  const shards = Array.from({ length: servers }, (_, server) => start(server, false))

  function recover(): void {
    timer = undefined
    const missing = shards.map((shard) => shard.step(stripes)).some(Boolean)
    if (missing && !closed) timer = setTimeout(recover, sweep.pause)
  }

  return {
    send: (server, message) => post({ node: control, incarnation: 1 }, server, message),
    kill(server) {
      incarnations[server]!++
      shards[server] = start(server, true)
      const news: Message = {
        type: 'members',
        incarnations: Uint32Array.from(incarnations.slice(0, servers)),
        addresses: new Uint32Array(0),
      }
      for (let peer = 0; peer < servers; peer++) post({ node: control, incarnation: 1 }, peer, news)
      watch()
      events.renewed(server)
    },
    recovering: (server) => shards[server]!.storage.missing > 0,
    close() {
      closed = true
      clearTimeout(timer)
      letters = []
      return Promise.resolve()
    },
  }
}
