// Delays of the flights that have landed lately, at an airport or on a route: integer sums that flights enter when
// they land and leave when they grow old, so that no order of events changes a bit of them.

/** A flight counts as late when it arrives more than this many minutes after its schedule. */
export const LATE_MINUTES = 15
/** Recorded delays go from -1,116 to 1,688 minutes; one of them must not make a mean. */
const LEAST_DELAY = -30
const MOST_DELAY = 180
/** Hours since the last landing are counted up to here, and are this when there was none. */
const MOST_HOURS = 24

/** Names of the values that `writeRecent` writes, in order. */
export const RECENT_VALUES = ['meanDelayHours', 'shareLate', 'logCount', 'hoursSinceLast'] as const

/** Counts over a window of `windowMinutes`, for each of `size` keys (airports or routes). */
export interface RecentDelays {
  readonly windowMinutes: number
  /** Key of each flight. */
  readonly key: ArrayLike<number>
  readonly count: Int32Array
  readonly late: Int32Array
  /** Sum of clipped delays, in minutes. */
  readonly sum: Int32Array
  /** Minute of the last landing, whether or not it is still in the window. */
  readonly last: Float64Array
  /** How many landings have left the window. */
  gone: number
}

export function recentDelays(windowHours: number, key: ArrayLike<number>, size: number): RecentDelays {
  return {
    windowMinutes: windowHours * 60,
    key,
    count: new Int32Array(size),
    late: new Int32Array(size),
    sum: new Int32Array(size),
    last: new Float64Array(size).fill(-Infinity),
    gone: 0,
  }
}

const clipped = (delay: number): number => Math.min(MOST_DELAY, Math.max(LEAST_DELAY, delay))

/** A flight lands. */
export function enter(recent: RecentDelays, flight: number, delay: number, minute: number): void {
  const k = recent.key[flight]!
  recent.count[k]!++
  recent.sum[k]! += clipped(delay)
  if (delay > LATE_MINUTES) recent.late[k]!++
  recent.last[k] = minute
}

/** A landing leaves the window. */
export function leave(recent: RecentDelays, flight: number, delay: number): void {
  const k = recent.key[flight]!
  recent.count[k]!--
  recent.sum[k]! -= clipped(delay)
  if (delay > LATE_MINUTES) recent.late[k]!--
}

/** Writes the four values of key `k` at minute `now` to `out[at..at+3]`; a mean or share over nothing is 0. */
export function writeRecent(recent: RecentDelays, k: number, now: number, out: Float32Array, at: number): void {
  const count = recent.count[k]!
  out[at] = count === 0 ? 0 : recent.sum[k]! / count / 60
  out[at + 1] = count === 0 ? 0 : recent.late[k]! / count
  out[at + 2] = Math.log1p(count)
  out[at + 3] = Math.min(MOST_HOURS, (now - recent.last[k]!) / 60)
}
