// A run of shards as the tab sees it.
import { useCallback, useState } from 'react'
import { useRun, type Place } from '../ui/useRun.ts'
import type { Compared, News, Order, RunSettings, View } from './messages.ts'

export interface Shards {
  readonly view: View | undefined
  readonly compared: Compared | undefined
  readonly failure: string | undefined
  /** Whether a server with real processes is behind the page. */
  readonly served: boolean
  start(settings: RunSettings, where: Place): void
  kill(server: number): void
  compare(): void
}

const begin = () => new Worker(new URL('./shards.worker.ts', import.meta.url), { type: 'module' })

export function useShards(): Shards {
  const [view, setView] = useState<View>()
  const [compared, setCompared] = useState<Compared>()
  const [failed, setFailed] = useState<string>()
  const hear = (news: News) => {
    if (news.kind === 'view') setView(news)
    else if (news.kind === 'compared') setCompared(news)
    else setFailed(news.why)
  }
  const run = useRun<Order, News>({ begin, path: 'shards', hear })
  return {
    view,
    compared,
    failure: run.failure ?? failed,
    served: run.served,
    start: useCallback(
      (settings, where) => {
        setCompared(undefined)
        setFailed(undefined)
        setView(undefined)
        run.start(where, { kind: 'start', settings }, { ...settings })
      },
      [run.start],
    ),
    kill: useCallback((server) => run.tell({ kind: 'kill', server }, `kill?server=${server}`), [run.tell]),
    compare: useCallback(() => run.tell({ kind: 'compare' }, 'compare'), [run.tell]),
  }
}
