import { createRequire } from 'node:module'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createRandom } from '@ft/core/random'
import { parquetWriteBuffer } from 'hyparquet-writer'
import { describe, expect, it } from 'vitest'
import { readFlights, type Flights } from '../src/index.ts'
import { decodeFlights } from '../src/internal/flightsParquet.ts'
import { bytesOf, messageOf, outcome, outcomesOfCuts } from './helpers/damage.ts'
import { fileRow, flightsFile } from './helpers/parquet.ts'

const ROWS = [
  fileRow(0, { origin: 'LAX', destination: 'BOS', delay: -1116 }),
  fileRow(1, { delay: 1688, distance: 4962 }),
  fileRow(260640, { origin: 'DEN', destination: 'LAX' }),
]
const AIRPORTS = bytesOf(`iata,name,latitude,longitude
BOS,"Logan, Boston",42.36,-71.01
DEN,Denver,39.86,-104.67
LAX,Los Angeles,33.94,-118.41
`)

const decode = (bytes: Uint8Array, airportPositions = AIRPORTS): Promise<Flights> =>
  decodeFlights({ bytes, name: 'small.parquet', airportPositions })

describe('decodeFlights', () => {
  it('reads columns across row groups', async () => {
    const done: number[] = []
    const flights = await decodeFlights({
      bytes: flightsFile(ROWS, 2),
      name: 'small.parquet',
      airportPositions: AIRPORTS,
      onProgress: (progress) => done.push(progress.done),
    })
    expect(flights).toEqual({
      rows: 3,
      time: Int32Array.of(0, 1, 260640),
      delay: Int16Array.of(-1116, 1688, 260640 % 50),
      distance: Uint16Array.of(500, 4962, 500),
      origin: Uint16Array.of(2, 0, 1),
      destination: Uint16Array.of(0, 1, 2),
      airports: [
        { code: 'BOS', zone: 'America/New_York' },
        { code: 'DEN', zone: 'America/Denver' },
        { code: 'LAX', zone: 'America/Los_Angeles' },
      ],
    })
    expect(done).toEqual([2, 3])
  })

  it('refuses every cut', async () => {
    expect(await outcomesOfCuts(flightsFile(ROWS), decode)).toEqual(new Set(['CORRUPT_DATA']))
  })

  it.each([
    ['a delay that is not there', [fileRow(0, { delay: null })], 'expected `delay` of row 0 in range, got null'],
    ['a delay beyond 16 bits', [fileRow(0, { delay: 40000 })], 'expected `delay` of row 0 in range, got 40000'],
    ['a negative distance', [fileRow(0, { distance: -1 })], 'expected `distance` of row 0 in range'],
    ['a code of other form', [fileRow(0, { origin: 'bos' })], 'expected `origin` of row 0 in range, got bos'],
    ['times that go back', [fileRow(5), fileRow(4)], 'expected rows in the order of `date`, got row 1 before row 0'],
    ['an airport without position', [fileRow(0, { origin: 'ZZZ' })], 'must list airport ZZZ'],
  ])('refuses %s', async (_, rows, message) => {
    expect(await outcome(decode(flightsFile(rows)))).toBe('CORRUPT_DATA')
    expect(await messageOf(decode(flightsFile(rows)))).toContain(message)
  })

  it('refuses other columns and an airport off the globe', async () => {
    const other = new Uint8Array(parquetWriteBuffer({ columnData: [{ name: 'date', data: [1n], type: 'INT64' }] }))
    expect(await messageOf(decode(other))).toContain('expected a column `delay` of type INT64, got none')
    const off = bytesOf('iata,latitude,longitude\nBOS,142,-71\nDEN,39,\nLAX,33,-118\n')
    expect(await messageOf(decode(flightsFile(ROWS), off))).toContain('line 2: expected latitude and longitude of BOS')
  })

  it('stops by its signal', async () => {
    const work = decodeFlights({
      bytes: flightsFile(ROWS),
      name: 'small.parquet',
      airportPositions: AIRPORTS,
      signal: AbortSignal.abort(),
    })
    expect(await outcome(work)).toBe('ABORTED')
  })
})

describe('readFlights', () => {
  const path = join(
    dirname(createRequire(import.meta.url).resolve('vega-datasets')),
    '..',
    'data',
    'flights-3m.parquet',
  )

  it('refuses the real file cut or changed anywhere, before it decodes a page of it', async () => {
    const whole = await readFile(path)
    const random = createRandom(9)
    const cuts = [0, 1, 4, 8, 1000, whole.length - 8, whole.length - 1]
    for (const length of cuts)
      expect(await outcome(readFlights({ source: whole.subarray(0, length) }))).toBe('CHECKSUM_MISMATCH')
    for (let trial = 0; trial < 20; trial++) {
      const changed = new Uint8Array(whole)
      changed[random.integer(0, whole.length - 1)]! ^= 1 << random.integer(0, 7)
      expect(await outcome(readFlights({ source: changed }))).toBe('CHECKSUM_MISMATCH')
    }
  })

  it('names the file that is wrong or missing', async () => {
    expect(await messageOf(readFlights({ source: '/no/such.parquet' }))).toContain('cannot read /no/such.parquet')
    const folder = await mkdtemp(join(tmpdir(), 'ft-flights-'))
    try {
      await writeFile(join(folder, 'cut.parquet'), (await readFile(path)).subarray(0, 1_000_000))
      expect(await messageOf(readFlights({ source: join(folder, 'cut.parquet') }))).toContain('cut.parquet must be')
    } finally {
      await rm(folder, { recursive: true })
    }
  })
})
