import { describe, expect, it } from 'vitest'
import { isFtError } from '@ft/core'
import { flightTask } from '../src/index.ts'
import { flightsOf } from './helpers/flights.ts'

const row = (time: number, delay = 0): Parameters<typeof flightsOf>[0][number] => ({
  time,
  delay,
  distance: 300,
  origin: 0,
  destination: 1,
})

describe('flightTask', () => {
  it('calls more than 15 minutes late', () => {
    expect([...flightTask(flightsOf([row(0, 15), row(1, 16), row(2, -5)])).label]).toEqual([0, 1, 0])
  })

  it('splits at midnight of 1 June, 16 June and 1 July on the wall clock', () => {
    const midnight = (month: number, day: number): number =>
      (Date.UTC(2001, month - 1, day) - Date.UTC(2001, 0, 1)) / 60_000
    const times = [
      midnight(6, 1) - 1,
      midnight(6, 1),
      midnight(6, 16) - 1,
      midnight(6, 16),
      midnight(7, 1) - 1,
      midnight(7, 1),
    ]
    const task = flightTask(flightsOf(times.map((time) => row(time))))
    expect(task.rows).toBe(5)
    expect(task.split).toEqual({
      train: { start: 0, end: 1 },
      validate: { start: 1, end: 3 },
      test: { start: 3, end: 5 },
    })
  })

  it.each([
    [{ rows: 0 }, /`rows` must be an integer in \[1, 3\]/],
    [{ rows: 2.5 }, /got 2\.5/],
    [{ rows: NaN }, /got NaN/],
    [{ rows: 4 }, /got 4/],
    [{ windowHours: { airport: 0, route: 24 } }, /`windowHours\.airport`/],
    [{ windowHours: { airport: 1, route: Infinity } }, /`windowHours\.route`/],
  ])('refuses %j', (options, message) => {
    const flights = flightsOf([row(0), row(1), row(2)])
    expect(() => flightTask(flights, options)).toThrow(message)
  })

  it('stops when its signal has fired', () => {
    const signal = AbortSignal.abort()
    expect(() => flightTask(flightsOf([row(0)]), { signal })).toThrow(expect.toSatisfy((e) => isFtError(e, 'ABORTED')))
  })
})
