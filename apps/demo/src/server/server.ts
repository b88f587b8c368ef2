// `--serve`: the page and what needs processes, on this machine's own address only.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { dirname, join } from 'node:path'
import { openEvents } from './events.ts'
import { headers, sendFile } from './files.ts'
import { createServingHost } from './serving.ts'
import { createShardsHost } from './shards.ts'
import { streamStory } from './story.ts'

export interface PageServerOptions {
  /** The built page. */
  readonly folder: string
  /** The command's own entry, to run the story with. */
  readonly entry: string
  /** Default: any free one. */
  readonly port?: number
}

export interface PageServer {
  readonly url: string
  close(): Promise<void>
}

export async function startPageServer({ folder, entry, port = 0 }: PageServerOptions): Promise<PageServer> {
  let running = 0
  const shards = createShardsHost(folder)
  // Built beside the command
  const serving = createServingHost(join(dirname(entry), 'linear.js'))
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    const url = new URL(request.url ?? '/', 'http://localhost')
    if (!isOwn(request) || (url.pathname.startsWith('/api/') && isFromElsewhere(request)))
      return refuse(response, 403, 'only this machine’s own pages')
    if (url.pathname === '/api/hello') return sendJson(response, { story: true })
    if (url.pathname === '/api/story') {
      // Each run takes both cores of a small machine
      if (running > 0) return refuse(response, 429, 'the story is being told already')
      running++
      const events = openEvents(request, response)
      response.once('close', () => running--)
      return streamStory(events, { entry, seed: seedOf(url) })
    }
    if (url.pathname === '/api/shards') {
      if (shards.busy) return refuse(response, 429, 'another page runs the shards')
      return void shards.start(openEvents(request, response), url.searchParams)
    }
    if (url.pathname.startsWith('/api/shards/') && request.method === 'POST') {
      const done =
        url.pathname === '/api/shards/kill' ? shards.kill(Number(url.searchParams.get('server'))) : shards.compare()
      return done ? sendJson(response, { done }) : refuse(response, 409, 'nothing runs, or there is no such server')
    }
    if (url.pathname === '/api/serving') {
      if (serving.busy) return refuse(response, 429, 'another page runs the clusters')
      return void serving.start(openEvents(request, response), url.searchParams)
    }
    if (url.pathname === '/api/serving/break' && request.method === 'POST') {
      const done = serving.strike(url.searchParams.get('how') ?? '')
      return done ? sendJson(response, { done }) : refuse(response, 409, 'nothing runs, or there is no such trouble')
    }
    if (request.method !== 'GET' && request.method !== 'HEAD') return refuse(response, 405, 'GET')
    void sendFile(folder, request, response).catch(() => refuse(response, 500, 'the file could not be read'))
  }
  const server = createServer(answer)
  await listen(server, port)
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    async close() {
      await Promise.all([shards.stop(), serving.stop()])
      await new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
    },
  }
}

/** A page of another site could make a browser ask this server: its requests carry another host or origin. */
function isOwn({ headers: { host = '', origin } }: IncomingMessage): boolean {
  const local = (name: string): boolean => name === '127.0.0.1' || name === 'localhost'
  if (!local(host.replace(/:\d+$/, ''))) return false
  return origin === undefined || (URL.canParse(origin) && local(new URL(origin).hostname))
}

/**
 * A picture or script of another site is asked for without an origin, yet browsers say where it stands. What is no browser
 * says nothing; 'none' is an address that someone typed.
 */
function isFromElsewhere({ headers: { 'sec-fetch-site': site } }: IncomingMessage): boolean {
  return site !== undefined && site !== 'same-origin' && site !== 'none'
}

function seedOf(url: URL): number {
  const seed = Number(url.searchParams.get('seed') ?? 1)
  return Number.isSafeInteger(seed) && seed > 0 ? seed : 1
}

function sendJson(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { ...headers, 'Content-Type': 'application/json', 'Cache-Control': 'no-store' })
  response.end(JSON.stringify(value))
}

function refuse(response: ServerResponse, status: number, why: string): void {
  if (!response.headersSent) response.writeHead(status, { ...headers, 'Content-Type': 'text/plain' })
  response.end(`${why}\n`)
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', () => {
      server.off('error', reject)
      resolve()
    })
  })
}
