// Engines that store operands in float16: one that stands in for them everywhere, and the real ones where the adapter has
// shader-f16 (with subgroup matrices, where it has those). Checks and decisions must be about what was stored.
import { describe, expect, it } from 'vitest'
import {
  isFtError,
  type Fault,
  type MatmulEngine,
  type PreparedWeights,
  type ProtectionScheme,
  type Tensor,
} from '@ft/core'
import { fromFloat16Array, toFloat16Array } from '@ft/core/formats'
import { createReferenceEngine } from '@ft/tensor-core/reference'
import { createWebgpuEngine, type WebgpuEngineOptions } from '@ft/tensor-core/webgpu'
import { createKernels, watchWeights, type Kernels } from '../src/index.ts'
import { bits, normalTensor } from './support/data.ts'

const rounded = (tensor: Tensor): Tensor => ({
  ...tensor,
  data: fromFloat16Array(toFloat16Array(tensor.data as Float32Array)),
})
const schemes: readonly ProtectionScheme[] = [
  ...(['none', 'global', 'row', 'column', 'row-column', 'thread-one-sided', 'thread-two-sided'] as const),
  'replication',
]
const isPrepared = (weights: Tensor | PreparedWeights): weights is PreparedWeights => 'release' in weights

/** The reference engine on rounded operands, accumulating in float64. */
function standIn(): MatmulEngine {
  const engine = createReferenceEngine({ instrumented: true })
  const stored = (weights: Tensor | PreparedWeights) => (isPrepared(weights) ? weights : rounded(weights))
  return {
    ...engine,
    name: 'webgpu',
    build: 'webgpu/float16/stand-in',
    prepare: (weights, o) => engine.prepare(weights.dtype === 'float32' ? rounded(weights) : weights, o),
    matmul: (a, weights, o) => engine.matmul(rounded(a), stored(weights), o),
    conv2d: (x, filter, o) => engine.conv2d(rounded(x), stored(filter), o),
  }
}

const onDevice = async (options: WebgpuEngineOptions): Promise<MatmulEngine | undefined> => {
  try {
    return await createWebgpuEngine({ storage: 'float16', instrumented: true, ...options })
  } catch (error) {
    if (isFtError(error, 'ENGINE_UNAVAILABLE')) return undefined
    throw error
  }
}

const [plain, matrices] = [await onDevice({ matrices: false }), await onDevice({ matrices: true })]
const engines: readonly (readonly [string, MatmulEngine | undefined])[] = [
  ['a stand-in', standIn()],
  ['webgpu', plain],
  ['webgpu with subgroup matrices', matrices],
]
const patience = 300_000

const [m, n, k] = [24, 40, 64] as const
const [a, b] = [normalTensor([m, k], 1), normalTensor([k, n], 2)]

