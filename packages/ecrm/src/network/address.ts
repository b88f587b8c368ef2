// Where shards listen: 'host:port', IPv6 hosts in brackets; 'unix:' and a path for those that a trainer starts beside it.
import { connect as connectPlain, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { FtError } from '@ft/core'

/** Whom to believe who they are, PEM. */
export interface TlsAuthority {
  readonly ca: string | Uint8Array
  /** The name that the other sides' certificates bear; default the host of the address. */
  readonly servername?: string
}

/** Certificates for mutual TLS, PEM. Each side shows its own and accepts what the authority has signed. */
export interface TlsFiles extends TlsAuthority {
  readonly cert: string | Uint8Array
  readonly key: string | Uint8Array
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

const local = 'unix:'

/** The address of a socket in the file system. */
export const localAddress = (path: string): string => `${local}${path}`

/** The event of a dialled socket that has read something; the bytes are good until its listener returns. */
export const landed = 'landed'

/**
 * Where what is read lands, in turn of all sockets of this thread: what is taken out of it is all that must be allocated. A socket's
 * own way is 64 KiB for whatever it reads, which V8 then collects.
 */
const landing = new Uint8Array(65_536)

/** Opens a connection, encrypted where there are certificates; it has 'landed' events, or with encryption 'data' events. */
export function dial(address: string, tls: TlsFiles | undefined): Socket {
  if (address.startsWith(local)) return connectLanding({ path: address.slice(local.length) })
  const { host, port } = parseAddress(address)
  if (tls === undefined) return connectLanding({ host, port })
  return connectTls({ host, port, ...secrets(tls), ...(tls.servername ? { servername: tls.servername } : {}) })
}

function connectLanding(to: { path: string } | HostPort): Socket {
  const socket: Socket = connectPlain({
    ...to,
    onread: {
      buffer: landing,
      callback(length, bytes) {
        socket.emit(landed, bytes.subarray(0, length))
        return true
      },
    },
  })
  return socket
}

/** What Node's TLS takes of the certificates. */
export function secrets(tls: TlsAuthority | TlsFiles): { ca: string; cert?: string; key?: string } {
  const text = (part: string | Uint8Array): string => (typeof part === 'string' ? part : new TextDecoder().decode(part))
  return { ca: text(tls.ca), ...('cert' in tls ? { cert: text(tls.cert), key: text(tls.key) } : {}) }
}
