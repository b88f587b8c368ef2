// Server-sent events: one stream to each page that listens.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { headers } from './files.ts'

export interface EventStream {
  send(event: string, data: unknown): void
  end(): void
  /** Aborted when the page has gone. */
  readonly gone: AbortSignal
}

export function openEvents(request: IncomingMessage, response: ServerResponse): EventStream {
  const gone = new AbortController()
  response.writeHead(200, { ...headers, 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' })
  request.once('close', () => gone.abort())
  response.once('close', () => gone.abort())
  return {
    send(event, data) {
      if (!response.writableEnded) response.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`)
    },
    end: () => void response.end(),
    gone: gone.signal,
  }
}
