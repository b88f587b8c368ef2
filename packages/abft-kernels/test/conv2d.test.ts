import { afterAll, describe, expect, it } from 'vitest'
import type { Conv2dOptions, Fault, MatmulEngine, ProtectionScheme } from '@ft/core'
import { createReferenceEngine } from '@ft/tensor-core/reference'
import { createWasmEngine } from '@ft/tensor-core/wasm'
import { createKernels } from '../src/index.ts'
import { bits, normalTensor } from './support/data.ts'

const wasm = createWasmEngine({ threads: 1, instrumented: true })
afterAll(() => wasm.dispose())
const engines: [string, MatmulEngine][] = [
  ['reference', createReferenceEngine({ instrumented: true })],
  ['wasm', wasm],
]
const geometries: { name: string; x: number[]; filter: number[]; options: Conv2dOptions }[] = [
  { name: '3x3 same', x: [2, 7, 6, 4], filter: [3, 3, 4, 10], options: { pad: [1, 1, 1, 1] } },
  {
    name: 'strided 5x3, uneven padding',
    x: [1, 11, 9, 3],
    filter: [5, 3, 3, 8],
    options: { stride: [2, 3], pad: [2, 0, 1, 2] },
  },
  { name: 'dilated', x: [1, 12, 12, 2], filter: [3, 3, 2, 6], options: { dilation: [2, 3], pad: [1, 2, 3, 0] } },
  { name: 'two groups', x: [1, 6, 6, 8], filter: [3, 3, 4, 12], options: { groups: 2, pad: [1, 1, 1, 1] } },
  { name: 'depthwise', x: [1, 8, 8, 6], filter: [3, 3, 1, 6], options: { groups: 6, pad: [1, 1, 1, 1] } },
  { name: '1x1', x: [1, 5, 5, 16], filter: [1, 1, 16, 9], options: {} },
  {
    name: 'NCHW',
    x: [2, 4, 7, 6],
    filter: [3, 3, 4, 10],
    options: { format: 'NCHW', pad: [1, 1, 1, 1], stride: [2, 1] },
  },
]
const schemes: ProtectionScheme[] = ['row', 'column', 'row-column', 'global', 'thread-one-sided']

describe.each(engines)('conv2d on %s', (_, engine) => {
  describe.each(geometries)('$name', ({ x: xShape, filter: filterShape, options }) => {
    const x = normalTensor(xShape, 1)
    const filter = normalTensor(filterShape, 2)
    it.each(schemes)('%s: clean stays clean, a fault is corrected bit for bit', async (scheme) => {
      const kernels = createKernels({ engine })
      const weights = await kernels.prepare(filter, { kind: 'conv2d', groups: options.groups ?? 1 })
      const plain = await engine.conv2d(x, filter, { ...options, activation: 'relu' })
      const clean = await kernels.conv2d(x, weights, { ...options, scheme, activation: 'relu' })
      expect(clean.report.detections).toEqual([])
      expect(bits(clean.output)).toEqual(bits(plain.output))
      const fault: Fault = {
        site: { kind: 'accumulator', row: 3, column: 0, step: 5 },
        effect: { kind: 'set', value: 4e4 },
      }
      const struck = await kernels.conv2d(x, weights, { ...options, scheme, activation: 'relu', faults: [fault] })
      expect(struck.report.status).toBe('corrected')
      expect(bits(struck.output)).toEqual(bits(plain.output))
    })
  })
})
