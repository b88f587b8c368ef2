// The process that bench "flights" measures.
import { flightTask, readFlights } from '@ft/datasets'

const start = performance.now()
const flights = await readFlights()
const read = performance.now()
const task = flightTask(flights)
process.stdout.write(
  JSON.stringify({
    readSeconds: (read - start) / 1000,
    taskSeconds: (performance.now() - read) / 1000,
    rows: task.rows,
    peakBytes: process.resourceUsage().maxRSS * 1024,
  }),
)
