// The days of the flights' half-year and the split by them.

export const MINUTES_A_DAY = 24 * 60
const HOURS_A_WEEK = 7 * 24

/** Days since 2001-01-01 on which the parts begin: 1 June, 16 June, 1 July. */
const VALIDATE_DAY = 151
const TEST_DAY = 166
/** Six flights carry the time 2001-07-01 00:00, the midnight that ends 30 June: they are nobody's rows. */
export const END_DAY = 181

/** Elements start .. end - 1. */
export interface Range {
  readonly start: number
  readonly end: number
}

export interface Split {
  /** Departures from 1 January to 31 May 2001. */
  readonly train: Range
  /** 1 to 15 June. */
  readonly validate: Range
  /** 16 to 30 June. */
  readonly test: Range
}

/** The parts of `count` elements that are ordered by day; `dayOf` gives days since 2001-01-01. */
export function splitByDay(count: number, dayOf: (element: number) => number): Split {
  const validate = firstFrom(VALIDATE_DAY, count, dayOf)
  const test = firstFrom(TEST_DAY, count, dayOf)
  return {
    train: { start: 0, end: validate },
    validate: { start: validate, end: test },
    test: { start: test, end: firstFrom(END_DAY, count, dayOf) },
  }
}

function firstFrom(day: number, count: number, dayOf: (element: number) => number): number {
  let low = 0
  let high = count
  while (low < high) {
    const middle = (low + high) >> 1
    if (dayOf(middle) < day) low = middle + 1
    else high = middle
  }
  return low
}

export const dayOf = (time: number): number => Math.floor(time / MINUTES_A_DAY)

/** 0 is Monday 00:00-00:59 (1 January 2001 was a Monday). */
export const hourOfWeek = (time: number): number => Math.floor(time / 60) % HOURS_A_WEEK
