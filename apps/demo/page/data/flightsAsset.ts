// Build time: a sample of the flights as one small file, which the tabs that learn load when they are opened.
import { createOutput } from '@ft/report'
import type { Plugin } from 'vite'
import { denseFeatures } from '../../src/features.ts'
import { loadFlights } from '../../src/steps/flights.ts'
import { LARGEST, type FlightsHeader } from './format.ts'

const ROWS = 14_000

export function flightsAsset(): Plugin {
  return {
    name: 'ft-flights-sample',
    apply: 'build',
    async generateBundle() {
      this.emitFile({ type: 'asset', fileName: 'flights.bin', source: await flightsSample() })
    },
  }
}

/** Header length (uint32), header (JSON), features (int8), ids (uint16), labels (uint8). */
async function flightsSample(): Promise<Uint8Array> {
  const { stdout, stderr } = process
  const options = { rows: ROWS, seed: 1, quick: true, threads: 1 }
  const { task } = await loadFlights({ options, output: createOutput({ stdout, stderr, quiet: true }) })
  const { data, width, names } = denseFeatures(task)
  const columns = task.categorical.map(({ name, ids }) => ({ name, ...compactIds(ids, task.split.train.end) }))
  const header: FlightsHeader = {
    rows: task.rows,
    train: task.split.train.end,
    features: names,
    known: task.numeric.names.length,
    categorical: columns.map(({ name, size }) => ({ name, size })),
  }
  const text = new TextEncoder().encode(JSON.stringify(header))
  const features = Int8Array.from(data, (value) =>
    Math.round((Math.max(-LARGEST, Math.min(LARGEST, value)) * 127) / LARGEST),
  )
  const ids = new Uint16Array(task.rows * columns.length)
  columns.forEach(({ compact }, c) => compact.forEach((id, row) => (ids[row * columns.length + c] = id)))
  if (data.length !== task.rows * width) throw new Error('features and rows do not fit')
  return Buffer.concat([Uint32Array.of(text.length), text, features, ids, task.label].map(bytes))
}

/** Levels that training rows have get numbers from 1; 0 is any other. */
function compactIds(ids: Int32Array, train: number): { compact: Uint16Array; size: number } {
  const numbers = new Map<number, number>()
  for (const id of ids.subarray(0, train)) if (!numbers.has(id)) numbers.set(id, numbers.size + 1)
  return { compact: Uint16Array.from(ids, (id) => numbers.get(id) ?? 0), size: numbers.size + 1 }
}

function bytes({ buffer, byteOffset, byteLength }: ArrayBufferView): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength)
}
