// The task on the flights: at the moment of departure, will this flight arrive more than 15 minutes late?
import { assertInteger } from '@ft/core'
import { createRandom } from '@ft/core/random'
import { dayOf, END_DAY, MINUTES_A_DAY, splitByDay, type Split } from './calendar.ts'
import { checkFeatureOptions } from './flightOptions.ts'
import {
  flightFeatures,
  type FlightFeatureOptions,
  type FlightFeatures,
  type NumericFeatures,
} from './flightFeatures.ts'
import type { Flights } from './flightColumns.ts'
import { LATE_MINUTES } from './recentDelay.ts'

export interface FlightTaskOptions extends FlightFeatureOptions {
  /**
   * How many flights become rows; default all. The flights are cut in `rows` stretches of equal count along time and
   * each gives one flight, drawn at random: rows stay in time order and every day keeps its share. Features are always
   * computed from all flights, so a row's features do not depend on `rows` or `seed`.
   */
  readonly rows?: number
  /** Seed of that draw; default 1. */
  readonly seed?: number
}

/** Rows in time order, each with what is known at its departure. */
export interface FlightTask extends FlightFeatures {
  readonly rows: number
  /** Index of the row's flight in the flights. */
  readonly flight: Int32Array
  /** 1 when the flight arrives more than 15 minutes late. */
  readonly label: Uint8Array
  /** Row ranges of training, validation and test by date of departure. */
  readonly split: Split
  /** Mean and standard deviation of each numeric feature over the training rows (1 where it does not vary). */
  readonly scale: { readonly mean: Float64Array; readonly deviation: Float64Array }
}

/**
 * Makes the late-arrival task.
 *
 * Cost: about 3 s for 3,000,000 flights on one core, whatever `rows`; memory 40 bytes a flight and 110 bytes a row.
 *
 * @throws FtError `INVALID_ARGUMENT` for `rows` outside 1..flights and other options out of range, `ABORTED`
 */
export function flightTask(flights: Flights, options: FlightTaskOptions = {}): FlightTask {
  checkFeatureOptions(options, 'flightTask')
  const flight = chooseFlights(flights, options)
  const features = flightFeatures(flights, { ...options, chosen: flight })
  const label = Uint8Array.from(flight, (i) => (flights.delay[i]! > LATE_MINUTES ? 1 : 0))
  const split = splitByDay(flight.length, (row) => dayOf(flights.time[flight[row]!]!))
  const scale = scaleOf(features.numeric, split.train.end)
  return { rows: flight.length, flight, label, split, scale, ...features }
}

/** One flight of each of `rows` stretches of equal count. */
function chooseFlights({ rows: all, time }: Flights, options: FlightTaskOptions): Int32Array {
  let eligible = all
  while (eligible > 0 && time[eligible - 1]! >= END_DAY * MINUTES_A_DAY) eligible--
  const rows = options.rows ?? eligible
  assertInteger(rows, { where: 'flightTask', argument: 'rows', min: 1, max: eligible })
  const random = createRandom(options.seed ?? 1).stream('flight rows')
  return Int32Array.from({ length: rows }, (_, r) => {
    const start = Math.floor((r * eligible) / rows)
    return random.integer(start, Math.floor(((r + 1) * eligible) / rows) - 1)
  })
}

function scaleOf({ data, shape: [, width] }: NumericFeatures, trainRows: number): FlightTask['scale'] {
  const mean = new Float64Array(width)
  const deviation = new Float64Array(width)
  const n = Math.max(1, trainRows)
  for (let at = 0; at < trainRows * width; at++) mean[at % width]! += data[at]! / n
  for (let at = 0; at < trainRows * width; at++) deviation[at % width]! += (data[at]! - mean[at % width]!) ** 2 / n
  return { mean, deviation: deviation.map((variance) => (variance > 0 ? Math.sqrt(variance) : 1)) }
}
