// Where a run's shards live, as the store sees it: something to send to, that says when a server was replaced.
import type { FtError } from '@ft/core'
import type { Message } from '../shard/messages.ts'
import type { ResolvedSpec } from '../shard/spec.ts'
import type { Seat } from './seat.ts'

export interface ClusterEvents {
  message(server: number, message: Message): void
  /** A server died and its replacement listens; requests to it must be sent again. */
  renewed(server: number): void
  /** A server's rows are reached in another way than before; requests to it must be sent again. */
  resumed(server: number): void
  /** The cluster cannot go on. */
  failed(error: FtError): void
}

export interface Cluster {
  /** Sends to the present life of a server; lost when it is dead. */
  send(server: number, message: Message): void
  /** Ends a server at once, its memory with it. It is detected and replaced like any other death. */
  kill(server: number): void
  /** Stops a server's process without ending it, as a hung machine would. Only where shards are processes. */
  pause?(server: number): void
  /** Loses all that is said to and by a server here, as a network that swallows packets would. */
  isolate?(server: number): void
  /** Whether a server lacks rows, as far as is known here. Only where shards decode what they are told to expect. */
  recovering?(server: number): boolean
  /** Of a run that another trainer led before: the highest number of a node then, and the latest push of that trainer. */
  readonly takenUp?: { readonly highest: number; readonly push: number }
  /** What a further worker needs to reach the servers by itself. Only where they listen. */
  seat?(node: number): Seat
  close(): Promise<void>
}

/** Starts the servers of a run; resolves when all of them answer. */
export type StartCluster = (spec: ResolvedSpec, events: ClusterEvents) => Promise<Cluster>

/** A kind of servers, and what it becomes with one more or without one. */
export interface ClusterKind {
  /** Whether servers keep versions of what a trainer must have again; default true. */
  readonly keeps?: boolean
  /** Updates of a worker to a server that may be unanswered at once; default as many as shards can tell apart. */
  readonly underWay?: number
  /** Whether the servers outlive the trainer, for the next one. Rows then stay on as many servers. */
  readonly lasting?: boolean
  readonly start: StartCluster
  /** @param address - where the new server is; only kinds that do not start their servers need one */
  grown(address: string | undefined): ClusterKind
  shrunk(server: number): ClusterKind
}
