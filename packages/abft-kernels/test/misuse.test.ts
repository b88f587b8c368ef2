// Misuse that would pass silently, or be told as something else.
import { describe, expect, it } from 'vitest'
import { createReferenceEngine } from '@ft/tensor-core/reference'
import { createKernels, type ProtectedWeights } from '../src/index.ts'
import { normalTensor } from './support/data.ts'

const kernels = createKernels({ engine: createReferenceEngine() })
const a = normalTensor([3, 4], 1)
const w = normalTensor([4, 5], 2)
const filter = normalTensor([3, 3, 2, 4], 3)
const image = normalTensor([1, 5, 5, 2], 4)

describe('an option that there is not', () => {
  const misspelt: Record<string, () => unknown> = {
    prepare: () => kernels.prepare(w, { kinds: 'matmul' } as object),
    matmul: async () => kernels.matmul(a, await kernels.prepare(w), { schema: 'row-column' } as object),
    conv2d: async () =>
      kernels.conv2d(image, await kernels.prepare(filter, { kind: 'conv2d' }), { strides: [1, 1] } as object),
    matmulInt8: async () => kernels.matmulInt8(a, await kernels.prepare(w), { onfault: 'throw' } as object),
    attention: () => kernels.attention({ q: image, k: image, v: image }, { schema: 'row' } as object),
    'chain.run': async () =>
      kernels.chain([{ weights: await kernels.prepare(w) }]).run(a, { onfault: 'throw' } as object),
    calibrated: () => kernels.calibrated({ trial: 3 } as object),
    createKernels: () => createKernels({ engine: kernels.engine, calibrate: undefined } as never),
  }
  it.each(Object.keys(misspelt))('is refused by %s, with those that there are', async (where) => {
    const call = async () => (misspelt[where] as () => unknown)()
    await expect(call()).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(
        new RegExp(`^${where.replace('.', '\\.')} has no option "\\w+"; it has \\w+`),
      ) as string,
    })
  })

  it('takes no text for options', async () => {
    const weights = await kernels.prepare(w)
    await expect(kernels.matmul(a, weights, 'row' as never)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  })
})

describe('weights', () => {
  it.each(['matmul', 'conv2d', 'matmulInt8'] as const)('of %s must have been prepared', async (call) => {
    await expect(kernels[call](a, w as never as ProtectedWeights)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('must come from kernels.prepare()') as string,
    })
  })

  it('of four dimensions are told apart from a matrix', async () => {
    await expect(kernels.prepare(filter)).rejects.toMatchObject({
      code: 'SHAPE_MISMATCH',
      message: expect.stringContaining("a filter takes { kind: 'conv2d' }") as string,
    })
  })
})
