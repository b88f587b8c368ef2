// A run with shards in this worker's own memory: a kill throws a shard's memory away.
import { loadFlightsSample } from '../data/format.ts'
import type { News, Order } from './messages.ts'
import { runShards, type ShardsRun } from './run.ts'

const flights = loadFlightsSample()
let current: { readonly run: ShardsRun; readonly stop: AbortController } | undefined
let starts = 0

onmessage = ({ data }: MessageEvent<Order>) => {
  if (data.kind === 'kill') current?.run.kill(data.server)
  else if (data.kind === 'compare') current?.run.compare()
  else void begin(data)
}

async function begin({ settings }: Extract<Order, { kind: 'start' }>): Promise<void> {
  const own = ++starts
  current?.stop.abort()
  await current?.run.ended
  const sample = await flights
  if (own !== starts) return
  const stop = new AbortController()
  const tell = (news: News): void => {
    if (own === starts) postMessage(news)
  }
  current = { stop, run: runShards({ flights: sample, settings, signal: stop.signal, tell }) }
}
