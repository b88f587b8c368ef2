// A worker for as long as a tab is open. Messages are plain data; the newest handler hears them.
import { useCallback, useEffect, useRef, useState } from 'react'

export interface WorkerHandle<Order> {
  /** Starts the worker anew where it rests. */
  send(order: Order): void
  /** Ends the worker and what it does. */
  rest(): void
  /** What went wrong in it, if anything. */
  readonly failure: string | undefined
}

export function useWorker<Order, News>(start: () => Worker, hear: (news: News) => void): WorkerHandle<Order> {
  const worker = useRef<Worker>(undefined)
  const handler = useRef(hear)
  const [failure, setFailure] = useState<string>()
  useEffect(() => {
    handler.current = hear
  })
  const running = useCallback((): Worker => {
    if (worker.current) return worker.current
    const own = start()
    worker.current = own
    own.onmessage = ({ data }: MessageEvent<News>) => handler.current(data)
    own.onerror = (event) => setFailure(event.message || 'the worker could not be started')
    return own
  }, [])
  const rest = useCallback(() => {
    worker.current?.terminate()
    worker.current = undefined
  }, [])
  useEffect(() => {
    running()
    return rest
  }, [running, rest])
  const send = useCallback((order: Order) => running().postMessage(order), [running])
  return { send, rest, failure }
}
