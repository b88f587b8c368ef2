// Made data with a known signal.
import { createRandom } from '@ft/core/random'
import type { LabelledData } from '../../src/index.ts'

export interface Made extends LabelledData {
  readonly features: { data: Float32Array; rows: number; columns: number }
  readonly label: Float64Array
  readonly list: Float32Array[]
}

/** Friedman-like regression, optionally with missing cells; 'binary' thresholds it. */
export function makeData(
  rows: number,
  options: { seed?: number; columns?: number; missing?: number; task?: 'regression' | 'binary' | 'classes' } = {},
): Made {
  const { seed = 1, columns = 6, missing = 0, task = 'regression' } = options
  const random = createRandom(seed).stream('made data')
  const data = random.fillUniform(new Float32Array(rows * columns))
  const list = Array.from({ length: rows }, (_, row) => data.subarray(row * columns, (row + 1) * columns))
  const label = Float64Array.from(list, (x) => {
    const signal = 10 * Math.sin(Math.PI * (x[0] ?? 0) * (x[1] ?? 0)) + 20 * ((x[2] ?? 0) - 0.5) ** 2 + 10 * (x[3] ?? 0)
    const value = signal + random.normal()
    return task === 'regression'
      ? value
      : task === 'binary'
        ? Number(value > 12)
        : Math.min(2, Math.max(0, Math.floor(value / 8)))
  })
  for (let i = 0; i < data.length; i++) if (random.uniform() < missing) data[i] = NaN
  return { features: { data, rows, columns }, label, list }
}
