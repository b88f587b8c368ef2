// Shards in processes that run elsewhere: `ecrm shard --listen`. They are given parts, watched and replaced, not started.
import { createHash } from 'node:crypto'
import { FtError } from '@ft/core'
import { packSpec, type ResolvedSpec } from '../shard/spec.ts'
import { dial, parseAddress, type TlsFiles } from './address.ts'
import type { Cluster, ClusterEvents, ClusterKind } from './cluster.ts'
import {
  assignFound,
  assignShards,
  checkDistinct,
  parseShard,
  type Assignment,
  type RemoteShard,
} from './assignment.ts'
import { checkFound, findRun } from './attach.ts'
import { startMembers, type LastingRun, type MemberOptions, type Place, type Places } from './members.ts'

export interface RemoteOptions extends MemberOptions {
  readonly shards: readonly RemoteShard[]
  readonly token: string
  readonly tls: TlsFiles | undefined
  /** Milliseconds in which a dead server must come back, or one that stands by take its place. */
  readonly patience: number
  /** Of a run that outlives its trainer. */
  readonly lasting?: Lasting | undefined
}

export interface Lasting {
  readonly name: string
  /** Milliseconds that shards wait for the next trainer. */
  readonly linger: number
  /** Takes the run up instead of beginning it. */
  readonly resume: boolean
}

const retryMs = 200
const answerMs = 5_000

/** The token as it is sent: a digest, so that its length is fixed and the text itself stays here. */
export const tokenWords = (token: string): Uint32Array => digestOf(token)

/** The number of a run that is known by its name. */
export const runWords = (name: string): Uint32Array<ArrayBuffer> => digestOf(`run ${name}`).slice(0, 4)

function digestOf(text: string): Uint32Array<ArrayBuffer> {
  const digest = createHash('sha256').update(`@ft/ecrm ${text}`).digest()
  return new Uint32Array(new Uint8Array(digest).buffer)
}

/** Shards elsewhere as a kind of servers: the first `servers` of the list hold rows, the others stand by. */
export function remoteKind(options: RemoteOptions): ClusterKind {
  const { shards } = options
  for (const { address } of shards) parseAddress(address)
  checkDistinct(shards, 'shards')
  /** Who is which server at present, and who stands by. */
  const state: State = { assignment: undefined }
  const { lasting } = options
  const stays = (): never => {
    const text =
      'openShards: rows of a run with a `name` stay on as many servers, where the next trainer looks for them'
    throw new FtError('UNSUPPORTED', text, { name: lasting!.name })
  }
  if (lasting !== undefined)
    return {
      lasting: true,
      start: (spec, events) => startRemote(spec, events, { ...options, state }),
      grown: stays,
      shrunk: stays,
    }
  return {
    start: (spec, events) => startRemote(spec, events, { ...options, state }),
    grown(address) {
      const added = address === undefined ? [] : [parseShard(address)]
      const { assigned = [], spares = [] } = state.assignment ?? {}
      return remoteKind({ ...options, shards: [...assigned, ...added, ...spares] })
    },
    shrunk(server) {
      const { assigned = [], spares = [] } = state.assignment ?? {}
      return remoteKind({ ...options, shards: [...assigned.filter((_, i) => i !== server), ...spares] })
    },
  }
}

interface State {
  assignment: Assignment | undefined
}

async function startRemote(
  spec: ResolvedSpec,
  events: ClusterEvents,
  o: RemoteOptions & { readonly state: State },
): Promise<Cluster> {
  const { servers, k, r } = spec.layout
  if (o.shards.length < servers) {
    throw new FtError(
      'INVALID_ARGUMENT',
      `openShards: \`shards\` must name ${servers} shards, got ${o.shards.length}; start another with \`npx @ft/ecrm shard\``,
      { servers, shards: o.shards.length },
    )
  }
  const window = k + r
  const lasting = await lastingRun(spec, o)
  const at = lasting?.found?.servers.map((server) => server?.address)
  const assignment = (o.state.assignment =
    at === undefined ? assignShards(o.shards, { servers, window }) : assignFound(o.shards, { at, window }))

  const places: Places = {
    token: tokenWords(o.token),
    tls: o.tls,
    take(server): Place {
      const { address } = assignment.take(server)
      return { address: Promise.resolve(address), ended: new Promise(() => undefined), kill: () => undefined }
    },
    dial: (address) => dial(address, o.tls),
    refill: () => undefined,
    attempts: Math.max(1, Math.ceil(o.patience / retryMs)),
    retry: retryMs,
    patience: answerMs,
    close: () => Promise.resolve(),
  }
  return startMembers(spec, events, { ...o, places, lasting })
}

/** The run as it is to be, or as the trainer before left it. */
async function lastingRun(spec: ResolvedSpec, o: RemoteOptions): Promise<LastingRun | undefined> {
  if (o.lasting === undefined) return undefined
  const { name, linger, resume } = o.lasting
  const run = runWords(name)
  if (!resume) return { run, linger, found: undefined }
  const addresses = o.shards.map(({ address }) => address)
  const how = { run, token: tokenWords(o.token), addresses, dial: (address: string) => dial(address, o.tls) }
  const found = await findRun({ ...how, patience: answerMs })
  return { run, linger, found: checkFound(found, { name, spec: packSpec({ ...spec }), r: spec.r }) }
}
