// An open-loop Poisson load: queries are due at times fixed beforehand, and a query's latency counts from the moment it
// was due, whatever the generator or the machine was doing then (no coordinated omission).
import { createRandom } from '@ft/core/random'

export interface LoadOptions {
  readonly ratePerSecond: number
  readonly queries: number
  readonly seed: number
  /** Asks the i-th query; resolves when its answer is there. Rejections count as answers that did not come. */
  readonly ask: (i: number) => Promise<void>
}

export interface LoadResult {
  /** Milliseconds from due to answered, in the order of the queries. */
  readonly latencies: Float64Array
  /** Milliseconds by which queries were sent after they were due: the generator's and the machine's own delay. */
  readonly lags: Float64Array
  readonly unanswered: number
}

/** Sends all queries and waits for all answers. */
export async function openLoop({ ratePerSecond, queries, seed, ask }: LoadOptions): Promise<LoadResult> {
  const random = createRandom(seed).stream('arrivals')
  const latencies = new Float64Array(queries)
  const lags = new Float64Array(queries)
  const running: Promise<void>[] = []
  let unanswered = 0
  let due = performance.now() + 5
  for (let i = 0; i < queries; i++) {
    due += random.exponential(ratePerSecond / 1000)
    // Timers fire up to a millisecond early, or late: early ones wait again
    for (let wait = due - performance.now(); wait > 0.05; wait = due - performance.now())
      await new Promise((resolve) => (wait > 1 ? setTimeout(resolve, wait) : setImmediate(resolve)))
    const own = due
    lags[i] = performance.now() - own
    running.push(
      ask(i)
        .catch(() => {
          unanswered++
        })
        .then(() => {
          latencies[i] = performance.now() - own
        }),
    )
  }
  await Promise.all(running)
  return { latencies, lags, unanswered }
}
