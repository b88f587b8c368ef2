import { createRandom } from '@ft/core/random'
import type { Flights } from '../../src/index.ts'
import { minutesToLanding, timelineOf } from '../../src/timeline.ts'

/** Delays of a random part of the flights still in the air at minute `now` replaced by others that keep them there. */
export function meddle(
  flights: Flights,
  now: number,
  o: { share: number; seed: number },
): { flights: Flights; changed: number } {
  const random = createRandom(o.seed)
  const { departure, landing } = timelineOf(flights)
  const delay = flights.delay.slice()
  let changed = 0
  for (let i = 0; i < flights.rows; i++) {
    if (landing[i]! <= now || random.uniform() >= o.share) continue
    const other = random.integer(-120, 600)
    if (departure[i]! + minutesToLanding(flights.distance[i]!, other) <= now || other === delay[i]) continue
    delay[i] = other
    changed++
  }
  return { flights: { ...flights, delay }, changed }
}
