// Two-sided: a clean corpus must give no alarm, a corpus of flips must be found. Seeds differ from the calibration's.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createRandom } from '@ft/core/random'
import { wilson } from '@ft/core/statistics'
import { createReferenceEngine } from '@ft/tensor-core/reference'
import { createWasmEngine } from '@ft/tensor-core/wasm'
import { calibrate, createKernels, parseCalibration, saveCalibration, type Calibration } from '../src/index.ts'
import { ordinaryDistributions } from '../src/calibrate.ts'

const engine = createWasmEngine({ threads: 1, instrumented: true })
let calibration: Calibration
beforeAll(async () => {
  calibration = await calibrate(engine, { trials: 6, seed: 1 })
})
afterAll(() => engine.dispose())

function operands(name: string, k: number, seed: number) {
  const random = createRandom(seed).stream(name, k)
  const make = ordinaryDistributions[name] as NonNullable<(typeof ordinaryDistributions)[string]>
  const weights = ordinaryDistributions[name === 'positive' || name === 'uniform' ? name : 'normal'] as typeof make
  return {
    a: { data: make(random, 32 * k), shape: [32, k], dtype: 'float32' as const },
    b: { data: weights(random, k * 64), shape: [k, 64], dtype: 'float32' as const },
  }
}

describe('clean products', () => {
  it.each(Object.keys(ordinaryDistributions))('%s: no alarm in 1,000 row checks, calibrated or hard', async (name) => {
    for (const kernels of [createKernels({ engine, calibration }), createKernels({ engine })]) {
      let checks = 0
      for (const k of [16, 64, 256, 1024, 3000]) {
        for (let seed = 100; seed < 107; seed++) {
          const { a, b } = operands(name, k, seed)
          const weights = await kernels.prepare(b)
          const { report } = await kernels.matmul(a, weights)
          weights.release()
          // The wanted false-alarm probability is 1e-6 a product: a failure here by chance is a one in 5,000 event.
          expect(report.detections).toEqual([])
          checks += report.checks
        }
      }
      expect(checks).toBe(5 * 7 * 32)
    }
  })

  it('cancelling rows may alarm but are never called faults', async () => {
    const random = createRandom(5)
    const kernels = createKernels({ engine, calibration })
    const k = 1024
    // Near-identical weight columns and sorted operands that sum to about nothing: errors correlate.
    const column = random.fillNormal(new Float32Array(k)).sort()
    const b = {
      data: Float32Array.from(
        { length: k * 64 },
        (_, i) => (column[Math.floor(i / 64)] ?? 0) * (1 + 1e-4 * random.normal()),
      ),
      shape: [k, 64],
      dtype: 'float32' as const,
    }
    const a = {
      data: Float32Array.from({ length: 32 * k }, (_, i) => (i % k < k / 2 ? 1 : -1) * (1 + 0.01 * random.normal())),
      shape: [32, k],
      dtype: 'float32' as const,
    }
    const weights = await kernels.prepare(b)
    const { report, output } = await kernels.matmul(a, weights)
    expect(report.detections.length).toBeGreaterThan(0)
    expect(report.detections.every((item) => item.outcome === 'false-alarm')).toBe(true)
    expect(report.status).toBe('clean')
    // From then on the layer is judged by the hard bound, which rounding cannot exceed.
    const next = await kernels.matmul(a, weights)
    expect([next.report.threshold.kind, next.report.detections]).toEqual(['hard', []])
    expect(output.data).toEqual((await engine.matmul(a, b)).output.data)
  })
})

describe('flips of stored outputs inside the kernel, 128 x 1024 x 256', () => {
  async function detected(kernels: ReturnType<typeof createKernels>, bit: number, trials: number): Promise<number> {
    const random = createRandom(9).stream('flips', bit)
    const a = { data: random.fillNormal(new Float32Array(128 * 1024)), shape: [128, 1024], dtype: 'float32' as const }
    const b = { data: random.fillNormal(new Float32Array(1024 * 256)), shape: [1024, 256], dtype: 'float32' as const }
    const weights = await kernels.prepare(b)
    let found = 0
    // Many faults a product, one a row: rows are checked apart.
    for (let done = 0; done < trials; done += 128) {
      const faults = Array.from({ length: 128 }, (_, row) => ({
        site: { kind: 'output' as const, row, column: random.integer(0, 255) },
        effect: { kind: 'flip' as const, bits: [bit] },
      }))
      const { report } = await kernels.matmul(a, weights, { faults, onFault: 'report' })
      found += report.detections.filter((item) => item.outcome === 'reported').length
    }
    return found
  }

  it.each([
    [13, 0.94],
    [18, 0.995],
    [24, 0.995],
    [31, 0.995],
  ])('bit %i on wasm, calibrated: the detected share is not below %f', async (bit, share) => {
    const found = await detected(createKernels({ engine, calibration }), bit, 512)
    expect(wilson({ successes: found, trials: 512 }).high).toBeGreaterThanOrEqual(share)
    if (share > 0.99) expect(found / 512).toBeGreaterThanOrEqual(share)
  })

  it('bit 14 on the reference engine, by its storage rule', async () => {
    const found = await detected(createKernels({ engine: createReferenceEngine({ instrumented: true }) }), 14, 256)
    expect(wilson({ successes: found, trials: 256 }).high).toBeGreaterThanOrEqual(0.995)
  })
})

describe('calibrations', () => {
  it('are the same for the same seed, survive a round trip, and belong to a build', async () => {
    const again = await calibrate(engine, { trials: 6, seed: 1, lengths: [16, 64] })
    expect(again.points).toEqual(calibration.points.slice(0, 2))
    expect(parseCalibration(saveCalibration(calibration), { build: engine.build })).toEqual(calibration)
    const refusals: [string, string][] = [
      [saveCalibration(calibration).slice(0, 40), 'CORRUPT_DATA'],
      [JSON.stringify({ ...calibration, version: 1 }), 'VERSION_UNSUPPORTED'],
      [JSON.stringify({ ...calibration, points: [null] }), 'CORRUPT_DATA'],
      [JSON.stringify({ ...calibration, points: [calibration.points[0], 7] }), 'CORRUPT_DATA'],
      [JSON.stringify({ ...calibration, points: [{ k: 5, noise: -1 }] }), 'CORRUPT_DATA'],
      [JSON.stringify({ ...calibration, build: 'other' }), 'FINGERPRINT_MISMATCH'],
    ]
    for (const [text, code] of refusals) {
      expect(() => parseCalibration(text, { build: engine.build })).toThrow(expect.objectContaining({ code }) as Error)
    }
    expect(() => createKernels({ engine: createReferenceEngine(), calibration })).toThrow(/calibrate/)
  })
})
