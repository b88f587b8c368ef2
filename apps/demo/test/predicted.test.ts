import { zoo } from '@ft/intensity-guide'
import { describe, expect, it } from 'vitest'
import { planRow, predictedClaim } from '../src/steps/predicted.ts'
import { verdictOf } from '../src/story.ts'

describe('the claim about predicted costs', () => {
  it('is refuted where the paper’s rule and the cost model disagree', () => {
    const row = planRow(zoo('vgg16'), 'h100')
    expect(row.guided).toBeGreaterThan(row.global)
    expect(verdictOf(predictedClaim([row]))).toBe('refuted')
  })

  it('holds for ResNet-50 at 1080p on a T4, with both schemes in use', () => {
    const row = planRow(zoo('resnet50', { resolution: [1080, 1920] }), 't4')
    expect(row.guided).toBeLessThan(Math.min(row.global, row.thread))
    expect(row.cheapest).toBeLessThanOrEqual(row.guided)
    expect(verdictOf(predictedClaim([row]))).toBe('held')
  })
})
