// Routes: pairs of airports that some flight connects, numbered by origin, then destination.
import type { Flights } from './flightColumns.ts'

export interface Routes {
  /** Route of each flight. */
  readonly ids: Int32Array
  /** 'ATL-ORD'. */
  readonly names: readonly string[]
}

/** Numbers depend on which pairs occur, not on the order of flights. Cost: O(flights + airports squared). */
export function routesOf({ rows, origin, destination, airports }: Flights): Routes {
  const count = airports.length
  const idOf = new Int32Array(count * count).fill(-1)
  for (let i = 0; i < rows; i++) idOf[origin[i]! * count + destination[i]!] = 0
  const names: string[] = []
  for (let pair = 0; pair < idOf.length; pair++) {
    if (idOf[pair] === -1) continue
    idOf[pair] = names.length
    names.push(`${airports[Math.floor(pair / count)]!.code}-${airports[pair % count]!.code}`)
  }
  const ids = new Int32Array(rows)
  for (let i = 0; i < rows; i++) ids[i] = idOf[origin[i]! * count + destination[i]!]!
  return { ids, names }
}
