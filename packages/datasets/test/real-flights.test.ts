import { beforeAll, describe, expect, it } from 'vitest'
import { createRandom } from '@ft/core/random'
import { flightTask, readFlights, type Flights, type FlightTask } from '../src/index.ts'
import { timelineOf } from '../src/timeline.ts'
import { meddle } from './helpers/meddle.ts'

describe('flightTask on the real flights', () => {
  let flights: Flights
  let whole: FlightTask
  beforeAll(async () => {
    flights = await readFlights()
    whole = flightTask(flights)
  })

  it('has every flight until 30 June', () => {
    // Counted from the dates of the file alone: 3,000,000 less the six of 1 July 00:00.
    expect(whole.rows).toBe(2_999_994)
    expect(whole.split).toEqual({
      train: { start: 0, end: 2_497_772 },
      validate: { start: 2_497_772, end: 2_747_578 },
      test: { start: 2_747_578, end: 2_999_994 },
    })
    expect(whole.numeric.data.every(Number.isFinite)).toBe(true)
    for (const { ids, size } of whole.categorical) expect(ids.every((id) => id >= 0 && id < size)).toBe(true)
  })

  it('gives a sample the features that the whole has, spread over the days, the same for the same seed', () => {
    const sample = flightTask(flights, { rows: 20_000, seed: 11 })
    const width = sample.numeric.shape[1]
    for (let r = 0; r < sample.rows; r++) {
      const i = sample.flight[r]!
      if (r > 0) expect(i > sample.flight[r - 1]!).toBe(true)
      expect(sample.label[r]).toBe(whole.label[i])
      for (let f = 0; f < width; f++) {
        if (sample.numeric.data[r * width + f] !== whole.numeric.data[i * width + f])
          expect.fail(`row ${r} feature ${f}`)
      }
    }
    // One row a stretch of 150 flights: a part of the split is off its share by at most one row at each of its ends.
    expect(Math.abs(sample.split.train.end - (20_000 * 2_497_772) / 2_999_994)).toBeLessThanOrEqual(1)
    expect(flightTask(flights, { rows: 20_000, seed: 11 }).flight).toEqual(sample.flight)
    expect(flightTask(flights, { rows: 20_000, seed: 12 }).flight).not.toEqual(sample.flight)
  })

  it('scales by the training rows only', () => {
    const { data, shape } = whole.numeric
    let sum = 0
    for (let r = 0; r < whole.split.train.end; r++) sum += data[r * shape[1]]!
    // The same 2.5 million additions in another order of division: relative error below n * 2^-53 = 3e-10.
    expect(whole.scale.mean[0]! / (sum / whole.split.train.end)).toBeCloseTo(1, 9)
  })

  it('shows no feature the delay of a flight that has not landed', () => {
    const { departure } = timelineOf(flights)
    const random = createRandom(5)
    const now = departure[random.integer(0, flights.rows - 1)]!
    const { flights: other, changed } = meddle(flights, now, { share: 0.7, seed: 0 })
    expect(changed).toBeGreaterThan(1000)
    const after = flightTask(other)
    expect(firstDifference(whole, after, (flight) => departure[flight]! <= now)).toBe(-1)
  })
})

/** First row among those of `flights` in which a feature differs, -1 when none does. */
function firstDifference(a: FlightTask, b: FlightTask, among: (flight: number) => boolean): number {
  const width = a.numeric.shape[1]
  for (let row = 0; row < a.rows; row++) {
    if (!among(a.flight[row]!)) continue
    if (a.categorical.some((column, c) => column.ids[row] !== b.categorical[c]!.ids[row])) return row
    for (let at = row * width; at < (row + 1) * width; at++) if (a.numeric.data[at] !== b.numeric.data[at]) return row
  }
  return -1
}
