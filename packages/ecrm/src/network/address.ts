// Where shards listen: 'host:port', IPv6 hosts in brackets.
import { connect as connectPlain, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { FtError } from '@ft/core'

/** Certificates for mutual TLS, PEM. Each side shows its own and accepts what the authority has signed. */
export interface TlsFiles {
  readonly ca: string | Uint8Array
  readonly cert: string | Uint8Array
  readonly key: string | Uint8Array
  /** The name that shards' certificates bear; default the host of the address. */
  readonly servername?: string
}

export interface HostPort {
  readonly host: string
  readonly port: number
}

/** @throws FtError `INVALID_ARGUMENT` */
export function parseAddress(text: string): HostPort {
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:[\]\s]+)):(\d{1,5})$/.exec(text) ?? []
  const host = bracketed ?? plain
  const port = Number(digits)
  if (host === undefined || port > 65_535)
    throw new FtError('INVALID_ARGUMENT', `shards: an address must be like host:port, got ${text}`, { address: text })
  return { host, port }
}

/** Opens a connection, encrypted where there are certificates. */
export function dial(address: string, tls: TlsFiles | undefined): Socket {
  const { host, port } = parseAddress(address)
  if (tls === undefined) return connectPlain(port, host)
  return connectTls({ host, port, ...secrets(tls), ...(tls.servername ? { servername: tls.servername } : {}) })
}

/** What Node's TLS takes of the certificates. */
export function secrets({ ca, cert, key }: TlsFiles): { ca: string; cert: string; key: string } {
  const text = (part: string | Uint8Array): string => (typeof part === 'string' ? part : new TextDecoder().decode(part))
  return { ca: text(ca), cert: text(cert), key: text(key) }
}
