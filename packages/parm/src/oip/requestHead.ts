// The head of a request as almost every client writes it. What is written in any other way is none of this reader's business:
// it gives undefined, and the bytes go to Node's own reader.
import type { IncomingHttpHeaders } from 'node:http'
import { travelling } from './respond.ts'

export interface RequestHead {
  readonly method: string
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly travelling: Readonly<Record<string, string>>
  /** Of the body, in bytes. */
  readonly length: number
  /** The head's own bytes, its empty line included. */
  readonly bytes: Buffer
}

const LONGEST_HEAD = 8 << 10
const MOST_FIELDS = 64
const startLine = /^(GET|POST) (\/[\x21-\x7e]*) HTTP\/1\.1$/
/** Name and value, the space around it left out; tabs are the only control characters. */
const fieldLine =
  /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*((?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?)[ \t]*$/
/** They change how a message is read, or ask for more than an answer. */
const strange = new Set([
  'transfer-encoding',
  'content-encoding',
  'expect',
  'upgrade',
  'trailer',
  'te',
  'http2-settings',
  'proxy-connection',
])

/**
 * The head that bytes begin with, when all of it is there and it is plain: GET or POST in HTTP/1.1 with an absolute path, one
 * Host, at most one Content-Length, no field twice and none that changes how the message is read.
 */
export function readRequestHead(bytes: Buffer): RequestHead | undefined {
  const end = bytes.indexOf('\r\n\r\n')
  if (end < 0 || end > LONGEST_HEAD) return undefined
  const [start = '', ...fields] = bytes.toString('latin1', 0, end).split('\r\n')
  const [, method, url] = startLine.exec(start) ?? []
  if (method === undefined || url === undefined || fields.length > MOST_FIELDS) return undefined
  // Names of fields come from outside
  const headers = Object.create(null) as Record<string, string>
  for (const field of fields) {
    const [, given, value] = fieldLine.exec(field) ?? []
    if (given === undefined || value === undefined) return undefined
    const name = given.toLowerCase()
    if (name in headers || strange.has(name)) return undefined
    headers[name] = value
  }
  const { host, connection = 'keep-alive' } = headers
  const length = headers['content-length'] ?? '0'
  if (host === undefined || connection.toLowerCase() !== 'keep-alive' || !/^\d{1,15}$/.test(length)) return undefined
  const own = Buffer.from(bytes.subarray(0, end + 4))
  return { method, url, headers, travelling: travelling(headers), length: Number(length), bytes: own }
}

/** A reader that knows the last head: clients send the same one again and again. */
export function createHeadReader(): (bytes: Buffer) => RequestHead | undefined {
  let last: RequestHead | undefined
  return (bytes) => {
    const known = last?.bytes
    if (known && bytes.length >= known.length && known.compare(bytes, 0, known.length) === 0) return last
    const head = readRequestHead(bytes)
    if (head) last = head
    return head
  }
}
