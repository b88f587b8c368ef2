// Ranking the departures of a route (or an airport) and day by how late they arrive: the ones to watch first.
import { assertInteger, assertOneOf } from '@ft/core'
import { createRandom } from '@ft/core/random'
import { dayOf, END_DAY, splitByDay, type Split } from './calendar.ts'
import { checkFeatureOptions } from './flightOptions.ts'
import { flightFeatures, type FlightFeatureOptions, type FlightFeatures } from './flightFeatures.ts'
import type { Flights } from './flightColumns.ts'
import { routesOf } from './routes.ts'

export interface DeparturesToRankOptions extends FlightFeatureOptions {
  /** What a day's departures are listed by; default 'route'. */
  readonly by?: 'route' | 'origin'
  /** Shorter lists are left out; default 4. */
  readonly leastFlights?: number
  /** How many lists to keep, spread evenly over the days as the rows of `flightTask` are; default all. */
  readonly groups?: number
  /** Seed of that choice; default 1. */
  readonly seed?: number
}

/**
 * Lists to rank. Rows of one list stand together, by departure; lists are ordered by day. Features are those known when
 * the row's flight departs, so the score of a list is one a watcher gives flight by flight in the course of the day.
 */
export interface DeparturesToRank extends FlightFeatures {
  readonly rows: number
  readonly flight: Int32Array
  /** 0: at most 15 minutes late, 1: at most 30, 2: at most 60, 3: at most 120, 4: more. */
  readonly relevance: Uint8Array
  /** Rows of each list. */
  readonly groupSizes: Int32Array
  /** Ranges of lists by date of departure. */
  readonly groupSplit: Split
  /** The same parts as ranges of rows. */
  readonly split: Split
}

const WHERE = 'departuresToRank'

/** Grade g is the number of these that the delay in minutes exceeds. */
const GRADE_MINUTES = [15, 30, 60, 120]

/**
 * Makes the ranking task.
 *
 * @throws FtError `INVALID_ARGUMENT` for options out of range, `ABORTED`
 */
export function departuresToRank(flights: Flights, options: DeparturesToRankOptions = {}): DeparturesToRank {
  checkFeatureOptions(options, WHERE)
  const { flight, groupSizes, groupDays } = listsOf(flights, options)
  const features = flightFeatures(flights, { ...options, chosen: flight })
  const relevance = Uint8Array.from(
    flight,
    (i) => GRADE_MINUTES.filter((minutes) => flights.delay[i]! > minutes).length,
  )
  return {
    rows: flight.length,
    flight,
    relevance,
    groupSizes,
    groupSplit: splitByDay(groupSizes.length, (group) => groupDays[group]!),
    split: splitByDay(flight.length, (row) => dayOf(flights.time[flight[row]!]!)),
    ...features,
  }
}

interface Lists {
  readonly flight: Int32Array
  readonly groupSizes: Int32Array
  readonly groupDays: Int32Array
}

/** Groups flights by day and key with a counting sort, keeps long enough lists, then as many as asked for. */
function listsOf(flights: Flights, options: DeparturesToRankOptions): Lists {
  const { by = 'route', leastFlights = 4 } = options
  assertOneOf(by, { where: WHERE, argument: 'by', values: ['route', 'origin'] })
  assertInteger(leastFlights, { where: WHERE, argument: 'leastFlights', min: 1 })
  const routes = routesOf(flights)
  const keys = by === 'route' ? routes.names.length : flights.airports.length
  const cellOf = (i: number): number =>
    dayOf(flights.time[i]!) * keys + (by === 'route' ? routes.ids[i]! : flights.origin[i]!)

  const cells = END_DAY * keys
  const counts = new Int32Array(cells)
  const inside = (i: number): boolean => flights.time[i]! >= 0 && dayOf(flights.time[i]!) < END_DAY
  for (let i = 0; i < flights.rows; i++) if (inside(i)) counts[cellOf(i)]!++

  const longEnough: number[] = []
  for (let cell = 0; cell < cells; cell++) if (counts[cell]! >= leastFlights) longEnough.push(cell)
  const kept = chooseCells(longEnough, options)
  const nextRow = new Int32Array(cells).fill(-1)
  let rows = 0
  for (const cell of kept) {
    nextRow[cell] = rows
    rows += counts[cell]!
  }
  const flight = new Int32Array(rows)
  for (let i = 0; i < flights.rows; i++) {
    if (inside(i) && nextRow[cellOf(i)]! >= 0) flight[nextRow[cellOf(i)]!++] = i
  }
  return {
    flight,
    groupSizes: Int32Array.from(kept, (cell) => counts[cell]!),
    groupDays: Int32Array.from(kept, (cell) => Math.floor(cell / keys)),
  }
}

function chooseCells(cells: readonly number[], options: DeparturesToRankOptions): readonly number[] {
  const { groups = cells.length, seed = 1 } = options
  assertInteger(groups, { where: WHERE, argument: 'groups', min: 1, max: cells.length })
  const random = createRandom(seed).stream('flight lists')
  return Array.from({ length: groups }, (_, g) => {
    const start = Math.floor((g * cells.length) / groups)
    return cells[random.integer(start, Math.floor(((g + 1) * cells.length) / groups) - 1)]!
  })
}
