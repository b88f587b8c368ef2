// Checks of the options that the tasks on flights share.
import { assertNumber, assertOneOf } from '@ft/core'
import type { FlightFeatureOptions } from './flightFeatures.ts'

const MOST_WINDOW_HOURS = 24 * 365
/** The time line counts in minutes. */
const LEAST_WINDOW_HOURS = 1 / 60

export function checkFeatureOptions(options: FlightFeatureOptions, where: string): void {
  const { crossedHour = 'day', windowHours = {} } = options
  assertOneOf(crossedHour, { where, argument: 'crossedHour', values: ['day', 'week'] })
  for (const [name, hours] of Object.entries(windowHours)) {
    assertNumber(hours, { where, argument: `windowHours.${name}`, min: LEAST_WINDOW_HOURS, max: MOST_WINDOW_HOURS })
  }
}
