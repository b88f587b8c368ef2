// Finding the run of a trainer that is gone: its shards wait for the next one, and say which part each has.
import type { Socket } from 'node:net'
import { FtError } from '@ft/core'
import { nobody, type MessageOf } from '../shard/messages.ts'
import { carryMessages } from './connection.ts'
import { passer, protocol, refusalError } from './refusals.ts'

/** A server of the run that is still there. */
export interface FoundServer {
  readonly address: string
  readonly incarnation: number
}

export interface FoundRun {
  /** For the trainer that takes it up: later than all before it. */
  readonly epoch: number
  /** By server; undefined: it is lost. */
  readonly servers: readonly (FoundServer | undefined)[]
  /** The latest life of each server that anybody heard of. */
  readonly lives: readonly number[]
  /** Highest number of a node that spoke to any of them. */
  readonly highest: number
  /** The latest push of the trainer before that any of them applied. */
  readonly push: number
  /** What all of them agreed on, as words. */
  readonly spec: Uint32Array
}

export interface FindOptions {
  readonly run: Uint32Array
  readonly token: Uint32Array
  readonly addresses: readonly string[]
  dial(address: string): Socket
  /** Milliseconds in which a shard must answer. */
  readonly patience: number
}

/**
 * Asks every address for its part in a run. Changes nothing.
 *
 * @returns undefined when nobody has one
 * @throws FtError what a shard says that does not let this trainer in
 */
export async function findRun(o: FindOptions): Promise<FoundRun | undefined> {
  const parts = (await Promise.all(o.addresses.map((address) => look(address, o)))).filter((part) => part !== undefined)
  const first = parts[0]
  if (first === undefined) return undefined
  const count = first.lives.length
  const servers = new Array<FoundServer | undefined>(count).fill(undefined)
  for (const { address, server, incarnation } of parts)
    // Of two lives of one server the later counts; the earlier is not attached to, and ends.
    if (server < count && incarnation > (servers[server]?.incarnation ?? 0)) servers[server] = { address, incarnation }
  const most = (of: (part: Part) => number): number => Math.max(...parts.map(of))
  const lives = Array.from({ length: count }, (_, server) => most(({ lives: known }) => known[server] ?? 0))
  return {
    epoch: 1 + most(({ epoch }) => epoch),
    // One in whose place another was put has not heard what that one has, though that one be gone.
    servers: servers.map((server, i) => (server?.incarnation === lives[i] ? server : undefined)),
    lives,
    highest: most(({ highest }) => highest),
    push: most(({ push }) => push),
    spec: first.spec,
  }
}

type Part = MessageOf<'attached'> & { readonly address: string }

/** Undefined when the shard has no part, or nobody answers. */
function look(address: string, { run, token, dial, patience }: FindOptions): Promise<Part | undefined> {
  return new Promise((resolve, reject) => {
    const connection = carryMessages(dial(address), {
      message(message) {
        if (message.type === 'refused') reject(refusalError(message.reason, address))
        if (message.type === 'attached')
          resolve(
            message.server === nobody
              ? undefined
              : { ...message, spec: message.spec.slice(), lives: message.lives.slice(), address },
          )
        connection.drop()
      },
      closed() {
        clearTimeout(late)
        resolve(undefined)
      },
    })
    const late = setTimeout(() => connection.drop(), patience)
    const who = { protocol, node: passer, incarnation: 1, epoch: 2 ** 32 - 1, token, run }
    connection.send({ type: 'hello', ...who, address: new Uint32Array(0) })
    connection.send({ type: 'attach', epoch: 0 })
  })
}

/**
 * Sees that a run can be taken up by a trainer that wants this.
 *
 * @throws FtError `INVALID_ARGUMENT` when there is none, or one with other rows; `UNRECOVERABLE` when more than r servers are gone
 */
export function checkFound(
  found: FoundRun | undefined,
  { name, spec, r }: { name: string; spec: Uint32Array; r: number },
): FoundRun {
  if (found === undefined) {
    throw new FtError(
      'INVALID_ARGUMENT',
      `openShards: none of the shards has a part in a run named ${name}; see that they still run, or start it without \`resume\``,
      { name },
    )
  }
  if (found.spec.length !== spec.length || found.spec.some((word, i) => word !== spec[i])) {
    throw new FtError(
      'INVALID_ARGUMENT',
      `openShards: the run named ${name} has other tables or options; resume it with those that it was started with`,
      { name },
    )
  }
  const gone = found.servers.flatMap((server, i) => (server === undefined ? [i] : []))
  if (gone.length > r) {
    throw new FtError(
      'UNRECOVERABLE',
      `openShards: servers ${gone.join(', ')} of the run named ${name} are gone, which is more than r = ${r}; restore a checkpoint in a new run`,
      { gone, r },
    )
  }
  return found
}
