// The 3,000,000 flights of npm vega-datasets.
import { createHash } from 'node:crypto'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { FtError, type LongRunning } from '@ft/core'
import type { Flights } from './flightColumns.ts'
import { decodeFlights } from './internal/flightsParquet.ts'
import { nameOf, readWhole, type Source } from './internal/source.ts'

export interface ReadFlightsOptions extends LongRunning {
  /** Another copy of flights-3m.parquet, a path or bytes; default the one in vega-datasets. */
  readonly source?: Source
}

const READER = 'readFlights'
/** Of data/flights-3m.parquet in vega-datasets 3.2.1. */
const SHA256 = 'dbeb920c90f59b6ccaff823dcc3d08f25a97fa1ce128d93f40be4e931f5900b0'

/**
 * Reads all flights. The bytes are compared with their known checksum first, as a damaged page can keep a parquet
 * decoder busy without end.
 *
 * Cost: 3,000,000 rows in about 3 s on one core; 36 MB of columns, about 330 MB of memory at peak.
 *
 * @throws FtError `IO` when a file cannot be read, `CHECKSUM_MISMATCH` when it is cut, damaged or another one, `ABORTED`
 */
export async function readFlights(options: ReadFlightsOptions = {}): Promise<Flights> {
  const source = options.source ?? vegaDataset('flights-3m.parquet')
  const bytes = await readWhole(source, READER)
  const got = createHash('sha256').update(bytes).digest('hex')
  if (got !== SHA256) {
    throw new FtError(
      'CHECKSUM_MISMATCH',
      `${READER}: ${nameOf(source)} must be flights-3m.parquet of vega-datasets 3.2.1 (SHA-256 ${SHA256}), got ${got}; install vega-datasets again`,
      { source: nameOf(source), expected: SHA256, got },
    )
  }
  return decodeFlights({ ...options, bytes, name: nameOf(source), airportPositions: vegaDataset('airports.csv') })
}

/** The path of a file of the vega-datasets package as this package resolves it. */
function vegaDataset(file: string): string {
  const require = createRequire(import.meta.url)
  return join(dirname(require.resolve('vega-datasets')), '..', 'data', file)
}
