// Which of the places that were named is which server, and which stand by: servers that are given places, not started.
import { FtError } from '@ft/core'
import { arrangeDomains, fitsDomain } from './domains.ts'

export interface RemoteShard {
  /** 'host:port' */
  readonly address: string
  /** What it dies with: a machine, a rack. A stripe's rows are never in one domain twice. */
  readonly domain?: string
}

export interface Assignment {
  /** By server. */
  readonly assigned: readonly RemoteShard[]
  readonly spares: readonly RemoteShard[]
  /** A place for a server; asked again when that one died. */
  take(server: number): RemoteShard
}

/** 'host:port', or 'host:port=domain'. */
export function parseShard(text: string): RemoteShard {
  const at = text.indexOf('=')
  return at < 0 ? { address: text } : { address: text.slice(0, at), domain: text.slice(at + 1) }
}

/** @throws FtError `INVALID_ARGUMENT` when an address is named twice */
export function checkDistinct(shards: readonly RemoteShard[], option: string): void {
  const seen = new Set<string>()
  for (const { address } of shards) {
    if (seen.has(address)) {
      const text = `openShards: \`${option}\` names ${address} twice; name each once`
      throw new FtError('INVALID_ARGUMENT', text, { address })
    }
    seen.add(address)
  }
}

/**
 * The first `servers` places hold rows, in an order that keeps a stripe's rows apart; the others stand by.
 *
 * @throws FtError `INVALID_ARGUMENT` when the labels do not allow it
 */
export function assignShards(
  shards: readonly RemoteShard[],
  { servers, window }: { servers: number; window: number },
): Assignment {
  const chosen = shards.slice(0, servers)
  const order = arrangeDomains(
    chosen.map(({ domain }) => domain),
    window,
  )
  const assigned = order.map((i) => chosen[i]!)
  const spares = shards.slice(servers)
  return keepAssigned({ assigned, spares, taken: new Array<boolean>(servers).fill(false), window })
}

/**
 * Places of a run that is there already: who is which server is known, and one that is lost gets another place.
 *
 * @param at - by server, the address of the place; undefined: it is lost
 */
export function assignFound(
  shards: readonly RemoteShard[],
  { at, window }: { at: readonly (string | undefined)[]; window: number },
): Assignment {
  const spares = shards.filter(({ address }) => !at.includes(address))
  const assigned = at.map((address) => shards.find((shard) => shard.address === address))
  return keepAssigned({ assigned, spares, taken: assigned.map((shard) => shard === undefined), window })
}

function keepAssigned({
  assigned: begun,
  spares,
  taken,
  window,
}: {
  readonly assigned: readonly (RemoteShard | undefined)[]
  readonly spares: RemoteShard[]
  /** Servers whose place, if they had one, is asked for because it is dead. */
  readonly taken: boolean[]
  readonly window: number
}): Assignment {
  const assigned = begun.slice()
  return {
    assigned: assigned as RemoteShard[],
    spares,
    take(server) {
      if (taken[server]) {
        // The dead one goes behind those that stand by: it may come back.
        const dead = assigned[server]
        if (dead !== undefined) spares.push(dead)
        const domains = assigned.map((shard) => shard?.domain)
        const fits = spares.findIndex(({ domain }) => fitsDomain(domains, { at: server, window, domain }))
        if (fits < 0)
          throw new FtError(
            'INVALID_ARGUMENT',
            `openShards: no shard can take the place of server ${server}; start another with \`npx @ft/ecrm shard\` and name it`,
            { server },
          )
        assigned[server] = spares.splice(fits, 1)[0]!
      }
      taken[server] = true
      return assigned[server]!
    },
  }
}
