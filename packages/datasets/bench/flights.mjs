// Time and memory of the flights, one JSON object a line. Runs the built package: pnpm build, then node bench/flights.mjs
import { cpus } from 'node:os'
import { flightTask, departuresToRank, readFlights } from '../dist/index.js'

const device = `${cpus()[0]?.model ?? 'unknown'}, Node ${process.versions.node}`

function line(name, value, unit) {
  const rounded = Number(value.toPrecision(3))
  console.log(
    JSON.stringify({
      bench: 'datasets-flights',
      case: name,
      metric: unit === 's' ? 'wall' : 'peak',
      value: rounded,
      unit,
      seed: 1,
      device,
    }),
  )
}

async function timed(name, work) {
  const start = performance.now()
  const result = await work()
  line(name, (performance.now() - start) / 1000, 's')
  line(name, process.resourceUsage().maxRSS / 1024, 'MB')
  return result
}

const flights = await timed('readFlights 3,000,000', () => readFlights())
await timed('flightTask all rows', () => flightTask(flights))
await timed('flightTask 100,000 rows', () => flightTask(flights, { rows: 100_000, seed: 1 }))
await timed('departuresToRank all lists', () => departuresToRank(flights))
