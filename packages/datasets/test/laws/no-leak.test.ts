// The law of this data set: what has not landed when a flight departs cannot be seen in its features.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { flightTask, type FlightTask } from '../../src/index.ts'
import { timelineOf } from '../../src/timeline.ts'
import { someFlights } from '../helpers/flights.ts'
import { meddle } from '../helpers/meddle.ts'

/** Features of one row, all kinds in one array. */
function featuresOf(task: FlightTask, row: number): number[] {
  const width = task.numeric.shape[1]
  return [
    ...task.categorical.map((column) => column.ids[row]!),
    ...task.numeric.data.subarray(row * width, (row + 1) * width),
  ]
}

describe('no feature changes with the delay of a flight that has not landed', () => {
  it('holds for each flight of random timetables, its own delay included', () => {
    let meddled = 0
    fc.assert(
      fc.property(someFlights, fc.nat(), fc.double({ min: 0.1, max: 1, noNaN: true }), (flights, seed, share) => {
        const before = flightTask(flights)
        const { departure } = timelineOf(flights)
        for (let i = 0; i < flights.rows; i += Math.ceil(flights.rows / 10)) {
          const other = meddle(flights, departure[i]!, { share, seed })
          const after = flightTask(other.flights)
          for (let row = 0; row < flights.rows; row++) {
            if (departure[row]! <= departure[i]!) expect(featuresOf(after, row)).toEqual(featuresOf(before, row))
          }
          meddled += other.changed
        }
      }),
      { numRuns: 60 },
    )
    // Hundreds of changed delays in a usual run; none would make the law empty.
    expect(meddled).toBeGreaterThan(100)
  })

  it('sees the delay of a flight that has landed: the law above can fail', () => {
    fc.assert(
      fc.property(someFlights, (flights) => {
        const { departure, landing, byDeparture } = timelineOf(flights)
        const last = byDeparture[flights.rows - 1]!
        // The last landing before the last departure, from the same origin and within its window of an hour.
        const seen = flights.origin.findIndex(
          (origin, i) =>
            origin === flights.origin[last] && landing[i]! <= departure[last]! && landing[i]! > departure[last]! - 60,
        )
        fc.pre(seen >= 0)
        const delay = flights.delay.slice()
        // Late becomes punctual and the other way round. While it stays in the window the share changes; a landing that
        // moves out of it, or after the departure, changes the count.
        delay[seen] = delay[seen]! > 15 ? 0 : 100
        const before = flightTask(flights)
        const after = flightTask({ ...flights, delay })
        expect(featuresOf(after, last)).not.toEqual(featuresOf(before, last))
      }),
      { numRuns: 100 },
    )
  })
})
