// What every importer owes a damaged file.
import { expect } from 'vitest'
import { isFtError } from '@ft/core'
import { predict, type Model } from '../../src/index.ts'

/** Reads; a model that comes out must be whole. Returns whether one did. */
export function survives(read: () => Model): boolean {
  let model: Model
  try {
    model = read()
  } catch (error) {
    if (isFtError(error)) return false
    throw error
  }
  const rows = 70
  const columns = model.featureNames.length
  const data = Float32Array.from({ length: rows * columns }, (_, i) => (i % 7 === 0 ? NaN : Math.sin(i) * 3))
  const scores = predict(model, { data, rows, columns }, { output: 'raw' })
  expect(scores.length).toBe(rows * model.outputs)
  // Finite leaves can still add up to more than a double holds, never to NaN out of nothing.
  expect(scores.some((score) => score !== score && model.baseScores.every(Number.isFinite))).toBe(false)
  return true
}
