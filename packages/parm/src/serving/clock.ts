// Time as an object, so that the policies that serve requests also run on a virtual clock in tests and simulations.

/** Milliseconds since some fixed moment, and calls at later moments. */
export interface Clock {
  now(): number
  /** Calls back once after a delay in milliseconds (at least 0); the returned function takes the call back. */
  schedule(delayMs: number, callback: () => void): () => void
}

/**
 * The machine's monotonic clock.
 *
 * Guarantees: a call never comes before its time by this clock (Node's timers may fire up to a millisecond early).
 */
export function systemClock(): Clock {
  return {
    now: () => performance.now(),
    schedule(delayMs, callback) {
      const due = performance.now() + delayMs
      const fire = () => {
        const left = due - performance.now()
        if (left <= 0) callback()
        else timer = setTimeout(fire, Math.max(1, left))
      }
      let timer = setTimeout(fire, Math.max(0, delayMs))
      return () => clearTimeout(timer)
    },
  }
}

export interface VirtualClock extends Clock {
  /** Runs scheduled calls in the order of their time (and of scheduling, at equal times) up to a moment. */
  advanceTo(timeMs: number): void
  /** Runs all scheduled calls; at most `limit`, default a million. */
  run(limit?: number): void
}

/** A clock that moves only when told to. Cost: O(log n) a call. */
export function virtualClock(): VirtualClock {
  interface Entry {
    readonly due: number
    readonly order: number
    callback: (() => void) | undefined
  }
  const heap: Entry[] = []
  let now = 0
  let order = 0
  const before = (a: Entry, b: Entry) => a.due < b.due || (a.due === b.due && a.order < b.order)
  const at = (i: number) => heap[i] as Entry
  const swap = (i: number, j: number) => {
    ;[heap[i], heap[j]] = [at(j), at(i)]
  }
  function push(entry: Entry): void {
    let i = heap.push(entry) - 1
    while (i > 0 && before(at(i), at((i - 1) >> 1))) {
      swap(i, (i - 1) >> 1)
      i = (i - 1) >> 1
    }
  }
  function pop(): Entry {
    const top = at(0)
    const last = heap.pop() as Entry
    if (heap.length === 0) return top
    heap[0] = last
    for (let i = 0; ;) {
      let least = i
      for (const child of [2 * i + 1, 2 * i + 2]) if (child < heap.length && before(at(child), at(least))) least = child
      if (least === i) return top
      swap(i, least)
      i = least
    }
  }
  function runNext(): void {
    const { due, callback } = pop()
    if (!callback) return
    now = Math.max(now, due)
    callback()
  }
  return {
    now: () => now,
    schedule(delayMs, callback) {
      const entry: Entry = { due: now + Math.max(0, delayMs), order: order++, callback }
      push(entry)
      return () => {
        entry.callback = undefined
      }
    },
    advanceTo(timeMs) {
      while (heap.length > 0 && at(0).due <= timeMs) runNext()
      now = Math.max(now, timeMs)
    },
    run(limit = 1_000_000) {
      for (let i = 0; i < limit && heap.length > 0; i++) runNext()
    },
  }
}
