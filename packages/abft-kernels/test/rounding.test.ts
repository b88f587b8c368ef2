// What thresholds take from an engine's build: how it rounds, and the tile that its sums speak of.
import { describe, expect, it } from 'vitest'
import { createReferenceEngine } from '@ft/tensor-core/reference'
import { createKernels, roundingOf } from '../src/index.ts'
import { tileOf } from '../src/rounding.ts'
import { normalTensor } from './support/data.ts'

describe('builds', () => {
  it('that store float16 have no thresholds: products and convolutions are refused before they run', async () => {
    expect(() => roundingOf('webgpu/float16/any', 'float32')).toThrow(/storage 'float32'/)
    expect(roundingOf('webgpu/float32/any', 'float32').wide).toBe(false)
    const lost = () => Promise.reject(new Error('ran'))
    const engine = { ...createReferenceEngine(), build: 'webgpu/float16/any', matmul: lost, conv2d: lost }
    const kernels = createKernels({ engine })
    const refused = { code: 'UNSUPPORTED' }
    const square = normalTensor([4, 4], 1)
    await expect(kernels.matmul(square, await kernels.prepare(square))).rejects.toMatchObject(refused)
    const filter = await kernels.prepare(normalTensor([1, 1, 4, 2], 1), { kind: 'conv2d' })
    await expect(kernels.conv2d(normalTensor([1, 2, 2, 4], 1), filter)).rejects.toMatchObject(refused)
  })

  it.each([
    ['wasm/simd/4x8x256', [4, 8]],
    ['wasm/relaxed/6x16x256', [6, 16]],
    // Of 1 x 4, 4 x 4 and 8 x 8, by the product's size, the largest.
    ['webgpu/float32/any', [8, 8]],
    ['webgpu/float32/card/1x2x3', [8, 8]],
    ['gpujs/cpu', [1, 3]],
    ['own/kernel', [4, 8]],
  ] as const)('%s has tiles of %j', (build, tile) => {
    expect(tileOf(build)).toEqual(tile)
  })
})
