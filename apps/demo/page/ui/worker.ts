// A worker for as long as a tab is open. Messages are plain data; the newest handler hears them.
import { useCallback, useEffect, useRef, useState } from 'react'

export interface WorkerHandle<Order> {
  send(order: Order): void
  /** What went wrong in it, if anything. */
  readonly failure: string | undefined
}

export function useWorker<Order, News>(start: () => Worker, hear: (news: News) => void): WorkerHandle<Order> {
  const worker = useRef<Worker>(undefined)
  const waiting = useRef<Order[]>([])
  const handler = useRef(hear)
  const [failure, setFailure] = useState<string>()
  useEffect(() => {
    handler.current = hear
  })
  useEffect(() => {
    const own = start()
    worker.current = own
    own.onmessage = ({ data }: MessageEvent<News>) => handler.current(data)
    own.onerror = (event) => setFailure(event.message || 'the worker could not be started')
    for (const order of waiting.current.splice(0)) own.postMessage(order)
    return () => {
      own.terminate()
      worker.current = undefined
    }
  }, [])
  const send = useCallback((order: Order) => {
    if (worker.current) worker.current.postMessage(order)
    else waiting.current.push(order)
  }, [])
  return { send, failure }
}
