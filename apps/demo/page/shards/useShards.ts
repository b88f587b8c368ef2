// A run of shards as the tab sees it: in a worker, or on the demo's server where there is one.
import { useCallback, useEffect, useRef, useState } from 'react'
import { useWorker } from '../ui/worker.ts'
import type { Compared, News, Order, RunSettings, View } from './messages.ts'

export interface Shards {
  readonly view: View | undefined
  readonly compared: Compared | undefined
  readonly failure: string | undefined
  /** Whether a server with real processes is behind the page. */
  readonly served: boolean
  start(settings: RunSettings, where: 'page' | 'server'): void
  kill(server: number): void
  compare(): void
}

const begin = () => new Worker(new URL('./shards.worker.ts', import.meta.url), { type: 'module' })

export function useShards(): Shards {
  const [view, setView] = useState<View>()
  const [compared, setCompared] = useState<Compared>()
  const [failed, setFailed] = useState<string>()
  const [served, setServed] = useState(false)
  const stream = useRef<EventSource>(undefined)
  const hear = useCallback((news: News) => {
    if (news.kind === 'view') setView(news)
    else if (news.kind === 'compared') setCompared(news)
    else setFailed(news.why)
  }, [])
  const { send, failure } = useWorker<Order, News>(begin, (news) => {
    if (!stream.current) hear(news)
  })
  useEffect(() => {
    fetch('api/hello').then(
      (response) => setServed(response.ok),
      () => setServed(false),
    )
    return () => stream.current?.close()
  }, [])
  const start = useCallback(
    (settings: RunSettings, where: 'page' | 'server') => {
      stream.current?.close()
      stream.current = undefined
      setCompared(undefined)
      setFailed(undefined)
      setView(undefined)
      if (where === 'page') return send({ kind: 'start', settings })
      const query = new URLSearchParams(Object.entries(settings).map(([name, value]) => [name, String(value)]))
      const source = new EventSource(`api/shards?${query.toString()}`)
      stream.current = source
      source.addEventListener('news', ({ data }: MessageEvent<string>) => hear(JSON.parse(data) as News))
      source.addEventListener('done', () => source.close())
      source.onerror = () => {
        source.close()
        setFailed('the server ended the run, or is busy with another')
      }
    },
    [send, hear],
  )
  const order = useCallback(
    (order: Exclude<Order, { kind: 'start' }>) => {
      if (!stream.current) return send(order)
      const what = order.kind === 'kill' ? `kill?server=${order.server}` : order.kind
      fetch(`api/shards/${what}`, { method: 'POST' }).catch((error: unknown) => setFailed(String(error)))
    },
    [send],
  )
  return {
    view,
    compared,
    failure: failure ?? failed,
    served,
    start,
    kill: useCallback((server) => order({ kind: 'kill', server }), [order]),
    compare: useCallback(() => order({ kind: 'compare' }), [order]),
  }
}
