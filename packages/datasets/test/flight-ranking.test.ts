import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { departuresToRank, flightTask } from '../src/index.ts'
import { flightsOf, someFlights } from './helpers/flights.ts'

const row = (time: number, delay: number, origin = 0, destination = 1) => ({
  time,
  delay,
  distance: 300,
  origin,
  destination,
})

describe('departuresToRank', () => {
  it('lists the departures of a route and day, graded by lateness', () => {
    const flights = flightsOf([
      row(10, 15),
      row(20, 16),
      row(25, 0, 2, 1),
      row(30, 31),
      row(40, 61),
      row(50, 121),
      row(1439, -5),
      row(1440, 10),
      row(1450, 20),
    ])
    const lists = departuresToRank(flights, { leastFlights: 2 })
    expect([...lists.groupSizes]).toEqual([6, 2])
    expect([...lists.flight]).toEqual([0, 1, 3, 4, 5, 6, 7, 8])
    expect([...lists.relevance]).toEqual([0, 1, 2, 3, 4, 0, 0, 1])
    expect([...departuresToRank(flights, { leastFlights: 3 }).groupSizes]).toEqual([6])
    expect([...departuresToRank(flights, { leastFlights: 1 }).groupSizes]).toEqual([6, 1, 2])
  })

  it('splits lists and rows by date', () => {
    const day = (d: number) => d * 1440
    const times = [day(150), day(151), day(151) + 5, day(165), day(166), day(180), day(181)]
    const lists = departuresToRank(flightsOf(times.map((time) => row(time, 0))), { leastFlights: 1 })
    expect(lists.groupSplit).toEqual({
      train: { start: 0, end: 1 },
      validate: { start: 1, end: 3 },
      test: { start: 3, end: 5 },
    })
    expect(lists.split.validate).toEqual({ start: 1, end: 4 })
    expect(lists.rows).toBe(6)
  })

  it('holds each flight of a long enough list once, with the features of the task', () => {
    fc.assert(
      fc.property(
        someFlights,
        fc.integer({ min: 1, max: 4 }),
        fc.constantFrom('route', 'origin'),
        (flights, least, by) => {
          const keyOf = (i: number) =>
            `${Math.floor(flights.time[i]! / 1440)} ${flights.origin[i]} ${by === 'route' ? flights.destination[i] : ''}`
          const counts = new Map<string, number>()
          for (let i = 0; i < flights.rows; i++) counts.set(keyOf(i), (counts.get(keyOf(i)) ?? 0) + 1)
          const expected = [...Array(flights.rows).keys()].filter((i) => counts.get(keyOf(i))! >= least)
          fc.pre(expected.length > 0)

          const lists = departuresToRank(flights, { leastFlights: least, by })
          expect([...lists.flight].sort((a, b) => a - b)).toEqual(expected)
          let at = 0
          for (const size of lists.groupSizes) {
            const keys = new Set([...lists.flight.subarray(at, at + size)].map(keyOf))
            expect(keys.size).toBe(1)
            expect(counts.get([...keys][0]!)).toBe(size)
            at += size
          }
          const task = flightTask(flights)
          const width = task.numeric.shape[1]
          for (const [r, i] of lists.flight.entries()) {
            expect(lists.numeric.data.subarray(r * width, r * width + width)).toEqual(
              task.numeric.data.subarray(i * width, i * width + width),
            )
          }
        },
      ),
      { numRuns: 50 },
    )
  })

  it('keeps as many lists as asked for, the same for the same seed', () => {
    const flights = flightsOf(Array.from({ length: 400 }, (_, i) => row(i * 360, i % 90)))
    const some = departuresToRank(flights, { groups: 10, seed: 2 })
    expect(some.groupSizes).toHaveLength(10)
    expect(departuresToRank(flights, { groups: 10, seed: 2 }).flight).toEqual(some.flight)
    expect(departuresToRank(flights, { groups: 10, seed: 3 }).flight).not.toEqual(some.flight)
  })

  it.each([
    [{ groups: 0 }, /`groups`/],
    [{ groups: 1.5 }, /`groups`/],
    [{ leastFlights: 0 }, /`leastFlights`/],
    [{ by: 'day' as 'route' }, /`by` must be one of 'route', 'origin'/],
    [{ crossedHour: 'year' as 'week' }, /`crossedHour`/],
  ])('refuses %j', (options, message) => {
    expect(() => departuresToRank(flightsOf([row(0, 0), row(1, 0), row(2, 0), row(3, 0)]), options)).toThrow(message)
  })
})
