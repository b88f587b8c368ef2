// When each flight leaves and when its delay becomes known, on one time line, both sorted.
import { FtError } from '@ft/core'
import { clockOf, toUtc } from './clock.ts'
import type { Flights } from './flightColumns.ts'

/** All arrays have one element a flight. Minutes are UTC since 2001-01-01. */
export interface Timeline {
  readonly departure: Int32Array
  /** The minute from which the flight's delay is known. */
  readonly landing: Int32Array
  /** Flights in the order of departure; flights of one minute in the file's order. */
  readonly byDeparture: Int32Array
  /** Flights in the order of landing. */
  readonly byLanding: Int32Array
}

/** Minutes at the gate, taxiing and climbing. */
const GROUND_MINUTES = 45
/** 480 miles an hour, on the slow side for a jet: what is learned late does no harm, what is learned early is a leak. */
const MILES_PER_MINUTE = 8
/** No flight lands sooner than this, whatever delay is recorded: 600 miles an hour and ten minutes. */
const FASTEST_GROUND_MINUTES = 10
const FASTEST_MILES_PER_MINUTE = 10

/**
 * Minutes from departure to the moment at which the delay is known: a duration estimated from the distance, plus the
 * delay itself. Never falls when the delay grows. As the file's time is about the actual departure, a delay that arose
 * before departure counts twice: late flights become known too late rather than too early.
 */
export function minutesToLanding(distance: number, delay: number): number {
  const expected = GROUND_MINUTES + distance / MILES_PER_MINUTE + delay
  const fastest = FASTEST_GROUND_MINUTES + distance / FASTEST_MILES_PER_MINUTE
  return Math.ceil(Math.max(expected, fastest))
}

/**
 * The time line of all flights. Cost: O(n) and 16 bytes a flight.
 *
 * @throws FtError `INVALID_ARGUMENT` for times more than some years from 2001
 */
export function timelineOf(flights: Flights): Timeline {
  const { rows, time, delay, distance, origin, airports } = flights
  const clocks = airports.map(({ zone }) => clockOf(zone))
  const departure = new Int32Array(rows)
  const landing = new Int32Array(rows)
  for (let i = 0; i < rows; i++) {
    const leaves = toUtc(clocks[origin[i]!]!, time[i]!)
    departure[i] = leaves
    landing[i] = leaves + minutesToLanding(distance[i]!, delay[i]!)
  }
  return { departure, landing, byDeparture: sortedBy(departure), byLanding: sortedBy(landing) }
}

/** Eight years: the counting sort takes memory by the span of its keys. */
const LONGEST_SPAN = 1 << 22

/** Indices in the order of their minute, stable: a counting sort. */
function sortedBy(minute: Int32Array): Int32Array {
  let low = Infinity
  let high = -Infinity
  for (const m of minute) {
    if (m < low) low = m
    if (m > high) high = m
  }
  if (high - low > LONGEST_SPAN) {
    throw new FtError(
      'INVALID_ARGUMENT',
      `timelineOf: \`flights.time\` must span at most ${LONGEST_SPAN} minutes, got ${high - low}`,
      { low, high },
    )
  }
  const order = new Int32Array(minute.length)
  if (minute.length === 0) return order
  const next = new Int32Array(high - low + 2)
  for (const m of minute) next[m - low + 1]!++
  for (let k = 1; k < next.length; k++) next[k]! += next[k - 1]!
  for (let i = 0; i < minute.length; i++) order[next[minute[i]! - low]!++] = i
  return order
}
