// The flights as columns: what everything about them works on.
import type { Airport } from './airports.ts'

/** Columns of the flights, in the file's order: by `time`, oldest first. All have `rows` elements. */
export interface Flights {
  readonly rows: number
  /** Minutes since 2001-01-01 00:00 on the wall clock of the origin. Behaves like the actual departure. */
  readonly time: Int32Array
  /** Minutes of arrival delay; negative when early. Not known before landing. */
  readonly delay: Int16Array
  /** Miles. */
  readonly distance: Uint16Array
  /** Index into `airports`. */
  readonly origin: Uint16Array
  /** Index into `airports`. */
  readonly destination: Uint16Array
  /** Every airport of the flights, by code. */
  readonly airports: readonly Airport[]
}
