// Holding shards, or owning Redis nodes, for trainers elsewhere, as `ecrm shard` does.
import { invalidArgument } from '@ft/core'
import { checkServeNames } from './knownOptions.ts'
import type { TlsFiles } from './network/address.ts'

export interface ServeOptions {
  /** 'host:port'; port 0: any that is free. */
  readonly listen: string
  /** A secret that trainers must know. */
  readonly token: string
  /** Certificates: connections are then encrypted, and only who shows one of the authority's is let in. */
  readonly tls?: TlsFiles
  /** Milliseconds without a word of a trainer after which its run is over; default 60,000. */
  readonly idle?: number
  /** Told of runs that begin here and end, and how many are left. */
  readonly onRun?: (event: 'begun' | 'ended', runs: number) => void
}

export interface ServedShards {
  /** What trainers name in `shards`. */
  readonly address: string
  /** Ends every run's part here at once: a trainer sees a dead server. */
  close(): Promise<void>
}

/**
 * Listens for trainers and gives each run a shard in this process, which needs Node, or owns its Redis nodes. A run's rows are gone
 * when its trainer is.
 *
 * @throws FtError `INVALID_ARGUMENT`, `IO` when the address cannot be listened at
 */
export async function serveShards(options: ServeOptions): Promise<ServedShards> {
  checkServeNames(options)
  const { listen, token, tls, idle = 60_000, onRun } = options
  if (typeof token !== 'string' || token === '')
    throw invalidArgument({ where: 'serveShards', argument: 'token' }, 'a secret that trainers must know', typeof token)
  const [{ hostShards }, { tokenWords }, { parseAddress }, { loadRedis }] = await Promise.all([
    import('./network/shardHost.ts'),
    import('./network/remote.ts'),
    import('./network/address.ts'),
    import('./redis/load.ts'),
  ])
  const { host, port } = parseAddress(listen)
  const how = { ...(tls ? { tls } : {}), ...(onRun ? { onRun } : {}) }
  const hosted = await hostShards({ token: tokenWords(token), host, port, idle, redis: loadRedis, ...how })
  return { address: `${host.includes(':') ? `[${host}]` : host}:${hosted.port}`, close: () => hosted.close() }
}
