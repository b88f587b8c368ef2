// Where airports are and which clock hangs there: times in the flights are wall-clock times of the origin.
import tzLookup from '@photostructure/tz-lookup'
import { FtError } from '@ft/core'
import { csvRecords } from './internal/csv.ts'
import { nameOf, type Source } from './internal/source.ts'

/** Where the map of tz-lookup is too coarse: two islands of Alaska that it gives to Canada. */
const ZONE_CORRECTIONS: Readonly<Record<string, string>> = { PSG: 'America/Sitka', WRG: 'America/Sitka' }

export interface Airport {
  /** IATA code, three characters. */
  readonly code: string
  /** IANA time zone, from the position. */
  readonly zone: string
}

/**
 * Finds positions in a CSV file with columns iata, latitude and longitude, and from them the time zones.
 *
 * @returns one airport a code, in the order of `codes`
 * @throws FtError `CORRUPT_DATA` when a code or its position is not there
 */
export async function readAirports(source: Source, codes: readonly string[]): Promise<Airport[]> {
  const zones = new Map<string, string>()
  const wanted = new Set(codes)
  const reader = 'readFlights'
  let header: readonly string[] | undefined
  for await (const { cells, line } of csvRecords(source, reader)) {
    if (header === undefined) {
      header = cells
      continue
    }
    const cell = (name: string): string => cells[header!.indexOf(name)] ?? ''
    const code = cell('iata')
    if (!wanted.has(code)) continue
    const latitude = Number(cell('latitude') || NaN)
    const longitude = Number(cell('longitude') || NaN)
    if (!(Math.abs(latitude) <= 90 && Math.abs(longitude) <= 180)) {
      throw new FtError(
        'CORRUPT_DATA',
        `${reader}: ${nameOf(source)}, line ${line}: expected latitude and longitude of ${code} in degrees, got ${latitude}, ${longitude}`,
        { source: nameOf(source), line, code },
      )
    }
    zones.set(code, ZONE_CORRECTIONS[code] ?? tzLookup(latitude, longitude))
  }
  return codes.map((code) => {
    const zone = zones.get(code)
    if (zone === undefined) {
      throw new FtError('CORRUPT_DATA', `${reader}: ${nameOf(source)} must list airport ${code}, it does not`, {
        source: nameOf(source),
        code,
      })
    }
    return { code, zone }
  })
}
