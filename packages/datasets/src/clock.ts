// From the wall clocks of 2001's airports to one time line. Offsets come from the platform's own time zone data.
import { FtError } from '@ft/core'

const MINUTE = 60_000
const DAY = 24 * 60
const EPOCH = Date.UTC(2001, 0, 1)
/** The flights end on 1 July 2001; a landing may fall on the days after. */
const END = 190 * DAY
/** No zone of the flights changes its clock twice within a week. */
const STEP = 7 * DAY

/** A stretch of time with one offset. */
interface Stretch {
  /** First minute (UTC, since 2001-01-01) of the stretch; the first one has none. */
  readonly from: number
  /** Wall clock minus UTC, in minutes. */
  readonly offset: number
}

/** The offsets of one time zone from January to early July 2001. */
export interface Clock {
  readonly stretches: readonly Stretch[]
}

/**
 * The clock of an IANA time zone in the first half of 2001.
 *
 * @throws FtError `INVALID_ARGUMENT` for a zone that the platform does not know
 */
export function clockOf(zone: string): Clock {
  let format: Intl.DateTimeFormat
  try {
    format = new Intl.DateTimeFormat('en-US', { timeZone: zone, timeZoneName: 'longOffset' })
  } catch (cause) {
    throw new FtError(
      'INVALID_ARGUMENT',
      `clockOf: \`zone\` must be an IANA time zone, got '${zone}'`,
      { zone },
      { cause },
    )
  }
  const offsetAt = (minute: number): number => {
    const name = format.formatToParts(EPOCH + minute * MINUTE).find((part) => part.type === 'timeZoneName')?.value ?? ''
    const parts = /^GMT(?:([+-])(\d\d):(\d\d))?$/.exec(name)
    if (parts === null)
      throw new FtError('UNSUPPORTED', `clockOf: the platform gives '${name}' for ${zone}, not an offset`)
    return (parts[1] === '-' ? -1 : 1) * (Number(parts[2] ?? 0) * 60 + Number(parts[3] ?? 0))
  }
  const stretches: Stretch[] = [{ from: -Infinity, offset: offsetAt(-DAY) }]
  for (let minute = 0; minute <= END; minute += STEP) {
    const last = stretches[stretches.length - 1]!
    const offset = offsetAt(minute)
    if (offset !== last.offset) stretches.push({ from: firstMinuteOf(offset, minute - STEP, minute, offsetAt), offset })
  }
  return { stretches }
}

/** The minute in (low, high] from which `offset` holds, by bisection. */
function firstMinuteOf(offset: number, low: number, high: number, offsetAt: (minute: number) => number): number {
  while (high - low > 1) {
    const middle = (low + high) >> 1
    if (offsetAt(middle) === offset) high = middle
    else low = middle
  }
  return high
}

/**
 * Minutes since 2001-01-01 00:00 UTC of a wall-clock minute since 2001-01-01 00:00. A wall-clock minute that the change
 * to summer time skips is read as if the clock had not been changed yet.
 */
export function toUtc(clock: Clock, local: number): number {
  let utc = local - clock.stretches[0]!.offset
  for (const { from, offset } of clock.stretches) if (local - offset >= from) utc = local - offset
  return utc
}
