// In which order a shard's process does things: a worker stands still until it is answered, servers can wait for each other.

export interface Turns {
  /** Whether what is between servers is being done. */
  readonly running: boolean
  /** Adds what is between servers: done in its turn, in the order in which it came. */
  add(what: () => void): void
  /** A worker's update was applied and its question follows: what is between servers waits for it, as long as `longestHold`. */
  hold(worker: number): void
  /** Its question was heard, and is answered ahead of the next turn. */
  release(worker: number): void
  clear(): void
}

/** In ms: the oldest of what waits has its turn after so long, whatever is expected. */
const longestHold = 5
/** In ms: how long what is between servers may take before sockets are read again. */
const slice = 0.3

/** @param before - called ahead of each turn, when every socket was read: answers to workers leave first */
export function createTurns(before: () => void): Turns {
  let waiting: (() => void)[] = []
  /** When the first of them came. */
  let since = 0
  const expected = new Set<number>()
  let immediate: NodeJS.Immediate | undefined
  let timer: NodeJS.Timeout | undefined
  let running = false

  /** Milliseconds until a turn may begin. */
  const left = (): number => (expected.size === 0 ? 0 : since + longestHold - performance.now())

  function schedule(): void {
    if (waiting.length === 0 || immediate !== undefined) return
    const wait = left()
    if (wait <= 0) {
      clearTimeout(timer)
      timer = undefined
      immediate = setImmediate(turn)
    } else
      timer ??= setTimeout(() => {
        timer = undefined
        schedule()
      }, wait)
  }

  function turn(): void {
    immediate = undefined
    before()
    // What a push set off was added before its worker was held for.
    if (left() > 0) return schedule()
    const begun = performance.now()
    // What comes meanwhile waits for the next turn; a part of what waits is done at least, so that it cannot grow without bound.
    const all = waiting
    const least = Math.ceil(all.length / 4)
    waiting = []
    let done = 0
    running = true
    while (done < all.length && (done < least || performance.now() - begun < slice)) all[done++]!()
    running = false
    // What is left is as old as it was: it is not held again.
    if (done < all.length) waiting = [...all.slice(done), ...waiting]
    else since = begun
    schedule()
  }

  return {
    get running() {
      return running
    },
    add(what) {
      if (waiting.push(what) === 1) since = performance.now()
      schedule()
    },
    hold: (worker) => void expected.add(worker),
    release(worker) {
      if (expected.delete(worker)) schedule()
    },
    clear() {
      waiting = []
      clearImmediate(immediate)
      clearTimeout(timer)
    },
  }
}
