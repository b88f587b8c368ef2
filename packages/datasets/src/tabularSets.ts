// The tables that come with a training and a test part: Adult in two forms, and California housing.
import { corrupt } from './internal/corrupt.ts'
import { readWhole, type Source } from './internal/source.ts'
import { locate, type LocatedSet } from './locate.ts'
import { finite, readTables, type ColumnSchema, type Table } from './table.ts'

export interface TrainAndTest<T> {
  readonly train: T
  readonly test: T
}

export interface ReadSetOptions {
  /** Where the set is; default where `locate` finds it. */
  readonly set?: LocatedSet
}

const numeric = (name: string): ColumnSchema => ({ name, kind: 'numeric' })
const categorical = (name: string): ColumnSchema => ({ name, kind: 'categorical' })
const OVER_50K: Readonly<Record<string, number>> = { '<=50K': 0, '>50K': 1 }

const ADULT_CENSUS: readonly ColumnSchema[] = [
  numeric('age'),
  categorical('workclass'),
  numeric('fnlwgt'),
  categorical('education'),
  numeric('education-num'),
  categorical('marital-status'),
  categorical('occupation'),
  categorical('relationship'),
  categorical('race'),
  categorical('sex'),
  numeric('capital-gain'),
  numeric('capital-loss'),
  numeric('hours-per-week'),
  categorical('native-country'),
  // The test file's labels end with a dot.
  { name: 'income', kind: 'target', toNumber: (cell) => OVER_50K[cell.replace(/\.$/, '')] ?? NaN },
]

/**
 * UCI Adult with its text columns: 6 numeric and 8 categorical features, target 1 when the income is over 50,000 dollars.
 * '?' is a level like the others.
 */
export async function readAdultCensus(options: ReadSetOptions = {}): Promise<TrainAndTest<Table>> {
  const set = options.set ?? locate('adult-census')
  // The original test file begins with a line that starts with '|'.
  const form = { columns: ADULT_CENSUS, header: false, missing: '', trim: true, comment: '|', quote: false as const }
  return trainAndTest(await readTables([set.source('adult.data'), set.source('adult.test')], form))
}

const ADULT_NUMERIC = [
  'age',
  'workclass',
  'fnlwgt',
  'education',
  'education_num',
  'marital_status',
  'occupation',
  'relationship',
  'race',
  'sex',
  'capital_gain',
  'capital_loss',
  'hours_per_week',
  'native_country',
]

/** UCI Adult with codes for text, NaN where '?' was: 14 features, 8 of them categorical; the same target. */
export async function readAdultNumeric(options: ReadSetOptions = {}): Promise<TrainAndTest<Table>> {
  const set = options.set ?? locate('adult-numeric')
  const levels = await readLevels(set.source('levels.json'))
  const columns: ColumnSchema[] = [
    { name: 'income_gt_50k', kind: 'target', toNumber: (cell) => (cell === '0' || cell === '1' ? Number(cell) : NaN) },
    ...ADULT_NUMERIC.map((name): ColumnSchema => {
      const names = levels[name]
      return names === undefined ? numeric(name) : { name, kind: 'coded', levels: names }
    }),
  ]
  const sources = [set.source('train.csv'), set.source('test.csv')]
  return trainAndTest(await readTables(sources, { columns, header: true, missing: '' }))
}

const OCEAN_PROXIMITY = ['<1H OCEAN', 'INLAND', 'ISLAND', 'NEAR BAY', 'NEAR OCEAN']

/** California housing 1990: 8 numbers and 1 category; target in units of 100,000 dollars; some total_bedrooms are NaN. */
export async function readCaliforniaHousing(options: ReadSetOptions = {}): Promise<TrainAndTest<Table>> {
  const set = options.set ?? locate('california-housing')
  const columns: ColumnSchema[] = [
    { name: 'median_house_value', kind: 'target', toNumber: (cell) => finite(cell) ?? NaN },
    ...['longitude', 'latitude', 'housing_median_age', 'total_rooms', 'total_bedrooms'].map(numeric),
    ...['population', 'households', 'median_income'].map(numeric),
    { name: 'ocean_proximity', kind: 'coded', levels: OCEAN_PROXIMITY },
  ]
  const sources = [set.source('train.csv'), set.source('test.csv')]
  return trainAndTest(await readTables(sources, { columns, header: true, missing: '' }))
}

function trainAndTest(tables: readonly Table[]): TrainAndTest<Table> {
  const [train, test] = tables
  return { train: train!, test: test! }
}

/** A JSON object from column names to lists of levels. */
async function readLevels(source: Source): Promise<Readonly<Record<string, readonly string[]>>> {
  const reader = 'readAdultNumeric'
  const wrong = (got: string, cause?: unknown) =>
    corrupt({ reader, source, where: 'content', expected: 'lists of levels in JSON', got }, cause)
  const text = new TextDecoder().decode(await readWhole(source, reader))
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (cause) {
    throw wrong('other text', cause)
  }
  const isList = (value: unknown): boolean => Array.isArray(value) && value.every((level) => typeof level === 'string')
  if (typeof json !== 'object' || json === null || !Object.values(json).every(isList)) throw wrong('other JSON')
  return json as Record<string, string[]>
}