for (const [name, engine] of engines)
  describe.skipIf(engine === undefined)(
    `float16 on ${name}${engine === undefined ? ' (skipped: none here)' : ''}`,
    () => {
      const kernels = (): Kernels => createKernels({ engine: engine as MatmulEngine })

      it.each(['hard', 'calibrated'])(
        '%s: clean products are clean by every scheme, with the plain bits',
        async (mode) => {
          const bare = kernels()
          const own = mode === 'hard' ? bare : await bare.calibrated({ seed: 5, lengths: [16, 64], trials: 3 })
          const weights = await own.prepare(b)
          const wanted = (await (engine as MatmulEngine).matmul(a, weights.prepared)).output
          for (const scheme of schemes) {
            const { output, report } = await own.matmul(a, weights, { scheme })
            expect(report, scheme).toMatchObject({ status: 'clean', detections: [] })
            expect(bits(output), scheme).toEqual(bits(wanted))
          }
          weights.release()
        },
        patience,
      )

      it(
        'a fault is found, located and corrected to the bits of the clean run',
        async () => {
          const own = kernels()
          const weights = await own.prepare(b)
          const clean = (await own.matmul(a, weights)).output
          const faults: Fault[] = [
            { site: { kind: 'accumulator', row: 7, column: 11, step: 30 }, effect: { kind: 'flip', bits: [29] } },
          ]
          for (const scheme of ['row', 'row-column', 'global', 'thread-one-sided', 'replication'] as const) {
            const { output, report } = await own.matmul(a, weights, { scheme, faults })
            expect(report.status, scheme).toBe('corrected')
            expect(bits(output), scheme).toEqual(bits(clean))
          }
          weights.release()
        },
        patience,
      )

      it(
        'a lasting fault in a packed weight is told from rounding to float16, which is none',
        async () => {
          const own = kernels()
          const weights = await own.prepare(b)
          const site = { kind: 'packed-weight', step: 3, column: 5 } as const
          const faults: Fault[] = [{ site, effect: { kind: 'add', value: 8 }, persistent: true }]
          const { report } = await own.matmul(a, weights, { faults })
          expect(report.status).toBe('uncorrectable')
          // Sums of operands as they were given would be off by their rounding: thousands of these thresholds.
          const { report: again } = await own.matmul(a, weights)
          expect(again.status).toBe('clean')
          const watch = watchWeights(own, { fc: weights }, { seed: 1 })
          expect(await watch.sweep()).toMatchObject([{ tensorIntact: true, packedIntact: true }])
          weights.release()
        },
        patience,
      )

      it(
        'random weights: sums are of operands as they were stored, and a cancelling pair is corrected',
        async () => {
          const own = kernels()
          const weights = await own.prepare(b, { checksumWeights: 'random' })
          const image = normalTensor([2, 6, 6, 4], 3)
          const filter = await own.prepare(normalTensor([3, 3, 2, 6], 4), {
            ...({ kind: 'conv2d', groups: 2, checksumWeights: 'random' } as const),
          })
          const faults = [0, 2].map((column, i): Fault => {
            return { site: { kind: 'output', row: 5, column }, effect: { kind: 'add', value: i === 0 ? 8 : -8 } }
          })
          for (const scheme of ['row', 'column', 'row-column', 'global'] as const)
            for (const run of [
              (more: { faults?: Fault[] }) => own.matmul(a, weights, { scheme, ...more }),
              (more: { faults?: Fault[] }) => own.conv2d(image, filter, { scheme, pad: [1, 1, 1, 1], ...more }),
            ]) {
              const clean = await run({})
              expect(clean.report, scheme).toMatchObject({ status: 'clean', detections: [] })
              const struck = await run({ faults })
              expect(struck.report.status, scheme).toBe('corrected')
              expect(bits(struck.output), scheme).toEqual(bits(clean.output))
            }
          weights.release()
          filter.release()
        },
        patience,
      )

      it(
        'numbers beyond float16 are reported as the input they are, weights beyond it refused',
        async () => {
          const own = kernels()
          const weights = await own.prepare(b)
          const large = { ...a, data: Float32Array.from(a.data as Float32Array) }
          large.data[2 * k + 3] = 70_000
          const { report } = await own.matmul(large, weights)
          expect(report.detections.map(({ outcome }) => outcome)).toEqual(['input'])
          weights.release()
          const beyond = { ...b, data: Float32Array.from(b.data as Float32Array).fill(1e5, 4, 5) }
          await expect(own.prepare(beyond)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
        },
        patience,
      )

      it(
        'convolutions and chains: clean and corrected, by global and by row',
        async () => {
          const own = kernels()
          const image = normalTensor([2, 6, 6, 4], 3)
          const filter = await own.prepare(normalTensor([3, 3, 2, 6], 4), { kind: 'conv2d', groups: 2 })
          const geometry = { pad: [1, 1, 1, 1], stride: [2, 1] } as const
          const wanted = (await own.conv2d(image, filter, { ...geometry, scheme: 'none' })).output
          const faults: Fault[] = [{ site: { kind: 'output', row: 5, column: 2 }, effect: { kind: 'add', value: 40 } }]
          for (const scheme of ['global', 'row'] as const) {
            const clean = await own.conv2d(image, filter, { ...geometry, scheme })
            expect([clean.report.status, bits(clean.output)], scheme).toEqual(['clean', bits(wanted)])
            const struck = await own.conv2d(image, filter, { ...geometry, scheme, faults })
            expect([struck.report.status, bits(struck.output)], scheme).toEqual(['corrected', bits(wanted)])
          }
          const depthwise = await own.prepare(normalTensor([3, 3, 1, 4], 4), { kind: 'conv2d', groups: 4 })
          for (const scheme of ['global', 'row'] as const)
            expect((await own.conv2d(image, depthwise, { ...geometry, scheme })).report.status, scheme).toBe('clean')

          const chain = own.chain([
            { id: 'one', weights: await own.prepare(b), activation: 'relu' },
            { id: 'two', weights: await own.prepare(normalTensor([n, 8], 5)) },
          ])
          // What the first layer added up is not what was stored for the second.
          expect(chain.links).toEqual(['pass', 'pass'])
          const result = await chain.run(a)
          expect(result.status).toBe('clean')
          const struck = await chain.run(a, { faults: faults.map((fault) => ({ ...fault, layer: 'two' })) })
          expect([struck.status, bits(struck.output)]).toEqual(['corrected', bits(result.output)])
        },
        patience,
      )
    },
  )
