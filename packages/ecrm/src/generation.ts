// One set of servers that holds the rows: a store has one, and two while its rows move to another number of servers.
import { FtError } from '@ft/core'
import { createClient, type Client } from './client.ts'
import type { Cluster, ClusterEvents, ClusterKind } from './network/cluster.ts'
import type { Message, MessageOf, Send } from './shard/messages.ts'
import type { ResolvedSpec } from './shard/spec.ts'
import type { ServerReport } from './store.ts'

export interface Generation {
  readonly spec: ResolvedSpec
  readonly client: Client
  readonly cluster: Cluster
  /** Servers replaced so far. */
  readonly replacements: number
  /** Whether any server lacks rows, as far as is known here. */
  readonly degraded: boolean
  /** Has lost rows decoded before they are read. */
  expect(ids: Uint32Array): void
  report(): Promise<ServerReport[]>
  /** Ids of rows that could not be rebuilt and started over. */
  lost(): Promise<number[]>
  /** Resolves when no row is missing. */
  whole(): Promise<void>
  /** Calls back whenever a server was replaced, until what it returns is called. */
  onRenewed(listener: (server: number) => void): () => void
  /** Reads when no row is missing, and again when a server was replaced meanwhile: its rows may not have been there. */
  steady<T>(read: () => Promise<T>): Promise<T>
  close(): Promise<void>
}

/** @param failed - told when the servers cannot go on */
export async function openGeneration(
  spec: ResolvedSpec,
  { start, underWay }: Pick<ClusterKind, 'start' | 'underWay'>,
  failed: (error: FtError) => void,
): Promise<Generation> {
  const { servers } = spec.layout
  let replacements = 0
  const listeners = new Set<(server: number) => void>()
  const send: Send = (server, message) => cluster.send(server, message)
  const client = createClient({ spec, send, ...(underWay === undefined ? {} : { underWay }) })
  const events: ClusterEvents = {
    message: (server, message) => client.receive(server, message),
    renewed(server) {
      replacements++
      client.renewed(server)
      for (const listener of listeners) listener(server)
    },
    resumed: (server) => client.renewed(server),
    failed,
  }
  const cluster = await start(spec, events)

  const askAll = <T extends Message>(question: Parameters<Client['ask']>[1]): Promise<T[]> =>
    Promise.all(Array.from({ length: servers }, (_, server) => client.ask(server, question) as Promise<T>))
  const report = async (): Promise<ServerReport[]> =>
    (await askAll<MessageOf<'counts'>>({ type: 'status', id: 0 })).map(reportOf)
  const whole = async (): Promise<void> => {
    const start = performance.now()
    while ((await report()).some(({ missingRows }) => missingRows > 0)) {
      const waited = performance.now() - start
      await delay(Math.min(longestLook, Math.max(shortestLook, waited / 20)))
    }
  }
  const recovering = (server: number): boolean => cluster.recovering?.(server) === true
  return {
    spec,
    client,
    cluster,
    get degraded() {
      for (let server = 0; server < servers; server++) if (recovering(server)) return true
      return false
    },
    expect: (ids) => client.expect(ids, recovering),
    get replacements() {
      return replacements
    },
    report,
    whole,
    onRenewed(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    async lost() {
      const question = { type: 'snapshot', id: 0, first: 0, count: 0, changed: 0, mark: 0 } as const
      return (await askAll<MessageOf<'rowBits'>>(question)).flatMap(({ lost }) => Array.from(lost))
    },
    async steady(read) {
      for (;;) {
        await whole()
        const before = replacements
        const result = await read()
        if (before === replacements) return result
      }
    },
    async close() {
      client.fail(new FtError('ABORTED', 'openShards: the store was closed; open another', {}))
      await cluster.close()
    },
  }
}

function reportOf({ values }: MessageOf<'counts'>): ServerReport {
  const numbers = new Float64Array(values.slice().buffer)
  const at = (i: number): number => numbers[i]!
  return {
    missingRows: at(0),
    dataBytes: at(1),
    parityBytes: at(2),
    pulledRows: at(3),
    pushedRows: at(4),
    deltaRows: at(5),
    deltaBytes: at(6),
    unacknowledgedBytes: at(7),
    mostUnacknowledgedBytes: at(8),
    cpuSeconds: at(9),
    recoveredRows: at(10),
    unacknowledgedBatches: at(11),
  }
}

/**
 * In ms: how often servers are asked whether they miss rows. Each time they all answer beside what they are busy with, so that it
 * is a part of the time that has gone by.
 */
const shortestLook = 5
const longestLook = 100

const delay = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
