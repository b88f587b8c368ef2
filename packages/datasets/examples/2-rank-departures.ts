// Lists to rank: the departures of a route and day, graded by how late they arrived.
//
// Prints:
//   20000 lists with 213255 departures
//   1669 of them from 16 to 30 June
//   ANC-FAI 00:47  110 min, grade 3
//   ANC-FAI 06:29    4 min, grade 0
//   ANC-FAI 07:15   19 min, grade 1
//   ANC-FAI 11:39   -6 min, grade 0
//   ANC-FAI 15:39  -12 min, grade 0
//   ANC-FAI 16:50   61 min, grade 3
//   ANC-FAI 17:03    3 min, grade 0
//   ANC-FAI 18:45   50 min, grade 2
//   ANC-FAI 21:49   -6 min, grade 0
import { departuresToRank, readFlights } from '@ft/datasets'

const flights = await readFlights()
const lists = departuresToRank(flights, { by: 'route', leastFlights: 6, groups: 20_000, seed: 1 })
console.log(`${lists.groupSizes.length} lists with ${lists.rows} departures`)

const { start, end } = lists.groupSplit.test
console.log(`${end - start} of them from 16 to 30 June`)

const rows = lists.groupSizes[0]!
for (let row = 0; row < rows; row++) {
  const flight = lists.flight[row]!
  const minute = flights.time[flight]! % 1440
  const clock = `${String(Math.floor(minute / 60)).padStart(2, '0')}:${String(minute % 60).padStart(2, '0')}`
  const route = lists.routes[lists.categorical[2]!.ids[row]!]
  console.log(`${route} ${clock} ${String(flights.delay[flight]).padStart(4)} min, grade ${lists.relevance[row]}`)
}
