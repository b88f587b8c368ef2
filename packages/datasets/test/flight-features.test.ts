import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { flightTask, type Flights } from '../src/index.ts'
import { timelineOf } from '../src/timeline.ts'
import { flightRow, flightsOf, someFlights } from './helpers/flights.ts'

/** The definition, flight by flight, with no sweep and no counters. */
function recentByDefinition(
  flights: Flights,
  landing: Int32Array,
  of: { now: number; hours: number; among: (flight: number) => boolean },
): number[] {
  const landed = [...landing.keys()].filter((i) => of.among(i) && landing[i]! <= of.now)
  const recent = landed.filter((i) => landing[i]! > of.now - of.hours * 60)
  const delays = recent.map((i) => flights.delay[i]!)
  const last = Math.max(...landed.map((i) => landing[i]!))
  const total = delays.reduce((sum, delay) => sum + Math.min(180, Math.max(-30, delay)), 0)
  return [
    recent.length === 0 ? 0 : total / recent.length / 60,
    recent.length === 0 ? 0 : delays.filter((delay) => delay > 15).length / recent.length,
    Math.log(1 + recent.length),
    Math.min(24, (of.now - last) / 60),
  ]
}

describe('flight features', () => {
  it('are those of the definition, for random timetables and windows', () => {
    fc.assert(
      fc.property(someFlights, fc.constantFrom(1, 3, 24), fc.constantFrom(2, 24, 48), (flights, airport, route) => {
        const task = flightTask(flights, { windowHours: { airport, route } })
        const { departure, landing } = timelineOf(flights)
        const { origin, destination, distance } = flights
        for (let i = 0; i < flights.rows; i++) {
          const recent = (hours: number, among: (j: number) => boolean): number[] =>
            recentByDefinition(flights, landing, { now: departure[i]!, hours, among })
          const expected = [
            Math.log(distance[i]!),
            ...recent(airport, (j) => origin[j] === origin[i]),
            ...recent(airport, (j) => destination[j] === origin[i]),
            ...recent(airport, (j) => destination[j] === destination[i]),
            ...recent(route, (j) => origin[j] === origin[i] && destination[j] === destination[i]),
          ]
          const got = task.numeric.data.subarray(i * 17, i * 17 + 17)
          // Both sides are single float64 expressions of at most three roundings, stored once as float32 (2^-24).
          const off = expected.findIndex((value, f) => Math.abs(got[f]! - value) > 2 ** -23 * (1 + Math.abs(value)))
          expect(off).toBe(-1)
        }
      }),
      { numRuns: 60 },
    )
  })

  it('never hold the minute: numeric ones stay when all flights move by the same minutes', () => {
    // One clock and winter only, so that a move of the wall clock is a move in time.
    const winter = fc
      .array(flightRow, { minLength: 2, maxLength: 80 })
      .map((rows) => rows.map((row) => ({ ...row, time: row.time % 30_000 })))
    const clocks = ['AAA', 'BBB', 'CCC', 'DDD', 'EEE'].map((code) => ({ code, zone: 'America/Phoenix' }))
    fc.assert(
      fc.property(winter, fc.integer({ min: 0, max: 4000 }), (rows, minutes) => {
        const moved = rows.map((row) => ({ ...row, time: row.time + minutes }))
        const a = flightTask(flightsOf(rows, clocks))
        const b = flightTask(flightsOf(moved, clocks))
        expect(b.numeric.data).toEqual(a.numeric.data)
      }),
    )
  })

  it('code hours, routes and crossings as documented', () => {
    // Monday 1 January 2001 23:59 and Sunday 7 January 00:00.
    const rows = [
      { time: 23 * 60 + 59, delay: 0, distance: 100, origin: 0, destination: 1 },
      { time: 6 * 1440, delay: 0, distance: 100, origin: 4, destination: 0 },
    ]
    const day = flightTask(flightsOf(rows))
    const week = flightTask(flightsOf(rows), { crossedHour: 'week' })
    const ids = (task: typeof day, name: string): number[] => [...task.categorical.find((c) => c.name === name)!.ids]
    expect(day.routes).toEqual(['BOS-DEN', 'LAX-BOS'])
    expect(ids(day, 'hourOfWeek')).toEqual([23, 144])
    expect(ids(day, 'originHour')).toEqual([23, 4 * 24])
    expect(ids(day, 'routeHour')).toEqual([23, 24])
    expect(ids(week, 'originHour')).toEqual([23, 4 * 168 + 144])
    expect(ids(week, 'routeHour')).toEqual([23, 168 + 144])
    expect(day.categorical.map((c) => [c.name, c.size])).toEqual([
      ['origin', 5],
      ['destination', 5],
      ['route', 2],
      ['hourOfWeek', 168],
      ['originHour', 120],
      ['routeHour', 48],
    ])
  })

  it('count across clocks: a landing in Honolulu time is not known in Boston hours before it happens', () => {
    // Honolulu is ten hours behind UTC, Boston five: 06:00 in Honolulu is 11:00 in Boston.
    const rows = [
      { time: 6 * 60, delay: 100, distance: 1000, origin: 2, destination: 0 },
      { time: 14 * 60 + 30, delay: 0, distance: 500, origin: 0, destination: 1 },
      { time: 15 * 60 + 30, delay: 0, distance: 500, origin: 0, destination: 1 },
    ]
    const task = flightTask(flightsOf(rows))
    const arrivals = task.numeric.names.indexOf('originArrivals.meanDelayHours')
    // It lands 45 + 1000/8 + 100 = 270 minutes after 11:00 Boston time: at 15:30.
    expect([1, 2].map((row) => task.numeric.data[row * 17 + arrivals])).toEqual([0, Math.fround(100 / 60)])
  })
})
