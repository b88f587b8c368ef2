export { readFlights, type ReadFlightsOptions } from './flights.ts'
export { type Flights } from './flightColumns.ts'
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

export { locate, requireData, type DataForTest, type LocatedSet } from './locate.ts'
export { download, type DownloadOptions } from './download.ts'
export { type DownloadableName, type SetName } from './catalogue.ts'

export { readIdx } from './idx.ts'
export { readCifarRecords } from './cifar10.ts'
export { pixelsToFloat, readImages, type ImageSetName, type LabelledImages } from './images.ts'
export { readRecordings, readSpokenDigits, type Recording } from './spokenDigits.ts'
export { logSpectrograms } from './spectrogram.ts'
export { readTables, type ColumnSchema, type Table, type TableSchema } from './table.ts'
export {
  readAdultCensus,
  readAdultNumeric,
  readCaliforniaHousing,
  type ReadSetOptions,
  type TrainAndTest,
} from './tabularSets.ts'
export { readLetor, readMq2008, readRankingCsv, type LetorOptions, type RankingData } from './ranking.ts'
export { criteoBatches, readCriteo, type CriteoRows } from './criteo.ts'
export { readMovieLens, readMovieLensFiles, type MovieLens } from './movielens.ts'
export { parseBaseModel, readBaseModel, type BaseModel, type BaseModelName } from './baseModels.ts'
export { type CheckedFile, type Source } from './internal/source.ts'
export { type ByteTensor, type FloatTensor } from './tensors.ts'
export { type CsvForm } from './internal/csv.ts'
