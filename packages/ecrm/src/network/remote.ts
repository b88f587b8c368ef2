// Shards in processes that run elsewhere: `ecrm shard --listen`. They are given parts, watched and replaced, not started.
import { createHash } from 'node:crypto'
import { FtError } from '@ft/core'
import type { ResolvedSpec } from '../shard/spec.ts'
import { dial, parseAddress, type TlsFiles } from './address.ts'
import type { Cluster, ClusterEvents, ClusterKind } from './cluster.ts'
import { arrangeDomains, fitsDomain } from './domains.ts'
import { startMembers, type MemberOptions, type Place, type Places } from './members.ts'

export interface RemoteShard {
  /** 'host:port' */
  readonly address: string
  /** What it dies with: a machine, a rack. A stripe's rows are never in one domain twice. */
  readonly domain?: string
}

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
  for (const { address } of shards) {
    parseAddress(address)
    if (shards.filter((other) => other.address === address).length > 1)
      throw new FtError('INVALID_ARGUMENT', `openShards: \`shards\` names ${address} twice; name each once`, {
        address,
      })
  }
  /** Who is which server at present, and who stands by. */
  const state: Assignment = { assigned: [], spares: [] }
  return {
    start: (spec, events) => startRemote(spec, events, { ...options, state }),
    grown(address) {
      const added = address === undefined ? [] : [parseShard(address)]
      return remoteKind({ ...options, shards: [...state.assigned, ...added, ...state.spares] })
    },
    shrunk: (server) =>
      remoteKind({ ...options, shards: [...state.assigned.filter((_, i) => i !== server), ...state.spares] }),
  }
}

interface Assignment {
  assigned: RemoteShard[]
  spares: RemoteShard[]
}

/** 'host:port', or 'host:port=domain'. */
export function parseShard(text: string): RemoteShard {
  const at = text.indexOf('=')
  return at < 0 ? { address: text } : { address: text.slice(0, at), domain: text.slice(at + 1) }
}

function startRemote(
  spec: ResolvedSpec,
  events: ClusterEvents,
  o: RemoteOptions & { readonly state: Assignment },
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
  const chosen = o.shards.slice(0, servers)
  const order = arrangeDomains(
    chosen.map(({ domain }) => domain),
    window,
  )
  const assigned = (o.state.assigned = order.map((i) => chosen[i]!))
  const spares = (o.state.spares = o.shards.slice(servers))
  const taken = new Array<boolean>(servers).fill(false)

  const places: Places = {
    token: tokenWords(o.token),
    take(server): Place {
      if (taken[server]) {
        // The dead one goes behind those that stand by: it may come back.
        spares.push(assigned[server]!)
        const domains = assigned.map(({ domain }) => domain)
        const fits = spares.findIndex(({ domain }) => fitsDomain(domains, { at: server, window, domain }))
        assigned[server] = spares.splice(fits, 1)[0]!
      }
      taken[server] = true
      const { address } = assigned[server]!
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
