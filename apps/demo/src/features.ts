// The task as numbers: standardised numeric features, and the late rate of each categorical level.
import type { FlightTask } from '@ft/datasets'
import { orderedRates } from './rates.ts'

export interface DenseTask {
  /** Row-major `[rows, width]`. */
  readonly data: Float32Array
  readonly width: number
  readonly names: readonly string[]
}

export function denseFeatures(task: FlightTask): DenseTask {
  const { numeric, scale, rows, categorical } = task
  const width = numeric.names.length + categorical.length
  const data = new Float32Array(rows * width)
  const columns = numeric.names.length
  for (let row = 0; row < rows; row++) {
    for (let c = 0; c < columns; c++) {
      const value =
        ((numeric.data[row * columns + c] as number) - (scale.mean[c] as number)) / (scale.deviation[c] as number)
      // A few hours of chaos reach twenty deviations; a network needs them to be large, not that large.
      data[row * width + c] = Math.min(Math.max(value, -5), 5)
    }
  }
  categorical.forEach((column, index) => {
    const rates = orderedRates(task, column.name)
    rates.forEach((rate, row) => (data[row * width + columns + index] = 10 * (rate - 0.2)))
  })
  return { data, width, names: [...numeric.names, ...categorical.map((column) => `${column.name} rate`)] }
}
