// Checks of the options that the tasks on flights share.
import { FtError } from '@ft/core'
import type { FlightFeatureOptions } from './flightFeatures.ts'

const MOST_WINDOW_HOURS = 24 * 365

export function checkFeatureOptions(options: FlightFeatureOptions, caller: string): void {
  const { crossedHour, windowHours } = options
  if (crossedHour !== undefined && crossedHour !== 'day' && crossedHour !== 'week') {
    throw new FtError(
      'INVALID_ARGUMENT',
      `${caller}: \`crossedHour\` must be 'day' or 'week', got '${String(crossedHour)}'`,
    )
  }
  for (const [name, hours] of Object.entries(windowHours ?? {})) {
    if (!(hours > 0 && hours <= MOST_WINDOW_HOURS)) {
      throw new FtError(
        'INVALID_ARGUMENT',
        `${caller}: \`windowHours.${name}\` must be above 0 and at most ${MOST_WINDOW_HOURS} hours, got ${hours}`,
        { name, hours },
      )
    }
  }
}
