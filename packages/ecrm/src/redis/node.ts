// One connection to a Redis or Valkey node, and what must be known of the node itself.
import type { Redis } from 'ioredis'
import { FtError } from '@ft/core'
import { parseAddress, secrets, type TlsAuthority, type TlsFiles } from '../network/address.ts'

/** The client's class, as ioredis has it: whoever starts loads it (see load.ts). */
export type RedisClass = typeof Redis

export interface NodeOptions {
  readonly Client: RedisClass
  /** 'host:port', or a `redis://` or `rediss://` URL with name, password and number of the database. */
  readonly address: string
  readonly tls: TlsAuthority | TlsFiles | undefined
  /** Milliseconds in which it must answer. */
  readonly timeout: number
}

export interface RedisNode {
  readonly client: Redis
  /** Names this start of the process: another one means that what it holds is not what it held. */
  readonly runId: string
  /** A hash tag whose slot the node owns: keys with it stay here where the node is part of a cluster. */
  readonly tag: string
  drop(): void
}

/** An address without what is secret in it. */
export function nameOf(address: string): string {
  if (!address.includes('://')) return address
  const { host } = new URL(address)
  return host
}

/** @throws FtError `INVALID_ARGUMENT` */
export function checkNode(address: string): void {
  if (!address.includes('://')) return void parseAddress(address)
  if (!/^rediss?:\/\/[^/]+:\d+(\/\d+)?$/.test(address) || !URL.canParse(address))
    throw new FtError(
      'INVALID_ARGUMENT',
      'openShards: `redis` takes host:port or redis://name:password@host:port/number, got another kind of URL',
      {},
    )
}

/** Milliseconds that greetings may take at least: a busy machine needs some for keys and certificates. */
const SHORTEST = 1000

/** Connects once; nothing is tried again behind the caller's back. */
export async function connectNode({ Client, address, tls, timeout }: NodeOptions): Promise<RedisNode> {
  const limit = Math.max(timeout, SHORTEST)
  const how = {
    lazyConnect: true,
    connectTimeout: limit,
    enableReadyCheck: false,
    maxRetriesPerRequest: null,
    retryStrategy: () => null,
    ...(tls === undefined
      ? {}
      : { tls: { ...secrets(tls), ...(tls.servername ? { servername: tls.servername } : {}) } }),
  }
  const client = address.includes('://') ? new Client(address, how) : new Client({ ...parseAddress(address), ...how })
  let reason: unknown
  client.on('error', (cause) => (reason ??= cause))
  // A node that accepts and says nothing.
  const late = setTimeout(() => {
    reason ??= new FtError('IO', `no answer within ${limit} ms`, {})
    client.disconnect()
  }, limit)
  try {
    await client.connect()
    const facts = await client.info('server')
    const fact = (name: string): string => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(facts)?.[1] ?? ''
    // Valkey's name for it is the second one.
    const mode = fact('redis_mode') || fact('server_mode')
    const tag = mode === 'cluster' ? await ownTag(client, nameOf(address)) : '0'
    return { client, runId: fact('run_id'), tag, drop: () => client.disconnect() }
  } catch (error) {
    client.disconnect()
    throw reason ?? error
  } finally {
    clearTimeout(late)
  }
}

const mostTags = 20_000

/** A member of a cluster serves its slots only: of the numbers from 0, the first whose slot it has. */
async function ownTag(client: Redis, name: string): Promise<string> {
  const nodes = (await client.call('CLUSTER', 'NODES')) as string
  const own = nodes.split('\n').find((line) => line.split(' ')[2]?.includes('myself'))
  const ranges = (own?.split(' ').slice(8) ?? [])
    .filter((range) => !range.startsWith('['))
    .map((range) => range.split('-').map(Number))
  for (let tag = 0; ranges.length > 0 && tag < mostTags; tag++) {
    const slot = (await client.call('CLUSTER', 'KEYSLOT', `{${tag}}`)) as number
    if (ranges.some(([first, last = first]) => slot >= first! && slot <= last!)) return String(tag)
  }
  throw new FtError('UNSUPPORTED', `openShards: ${name} has no slots of its cluster; name the nodes that are masters`, {
    name,
  })
}
