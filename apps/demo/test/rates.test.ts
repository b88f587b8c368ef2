import { describe, expect, it } from 'vitest'
import type { FlightTask } from '@ft/datasets'
import { denseFeatures } from '../src/features.ts'
import { baseRate, levelRates, orderedRates } from '../src/rates.ts'

/** Six rows, four of them training: levels 0 0 1 0 | 0 1. */
const task = {
  rows: 6,
  label: Uint8Array.of(1, 0, 1, 1, 1, 0),
  split: { train: { start: 0, end: 4 }, validate: { start: 4, end: 5 }, test: { start: 5, end: 6 } },
  categorical: [{ name: 'route', size: 2, ids: Int32Array.of(0, 0, 1, 0, 0, 1) }],
  numeric: { names: ['x'], data: Float32Array.of(1, 2, 3, 4, 500, 6), shape: [6, 1] },
  scale: { mean: Float64Array.of(2.5), deviation: Float64Array.of(1) },
} as unknown as FlightTask

describe('late rates', () => {
  it('come from training rows alone, smoothed by 50 rows at the overall rate', () => {
    expect(baseRate(task)).toBe(0.75)
    const rates = levelRates(task, 'route')
    expect(rates[4]).toBeCloseTo((2 + 50 * 0.75) / 53, 12)
    expect(rates[5]).toBeCloseTo((1 + 50 * 0.75) / 51, 12)
  })

  it('as a feature of a training row see only rows before it, never its own label', () => {
    const rates = orderedRates(task, 'route')
    expect(rates[0]).toBeCloseTo(0.2, 12)
    expect(rates[1]).toBeCloseTo((1 + (50 * 11) / 51) / 51, 12)
    for (let row = 0; row < 4; row++) {
      // A label changes only what comes after it; labels behind the training rows change nothing.
      const flipped = orderedRates(
        { ...task, label: task.label.map((label, i) => (i >= row ? 1 - label : label)) },
        'route',
      )
      expect(flipped.subarray(0, row + 1)).toEqual(rates.subarray(0, row + 1))
      expect(flipped[4]).not.toBe(rates[4])
    }
    const later = orderedRates({ ...task, label: Uint8Array.of(1, 0, 1, 1, 0, 1) }, 'route')
    expect(later).toEqual(rates)
  })

  it('dense features are standardised and clipped', () => {
    const { data, width, names } = denseFeatures(task)
    expect(names).toEqual(['x', 'route rate'])
    expect(width).toBe(2)
    expect([data[0], data[8]]).toEqual([-1.5, 5])
  })
})
