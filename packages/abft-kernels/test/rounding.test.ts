// What thresholds take from an engine's build: how it rounds, and the tile that its sums speak of.
import { describe, expect, it } from 'vitest'
import { roundingOf } from '../src/index.ts'
import { tileOf } from '../src/rounding.ts'

describe('builds', () => {
  it('with subgroup matrices cut sums off at each block, others round them at each step', () => {
    expect(roundingOf('webgpu/float32/any', 'float32').wide).toBe(false)
    const plain = roundingOf('webgpu/float16/any', 'float32')
    const matrices = roundingOf('webgpu/float16 16x8x16/any', 'float32')
    expect([plain.chain(100), matrices.chain(100)]).toEqual([101, 107])
    expect(matrices.accumulated).toBe(2 * plain.accumulated)
    expect(() => roundingOf('webgpu/float16/any', 'bool')).toThrow(/no analysis for bool/)
  })

  it.each([
    ['wasm/simd/4x8x256', [4, 8]],
    ['wasm/relaxed/6x16x256', [6, 16]],
    // Of 1 x 4, 4 x 4 and 8 x 8, by the product's size, the largest.
    ['webgpu/float32/any', [8, 8]],
    ['webgpu/float32/card/1x2x3', [8, 8]],
    ['webgpu/float16/any', [8, 8]],
    ['webgpu/float16 16x16x16/any', [64, 64]],
    ['gpujs/cpu', [1, 3]],
    ['own/kernel', [4, 8]],
  ] as const)('%s has tiles of %j', (build, tile) => {
    expect(tileOf(build)).toEqual(tile)
  })
})
