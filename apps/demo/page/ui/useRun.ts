// A run that a tab watches: in a worker of the page, or on the demo's server where there is one, as server-sent events.
import { useCallback, useEffect, useRef, useState } from 'react'
import { useWorker } from './worker.ts'

export type Place = 'page' | 'server'

export interface Run<Order> {
  readonly failure: string | undefined
  /** Whether a server with real processes is behind the page. */
  readonly served: boolean
  /** Ends what runs, and begins anew: with an order to the worker, or by asking the server with a query. */
  start(where: Place, order: Order, query: Readonly<Record<string, string | number>>): void
  /** Tells the worker, or the server: `api/<path>/<post>`. */
  tell(order: Order, post: string): void
}

interface RunOptions<News> {
  readonly begin: () => Worker
  /** On the server: `api/<path>`. */
  readonly path: string
  readonly hear: (news: News) => void
}

export function useRun<Order, News>({ begin, path, hear }: RunOptions<News>): Run<Order> {
  const [failed, setFailed] = useState<string>()
  const [served, setServed] = useState(false)
  const stream = useRef<EventSource>(undefined)
  const handler = useRef(hear)
  useEffect(() => {
    handler.current = hear
  })
  const { send, rest, failure } = useWorker<Order, News>(begin, (news) => {
    if (!stream.current) handler.current(news)
  })
  useEffect(() => {
    fetch('api/hello').then(
      (response) => setServed(response.ok),
      () => setServed(false),
    )
    return () => stream.current?.close()
  }, [])
  const start = useCallback<Run<Order>['start']>(
    (where, order, query) => {
      stream.current?.close()
      stream.current = undefined
      setFailed(undefined)
      if (where === 'page') return send(order)
      rest()
      const text = new URLSearchParams(Object.entries(query).map(([name, value]) => [name, String(value)]))
      const source = new EventSource(`api/${path}?${text.toString()}`)
      stream.current = source
      source.addEventListener('news', ({ data }: MessageEvent<string>) => handler.current(JSON.parse(data) as News))
      source.addEventListener('failed', ({ data }: MessageEvent<string>) =>
        setFailed((JSON.parse(data) as { why: string }).why),
      )
      source.addEventListener('done', () => source.close())
      source.onerror = () => {
        source.close()
        setFailed('the server ended the run, or is busy with another')
      }
    },
    [send, rest, path],
  )
  const tell = useCallback<Run<Order>['tell']>(
    (order, post) => {
      if (!stream.current) return send(order)
      fetch(`api/${path}/${post}`, { method: 'POST' }).catch((error: unknown) => setFailed(String(error)))
    },
    [send, path],
  )
  return { failure: failure ?? failed, served, start, tell }
}
