// The engine of gpu.js under this package's checks. It injects no faults: a product is made wrong behind it, sums and all.
import { afterAll, describe, expect, it } from 'vitest'
import type { MatmulEngine, ProtectionScheme } from '@ft/core'
import { createGpujsEngine } from '@ft/tensor-core/gpujs'
import { createKernels } from '../src/index.ts'
import { bits, normalTensor } from './support/data.ts'

const [a, w] = [normalTensor([9, 40], 1), normalTensor([40, 14], 2)]
const engines = [await createGpujsEngine({ mode: 'webasm' }), await createGpujsEngine({ mode: 'cpu' })]
afterAll(() => Promise.all(engines.map((engine) => engine.dispose())))

/** Row 4 of every product of several rows has one element that is off by `by`; so has each of its sums of the output. */
function struck(engine: MatmulEngine, by: number): MatmulEngine {
  return {
    ...engine,
    async matmul(x, weights, options) {
      const product = await engine.matmul(x, weights, options)
      if (product.output.shape[0] === 1) return product
      product.output.data[4 * 14 + 7]! += by
      const { rowSums, tileSums, replica } = product
      if (rowSums) rowSums.actual[4]! += by
      for (const tiles of [tileSums, replica]) if (tiles) tiles.actual[4 * 5 + 2]! += by
      return product
    },
  }
}

describe.each(engines)('gpu.js, mode $mode', (engine) => {
  it.each<ProtectionScheme>(['row', 'thread-one-sided', 'replication'])(
    '%s: a clean product has the plain bits, and a wrong element is corrected to them',
    async (scheme) => {
      const kernels = createKernels({ engine })
      const weights = await kernels.prepare(w)
      const plain = await engine.matmul(a, w)
      const clean = await kernels.matmul(a, weights, { scheme })
      expect([clean.report.status, clean.report.detections]).toEqual(['clean', []])
      expect(bits(clean.output)).toEqual(bits(plain.output))
      for (const by of [3, Infinity]) {
        const wrong = createKernels({ engine: struck(engine, by) })
        const { output, report } = await wrong.matmul(a, weights, { scheme })
        expect([report.status, report.detections.length]).toEqual(['corrected', 1])
        expect(bits(output)).toEqual(bits(plain.output))
      }
    },
  )

  it('calibrated thresholds are tighter, and raise no alarm', async () => {
    const kernels = createKernels({ engine })
    const calibrated = await kernels.calibrated({ lengths: [16, 64], trials: 1 })
    const [loose, tight] = [kernels, calibrated].map(async (own) => own.matmul(a, await own.prepare(w)))
    const reports = [(await loose!).report, (await tight!).report] as const
    expect(reports.map(({ status }) => status)).toEqual(['clean', 'clean'])
    if (engine.mode === 'webasm') expect(reports[1].threshold.largest).toBeLessThan(reports[0].threshold.largest)
  })

  it.each(['row', 'column', 'row-column', 'global'] as const)(
    '%s with random weights, which needs no sums of the engine',
    async (scheme) => {
      const wrong = createKernels({ engine: struck(engine, 3) })
      const weights = await wrong.prepare(w, { checksumWeights: 'random' })
      expect((await createKernels({ engine }).matmul(a, weights, { scheme })).report.status).toBe('clean')
      const { output, report } = await wrong.matmul(a, weights, { scheme })
      expect(report.status).toBe('corrected')
      expect(bits(output)).toEqual(bits((await engine.matmul(a, w)).output))
    },
  )
})
