export { readFlights, type Flights, type ReadFlightsOptions } from './flights.ts'
export { type Airport } from './airports.ts'
export { flightTask, type FlightTask, type FlightTaskOptions } from './flightTask.ts'
export { departuresToRank, type DeparturesToRank, type DeparturesToRankOptions } from './flightRanking.ts'
export {
  type CategoricalColumn,
  type FlightFeatureOptions,
  type FlightFeatures,
  type NumericFeatures,
} from './flightFeatures.ts'
export { type Range, type Split } from './calendar.ts'
export { type Source } from './internal/source.ts'
