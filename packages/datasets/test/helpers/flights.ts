// Small made-up flights for laws: five airports on five clocks, around the change to summer time of 1 April 2001.
import fc from 'fast-check'
import type { Flights } from '../../src/index.ts'

export const AIRPORTS = [
  { code: 'BOS', zone: 'America/New_York' },
  { code: 'DEN', zone: 'America/Denver' },
  { code: 'HNL', zone: 'Pacific/Honolulu' },
  { code: 'IND', zone: 'America/Indiana/Indianapolis' },
  { code: 'LAX', zone: 'America/Los_Angeles' },
]

export interface FlightRow {
  readonly time: number
  readonly delay: number
  readonly distance: number
  readonly origin: number
  readonly destination: number
}

/** Columns from rows, in the order of time as the file is. */
export function flightsOf(rows: readonly FlightRow[], airports: Flights['airports'] = AIRPORTS): Flights {
  const sorted = [...rows].sort((a, b) => a.time - b.time)
  return {
    rows: sorted.length,
    time: Int32Array.from(sorted, (row) => row.time),
    delay: Int16Array.from(sorted, (row) => row.delay),
    distance: Uint16Array.from(sorted, (row) => row.distance),
    origin: Uint16Array.from(sorted, (row) => row.origin),
    destination: Uint16Array.from(sorted, (row) => row.destination),
    airports,
  }
}

/** Noon of 31 March to the end of 1 April: busy enough for windows of an hour to hold flights. */
const FIRST = 89.5 * 1440
const LAST = 91 * 1440

export const flightRow = fc.record({
  time: fc.integer({ min: FIRST, max: LAST }),
  delay: fc.oneof(fc.integer({ min: -60, max: 300 }), fc.constantFrom(-1116, 15, 16, 1688)),
  distance: fc.integer({ min: 21, max: 4962 }),
  origin: fc.integer({ min: 0, max: 4 }),
  destination: fc.integer({ min: 0, max: 4 }),
})

export const someFlights = fc
  .array(flightRow, { minLength: 2, maxLength: 120, size: 'max' })
  .map((rows) => flightsOf(rows))
