// The shards tab with real processes: one run at a time, told as events, killed by request.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { openShards } from '@ft/ecrm'
import { parseFlightsSample } from '../../page/data/format.ts'
import { runShards, type ShardsRun } from '../../page/shards/run.ts'
import type { EventStream } from './events.ts'
import { within } from './query.ts'

export interface ShardsHost {
  readonly busy: boolean
  start(events: EventStream, query: URLSearchParams): Promise<void>
  /** @returns false where nothing runs or there is no such server */
  kill(server: number): boolean
  compare(): boolean
  stop(): Promise<void>
}

export function createShardsHost(folder: string): ShardsHost {
  let current: { readonly run: ShardsRun; readonly servers: number; readonly stop: AbortController } | undefined
  let busy = false
  return {
    get busy() {
      return busy
    },
    async start(events, query) {
      busy = true
      const stop = new AbortController()
      events.gone.addEventListener('abort', () => stop.abort(), { once: true })
      try {
        const { buffer, byteOffset, byteLength } = await readFile(join(folder, 'flights.bin'))
        const flights = parseFlightsSample(buffer.slice(byteOffset, byteOffset + byteLength))
        const settings = {
          seed: Math.round(within(query, 'seed', [1, 999_999])),
          r: Math.round(within(query, 'r', [1, 2])) === 2 ? (2 as const) : (1 as const),
          pace: Math.round(within(query, 'pace', [2, 60])),
          sweep: Math.round(within(query, 'sweep', [1, 200])),
        }
        const run = runShards({
          flights,
          settings,
          open: openShards,
          signal: stop.signal,
          tell: (news) => events.send('news', news),
        })
        current = { run, servers: 4 + settings.r, stop }
        await run.ended
        events.send('done', {})
      } finally {
        current = undefined
        busy = false
        events.end()
      }
    },
    kill(server) {
      if (!current || !Number.isInteger(server) || server < 0 || server >= current.servers) return false
      current.run.kill(server)
      return true
    },
    compare() {
      current?.run.compare()
      return current !== undefined
    },
    async stop() {
      current?.stop.abort()
      await current?.run.ended
    },
  }
}
