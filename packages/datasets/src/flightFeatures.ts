// What is known about a flight at the moment it departs: where it goes, the hour of the week, and the delays of the
// flights that have landed by then. Nothing of its own delay, nothing of flights still in the air, never the minute.
import { throwIfAborted, type LongRunning } from '@ft/core'
import { hourOfWeek } from './calendar.ts'
import type { Flights } from './flightColumns.ts'
import { enter, leave, RECENT_VALUES, recentDelays, writeRecent, type RecentDelays } from './recentDelay.ts'
import { routesOf, type Routes } from './routes.ts'
import { timelineOf } from './timeline.ts'

/** A feature with `size` levels, coded 0 .. size - 1. */
export interface CategoricalColumn {
  readonly name: string
  readonly size: number
  readonly ids: Int32Array
}

/** Numeric features, row-major `[rows, names.length]`, all finite. */
export interface NumericFeatures {
  readonly names: readonly string[]
  readonly data: Float32Array
  readonly shape: readonly [number, number]
}

export interface FlightFeatures {
  readonly categorical: readonly CategoricalColumn[]
  readonly numeric: NumericFeatures
  /** Names of the levels of the categorical feature `route`: 'ATL-ORD'. */
  readonly routes: readonly string[]
}

export interface FlightFeatureOptions extends LongRunning {
  /** Hour in the crossed features `originHour` and `routeHour`; default 'day' (24), 'week' makes tables 7 times larger. */
  readonly crossedHour?: 'day' | 'week'
  /** How far back "recent" goes, in hours; default 1 at airports, 24 on a route. */
  readonly windowHours?: { readonly airport: number; readonly route: number }
}

const DEFAULT_WINDOWS = { airport: 1, route: 24 }

/** What the recent delays are counted over; each contributes the values of `RECENT_VALUES`. */
const VIEWS = ['originDepartures', 'originArrivals', 'destinationArrivals', 'route'] as const

const NUMERIC_NAMES: readonly string[] = [
  'logDistance',
  ...VIEWS.flatMap((view) => RECENT_VALUES.map((value) => `${view}.${value}`)),
]

/**
 * Features of the flights `chosen`, computed from all flights.
 *
 * Cost: O(n) for n flights, about 2 s for 3,000,000; memory 40 bytes a flight and 100 bytes a chosen flight.
 *
 * @param chosen - indices of flights, each at most once; row r of the result is flight `chosen[r]`
 */
export function flightFeatures(
  flights: Flights,
  options: FlightFeatureOptions & { readonly chosen: Int32Array },
): FlightFeatures {
  const routes = routesOf(flights)
  return {
    categorical: categoricalFeatures(flights, routes, options.chosen, options.crossedHour ?? 'day'),
    numeric: numericFeatures(flights, routes, options),
    routes: routes.names,
  }
}

function categoricalFeatures(
  { time, origin, destination, airports }: Flights,
  routes: Routes,
  chosen: Int32Array,
  crossedHour: 'day' | 'week',
): CategoricalColumn[] {
  const hours = crossedHour === 'day' ? 24 : 168
  const column = (name: string, size: number, idOf: (flight: number) => number): CategoricalColumn => {
    return { name, size, ids: chosen.map(idOf) }
  }
  return [
    column('origin', airports.length, (i) => origin[i]!),
    column('destination', airports.length, (i) => destination[i]!),
    column('route', routes.names.length, (i) => routes.ids[i]!),
    column('hourOfWeek', 168, (i) => hourOfWeek(time[i]!)),
    column('originHour', airports.length * hours, (i) => origin[i]! * hours + (hourOfWeek(time[i]!) % hours)),
    column('routeHour', routes.names.length * hours, (i) => routes.ids[i]! * hours + (hourOfWeek(time[i]!) % hours)),
  ]
}

/**
 * One pass over departures in time order. Before each departure, every flight that has landed by that minute enters
 * the counts and every landing older than the window leaves them.
 */
function numericFeatures(
  flights: Flights,
  routes: Routes,
  options: FlightFeatureOptions & { readonly chosen: Int32Array },
): NumericFeatures {
  const { rows, delay, distance, origin, destination, airports } = flights
  const { chosen, windowHours = DEFAULT_WINDOWS } = options
  const { departure, landing, byDeparture, byLanding } = timelineOf(flights)
  const departed = recentDelays(windowHours.airport, origin, airports.length)
  const arrived = recentDelays(windowHours.airport, destination, airports.length)
  const onRoute = recentDelays(windowHours.route, routes.ids, routes.names.length)
  const all = [departed, arrived, onRoute]

  const width = NUMERIC_NAMES.length
  const values = RECENT_VALUES.length
  const data = new Float32Array(chosen.length * width)
  const rowOf = inverse(chosen, rows)
  let landed = 0
  for (let d = 0; d < rows; d++) {
    if (d % PROGRESS_STEP === 0) report(options, d, rows)
    const flight = byDeparture[d]!
    const now = departure[flight]!
    for (; landed < rows && landing[byLanding[landed]!]! <= now; landed++) {
      const other = byLanding[landed]!
      for (const recent of all) enter(recent, other, delay[other]!, landing[other]!)
    }
    for (const recent of all) forget(recent, now, { landed, landing, byLanding, delay })

    const row = rowOf[flight]!
    if (row < 0) continue
    const at = row * width
    data[at] = Math.log(distance[flight]!)
    writeRecent(departed, origin[flight]!, now, data, at + 1)
    writeRecent(arrived, origin[flight]!, now, data, at + 1 + values)
    writeRecent(arrived, destination[flight]!, now, data, at + 1 + 2 * values)
    writeRecent(onRoute, routes.ids[flight]!, now, data, at + 1 + 3 * values)
  }
  report(options, rows, rows)
  return { names: NUMERIC_NAMES, data, shape: [chosen.length, width] }
}

interface Landings {
  /** Flights that have landed: the first of `byLanding`. */
  readonly landed: number
  readonly landing: Int32Array
  readonly byLanding: Int32Array
  readonly delay: Int16Array
}

/** Landings at or before `now - window` leave. */
function forget(recent: RecentDelays, now: number, { landed, landing, byLanding, delay }: Landings): void {
  const oldest = now - recent.windowMinutes
  while (recent.gone < landed && landing[byLanding[recent.gone]!]! <= oldest) {
    const flight = byLanding[recent.gone++]!
    leave(recent, flight, delay[flight]!)
  }
}

/** Row of each flight, -1 for those not chosen. */
function inverse(chosen: Int32Array, rows: number): Int32Array {
  const rowOf = new Int32Array(rows).fill(-1)
  for (let r = 0; r < chosen.length; r++) rowOf[chosen[r]!] = r
  return rowOf
}

const PROGRESS_STEP = 1 << 18

function report(options: LongRunning, done: number, total: number): void {
  throwIfAborted(options.signal, 'flightFeatures')
  options.onProgress?.({ phase: 'flight features', done, total })
}
