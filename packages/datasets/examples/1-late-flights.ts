// The task of the demo: rows in time order, split by date, with what is known at departure.
//
// Prints:
//   100000 rows of 3000000 flights, 229 airports, 3399 routes
//   train    83259 rows, 19.6 % late
//   validate 8327 rows, 22.1 % late
//   test     8414 rows, 20.8 % late
//   late where more than half of the origin's last flights were late: 47.5 %
//   late elsewhere: 18.2 %
import { flightTask, readFlights } from '@ft/datasets'

const flights = await readFlights()
const task = flightTask(flights, { rows: 100_000, seed: 1 })
console.log(
  `${task.rows} rows of ${flights.rows} flights, ${flights.airports.length} airports, ${task.routes.length} routes`,
)

for (const [part, { start, end }] of Object.entries(task.split)) {
  const late = task.label.subarray(start, end).reduce((sum, y) => sum + y, 0)
  console.log(`${part.padEnd(8)} ${end - start} rows, ${((100 * late) / (end - start)).toFixed(1)} % late`)
}

// Flights whose origin was late in the last hour, and all others.
const share = task.numeric.names.indexOf('originDepartures.shareLate')
const lateWhen = (keep: (shareLate: number) => boolean): string => {
  const rows = [...task.label.keys()].filter((row) => keep(task.numeric.data[row * task.numeric.shape[1] + share]!))
  return ((100 * rows.filter((row) => task.label[row] === 1).length) / rows.length).toFixed(1)
}
console.log(`late where more than half of the origin's last flights were late: ${lateWhen((value) => value > 0.5)} %`)
console.log(`late elsewhere: ${lateWhen((value) => value <= 0.5)} %`)
