import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { isFtError } from '@ft/core'
import { clockOf, toUtc } from '../src/clock.ts'
import { readAirports } from '../src/airports.ts'
import { minutesToLanding } from '../src/timeline.ts'

const at = (day: number, hour: number, minute = 0): number => (day * 24 + hour) * 60 + minute
/** 1 April 2001, the day the clocks went forward at 02:00. */
const APRIL = 90

/** Hours behind UTC: airports whose zone a map by state or by longitude would get wrong. */
// prettier-ignore
const WINTER = { PNS: 6, TYS: 5, MEM: 6, SDF: 5, EVV: 6, IND: 5, ELP: 7, RAP: 7, BOI: 7, PSG: 9, WRG: 9, JNU: 9, STT: 4 }
const JUNE = { PNS: 5, IND: 5, EVV: 5, PHX: 7, HNL: 10, PSG: 8, STT: 4, DTW: 4, SLC: 6, SJU: 4 }

describe('clocks of 2001', () => {
  // Standard offset west of Greenwich in hours, and whether the zone kept summer time in 2001.
  it.each([
    ['America/New_York', 5, true],
    ['America/Chicago', 6, true],
    ['America/Denver', 7, true],
    ['America/Phoenix', 7, false],
    ['America/Los_Angeles', 8, true],
    ['America/Anchorage', 9, true],
    ['Pacific/Honolulu', 10, false],
    ['America/Indiana/Indianapolis', 5, false],
    ['America/Puerto_Rico', 4, false],
  ])('%s is %i hours behind, summer time %s', (zone, hours, summer) => {
    const clock = clockOf(zone)
    expect(toUtc(clock, at(0, 12))).toBe(at(0, 12 + hours))
    expect(toUtc(clock, at(APRIL, 1, 59))).toBe(at(APRIL, 1 + hours, 59))
    expect(toUtc(clock, at(APRIL, 3))).toBe(at(APRIL, 3 + hours - (summer ? 1 : 0)))
    expect(toUtc(clock, at(150, 12))).toBe(at(150, 12 + hours - (summer ? 1 : 0)))
  })

  it('never run backwards, but for the hour that was skipped', () => {
    const clock = clockOf('America/New_York')
    for (let minute = at(APRIL, 0); minute < at(APRIL + 1, 0); minute++) {
      if (minute === at(APRIL, 3)) expect(toUtc(clock, minute)).toBe(at(APRIL, 7))
      else expect(toUtc(clock, minute)).toBe(toUtc(clock, minute - 1) + 1)
    }
  })

  it('refuse a zone that is none', () => {
    expect(() => clockOf('Mars/Olympus')).toThrow(expect.toSatisfy((e) => isFtError(e, 'INVALID_ARGUMENT')))
  })

  it('are right for the airports of the flights: each state has the offsets that its law gave it', async () => {
    const positions = join(
      dirname(createRequire(import.meta.url).resolve('vega-datasets')),
      '..',
      'data',
      'airports.csv',
    )
    const codes = [...new Set([...Object.keys(WINTER), ...Object.keys(JUNE)])]
    const airports = await readAirports(positions, codes)
    const offset = (code: string, day: number): number => {
      const { zone } = airports.find((airport) => airport.code === code)!
      return (toUtc(clockOf(zone), at(day, 12)) - at(day, 12)) / 60
    }
    for (const [code, hours] of Object.entries(WINTER)) expect([code, offset(code, 10)]).toEqual([code, hours])
    for (const [code, hours] of Object.entries(JUNE)) expect([code, offset(code, 160)]).toEqual([code, hours])
  })
})

describe('minutesToLanding', () => {
  it('is a duration by distance plus the delay, rounded up', () => {
    expect(minutesToLanding(800, 0)).toBe(145)
    expect(minutesToLanding(801, 20)).toBe(166)
    expect(minutesToLanding(2475, -10)).toBe(345)
  })

  it('never falls when the delay grows, and is above 10 minutes for any delay', () => {
    for (const distance of [21, 500, 4962]) {
      for (let delay = -1200; delay < 1700; delay++) {
        const minutes = minutesToLanding(distance, delay)
        if (minutes < minutesToLanding(distance, delay - 1) || minutes <= 10) expect.fail(`${distance} ${delay}`)
      }
    }
  })
})
