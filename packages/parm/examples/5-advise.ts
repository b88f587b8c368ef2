// Which redundancy does this service need? Its trace says: 60 requests a second on four instances of about 20 ms, 2 % late.
//
// Prints:
//   chance: hedging
//   capacity: more instances
import { createRandom } from '@ft/core/random'
import { advise } from '@ft/parm'

function trace(ratePerSecond: number) {
  const random = createRandom(5).stream('trace')
  let at = 0
  const rows = Array.from({ length: 4000 }, () => {
    at += random.exponential(ratePerSecond / 1000)
    return { at, ms: random.uniform(18, 22) + (random.bernoulli(0.02) ? random.uniform(100, 300) : 0) }
  })
  return { arrivalsMs: rows.map((row) => row.at), latenciesMs: rows.map((row) => row.ms) }
}
for (const ratePerSecond of [60, 190]) {
  const { cause, recommended } = await advise(trace(ratePerSecond), {
    seed: 1,
    instances: 4,
    targetMs: 80,
    queries: 8000,
  })
  console.log(`${cause}: ${recommended}`)
}
