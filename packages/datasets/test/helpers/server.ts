// A file server on the loopback address that misbehaves on demand.
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface TestServer {
  readonly url: string
  /** 'path range' of each request, in order. */
  readonly requests: string[]
  /** Answers for paths; absent: 404. */
  readonly files: Map<string, Uint8Array>
  /** Cut the connection after so many bytes of the next answers. */
  cutAfter: number | undefined
  /** Answer 200 with the whole file whatever the range. */
  ignoreRange: boolean
  /** Status for every answer. */
  status: number | undefined
  close(): Promise<void>
}

export async function startServer(): Promise<TestServer> {
  const files = new Map<string, Uint8Array>()
  const requests: string[] = []
  const state = {
    cutAfter: undefined as number | undefined,
    ignoreRange: false,
    status: undefined as number | undefined,
  }
  const server: Server = createServer((request, response) => {
    const path = request.url ?? ''
    requests.push(`${path} ${request.headers.range ?? ''}`.trim())
    const file = files.get(path)
    if (file === undefined || state.status !== undefined) {
      response.writeHead(state.status ?? 404).end('no')
      return
    }
    const from = state.ignoreRange ? 0 : startOf(request)
    if (from >= file.length && from > 0) {
      response.writeHead(416, { 'content-range': `bytes */${file.length}` }).end()
      return
    }
    const part = file.subarray(from)
    response.writeHead(from > 0 ? 206 : 200, {
      'content-length': part.length,
      ...(from > 0 ? { 'content-range': `bytes ${from}-${file.length - 1}/${file.length}` } : {}),
    })
    if (state.cutAfter === undefined) response.end(part)
    // The bytes before the cut must have left before the connection goes.
    else response.write(part.subarray(0, state.cutAfter), () => setTimeout(() => response.destroy(), 20))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return Object.assign(state, {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    files,
    close: () =>
      new Promise<void>((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      }),
  })
}

const startOf = (request: IncomingMessage): number =>
  Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0)
