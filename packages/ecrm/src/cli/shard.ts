// `ecrm shard`: a process that holds shards for trainers elsewhere who know its token.
import { readFile } from 'node:fs/promises'
import { FtError } from '@ft/core'
import type { Output } from '@ft/report'
import type { TlsAuthority, TlsFiles } from '../network/address.ts'
import { serveShards } from '../serveShards.ts'

export interface TlsFlags {
  readonly tlsCa?: string
  readonly tlsCert?: string
  readonly tlsKey?: string
}

export interface ShardFlags extends TlsFlags {
  readonly listen: string
  readonly tokenFile: string
}

const shortestToken = 16

export async function runShard(
  flags: ShardFlags,
  { output, signal }: { output: Output; signal: AbortSignal },
): Promise<void> {
  const { listen } = flags
  const tls = await readTls(flags)
  const shards = await serveShards({
    listen,
    token: await readToken(flags.tokenFile),
    ...(tls ? { tls } : {}),
    onRun(event, runs) {
      output.result({ type: event, runs })
      output.text(event === 'begun' ? `a run has begun; ${runs} here` : `a run has ended; ${runs} here`)
    },
  })
  output.result({ type: 'listening', address: shards.address })
  output.text(`listening at ${shards.address}`)
  if (tls === undefined && !/^(127\.|localhost:|\[::1\])/.test(listen))
    output.note(
      'without --tls-cert rows, and the digest that opens as the token does, travel in the clear: only in a network that you trust',
    )
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
  await shards.close()
}

/** @throws FtError `IO`, `INVALID_ARGUMENT` when the file holds too little */
export async function readToken(file: string): Promise<string> {
  const token = (await readFlagged(file, '--token-file')).trim()
  if (token.length >= shortestToken) return token
  throw new FtError(
    'INVALID_ARGUMENT',
    `ecrm: --token-file must hold at least ${shortestToken} characters, got ${token.length}; write \`openssl rand -hex 16\` to it`,
    { file },
  )
}

/** @throws FtError `IO`, `INVALID_ARGUMENT` when one of the three is missing */
export async function readTls({ tlsCa, tlsCert, tlsKey }: TlsFlags): Promise<TlsFiles | undefined> {
  if (tlsCa === undefined && tlsCert === undefined && tlsKey === undefined) return undefined
  if (tlsCa === undefined || tlsCert === undefined || tlsKey === undefined)
    throw new FtError(
      'INVALID_ARGUMENT',
      'ecrm: --tls-ca, --tls-cert and --tls-key belong together; give all three',
      {},
    )
  const [ca, cert, key] = await Promise.all([
    readFlagged(tlsCa, '--tls-ca'),
    readFlagged(tlsCert, '--tls-cert'),
    readFlagged(tlsKey, '--tls-key'),
  ])
  return { ca, cert, key }
}

/** Of Redis nodes: one that asks for no certificate needs the authority alone. */
export async function readNodeTls(flags: TlsFlags): Promise<TlsAuthority | TlsFiles | undefined> {
  const { tlsCa, tlsCert, tlsKey } = flags
  if (tlsCa === undefined || tlsCert !== undefined || tlsKey !== undefined) return readTls(flags)
  return { ca: await readFlagged(tlsCa, '--tls-ca') }
}

async function readFlagged(file: string, flag: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (cause) {
    throw new FtError('IO', `ecrm: ${flag} ${file} cannot be read; name a file that can`, { file }, { cause })
  }
}
