// The engines of GPUs under this package's checks, where there are any: few and small shapes, since a software adapter takes
// a second to compile a kernel.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Fault, ProtectionScheme } from '@ft/core'
import { describeEngines } from '@ft/tensor-core'
import { createWebgpuEngine, type WebgpuEngine } from '@ft/tensor-core/webgpu'
import { soak } from '../src/campaign.ts'
import { createKernels, type Kernels } from '../src/index.ts'
import { bits, normalTensor } from './support/data.ts'

const found = (await describeEngines()).find(({ name }) => name === 'webgpu')
const available = found?.available === true
if (!available) console.log(`skipped: no webgpu engine: ${found?.detail}`)
const required = (process.env['FT_REQUIRE'] ?? '').split(',').includes('webgpu')
const patience = 120_000

it('has an adapter where it is required', () => {
  expect(available || !required, found?.detail).toBe(true)
})

describe.skipIf(!available)('float32 on webgpu', () => {
  const tile = { rows: 4, columns: 4, down: 4, across: 4, depth: 4 }
  const [a, w] = [normalTensor([13, 40], 1), normalTensor([40, 21], 2)]
  const schemes: ProtectionScheme[] = ['row', 'row-column', 'global', 'thread-one-sided']
  let engine: WebgpuEngine
  let kernels: Kernels
  beforeAll(async () => {
    engine = await createWebgpuEngine({ instrumented: true, tile })
    kernels = createKernels({ engine })
  })
  afterAll(() => engine.dispose())

  it.each(schemes)(
    '%s: a clean product has the plain bits, and a fault inside the kernel is corrected to them',
    async (scheme) => {
      const weights = await kernels.prepare(w)
      const plain = await engine.matmul(a, w)
      const clean = await kernels.matmul(a, weights, { scheme })
      expect([clean.report.status, clean.report.detections]).toEqual(['clean', []])
      expect(clean.report.checks).toBeGreaterThan(0)
      expect(bits(clean.output)).toEqual(bits(plain.output))
      const site = { kind: 'accumulator', row: 7, column: 5, step: 20 } as const
      const faults: Fault[] = [{ site, effect: { kind: 'flip', bits: [29] } }]
      const { output, report } = await kernels.matmul(a, weights, { scheme, faults })
      expect(report.status).toBe('corrected')
      expect(bits(output)).toEqual(bits(plain.output))
      if (scheme === 'row') expect(report.detections.map(({ region }) => region)).toEqual([{ kind: 'row', row: 7 }])
    },
    patience,
  )

  it(
    'calibrated: a smaller error is surely seen, and an infinite output never passes',
    async () => {
      const calibrated = await kernels.calibrated({ lengths: [16, 64], trials: 1 })
      const weights = await kernels.prepare(w)
      const clean = await calibrated.matmul(a, weights)
      expect(clean.report).toMatchObject({ status: 'clean', threshold: { kind: 'v-abft' } })
      const { smallestDetectable } = clean.report.threshold
      expect(smallestDetectable).toBeLessThan((await kernels.matmul(a, weights)).report.threshold.smallestDetectable)
      for (const effect of [
        { kind: 'add', value: 1.01 * smallestDetectable },
        { kind: 'set', value: Infinity },
      ] as const) {
        const faults: Fault[] = [{ site: { kind: 'output', row: 2, column: 3 }, effect }]
        const { output, report } = await calibrated.matmul(a, weights, { faults })
        expect(report.status).toBe('corrected')
        expect(bits(output)).toEqual(bits(clean.output))
      }
    },
    patience,
  )

  it(
    'random weights: a pair that cancels in its row is corrected, with the bits of a product with bias and ReLU behind it',
    async () => {
      const bias = normalTensor([21], 3)
      const weights = await kernels.prepare(w, { checksumWeights: 'random' })
      const plain = await engine.matmul(a, w, { bias, activation: 'relu' })
      const faults = [5, 9].map((column, i): Fault => {
        return { site: { kind: 'output', row: 7, column }, effect: { kind: 'add', value: i === 0 ? 8 : -8 } }
      })
      const ones = await kernels.matmul(a, weights, { bias, activation: 'relu', faults, checksumWeights: 'ones' })
      expect(ones.report.status).toBe('clean')
      for (const scheme of ['row', 'column', 'row-column', 'global'] as const) {
        const given = { scheme, bias, activation: 'relu' } as const
        expect((await kernels.matmul(a, weights, given)).report.status).toBe('clean')
        const { output, report } = await kernels.matmul(a, weights, { ...given, faults })
        expect(report.status).toBe('corrected')
        expect(bits(output)).toEqual(bits(plain.output))
      }
    },
    patience,
  )

  it(
    'soak finds nothing on a sound adapter',
    async () => {
      expect(await soak({ engine, seconds: 0.2, seed: 1 })).toMatchObject({ faults: 0, unrepeatable: 0 })
    },
    patience,
  )
})
