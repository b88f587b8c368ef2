// Shards in processes that run elsewhere: `ecrm shard --listen`. They are given parts, watched and replaced, not started.
import { createHash } from 'node:crypto'
import { FtError } from '@ft/core'
import type { ResolvedSpec } from '../shard/spec.ts'
import { dial, parseAddress, type TlsFiles } from './address.ts'
import type { Cluster, ClusterEvents, ClusterKind } from './cluster.ts'
import { assignShards, checkDistinct, parseShard, type Assignment, type RemoteShard } from './assignment.ts'
import { startMembers, type MemberOptions, type Place, type Places } from './members.ts'

export interface RemoteOptions extends MemberOptions {
  readonly shards: readonly RemoteShard[]
  readonly token: string
  readonly tls: TlsFiles | undefined
  /** Milliseconds in which a dead server must come back, or one that stands by take its place. */
  readonly patience: number
}

const retryMs = 200
const answerMs = 5_000

/** The token as it is sent: a digest, so that its length is fixed and the text itself stays here. */
export function tokenWords(token: string): Uint32Array {
  const digest = createHash('sha256').update(`@ft/ecrm ${token}`).digest()
  return new Uint32Array(new Uint8Array(digest).buffer)
}

/** Shards elsewhere as a kind of servers: the first `servers` of the list hold rows, the others stand by. */
export function remoteKind(options: RemoteOptions): ClusterKind {
  const { shards } = options
  for (const { address } of shards) parseAddress(address)
  checkDistinct(shards, 'shards')
  /** Who is which server at present, and who stands by. */
  const state: State = { assignment: undefined }
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

function startRemote(
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
  const assignment = (o.state.assignment = assignShards(o.shards, { servers, window: k + r }))

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
  return startMembers(spec, events, { ...o, places })
}
