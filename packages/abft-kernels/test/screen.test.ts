// Products that the engine judges itself: reports are those of products that are judged here, faults are found all the same.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Fault } from '@ft/core'
import { createRandom } from '@ft/core/random'
import { createWasmEngine } from '@ft/tensor-core/wasm'
import { calibrate, createKernels, type Calibration } from '../src/index.ts'

const engine = createWasmEngine({ threads: 1, instrumented: true })
let calibration: Calibration
beforeAll(async () => {
  calibration = await calibrate(engine, { trials: 2, seed: 1, lengths: [16, 256, 1024] })
})
afterAll(() => engine.dispose())

function operands(m: number, k: number, n: number, shift = 0) {
  const random = createRandom(7).stream('screen', m)
  const numbers = (name: string, size: number) =>
    random
      .stream(name)
      .fillNormal(new Float32Array(size))
      .map((value) => value + shift)
  return {
    a: { data: numbers('a', m * k), shape: [m, k], dtype: 'float32' as const },
    b: { data: numbers('b', k * n), shape: [k, n], dtype: 'float32' as const },
  }
}

/** Sums that are wanted besides are judged here. */
const here = { emit: { rowStatistics: true } }

describe.each([
  ['calibrated', true],
  ['hard', false],
] as const)('%s', (_, calibrated) => {
  const kernels = () => createKernels({ engine, ...(calibrated && { calibration }) })

  it.each([
    [1, 1024, 1024],
    [5, 256, 700],
    [64, 64, 64],
    [200, 13, 512],
  ])('%i x %i x %i (m, k, n): the same report, of centred data and of one sign', async (m, k, n) => {
    for (const shift of [0, 2]) {
      const { a, b } = operands(m, k, n, shift)
      const weights = await kernels().prepare(b)
      const screened = await kernels().matmul(a, weights)
      const judged = await kernels().matmul(a, weights, here)
      const { largest, smallestDetectable, ...rest } = screened.report.threshold
      const { largest: other, smallestDetectable: _smallest, ...same } = judged.report.threshold
      expect(rest).toEqual(same)
      expect({ ...screened.report, threshold: 0 }).toEqual({ ...judged.report, threshold: 0 })
      // The engine's limit is a bound of what is judged here: by the row's norm, and rounded upwards.
      expect(largest).toBeGreaterThan(other * (1 - 1e-6))
      expect(largest).toBeLessThan(other * (calibrated ? 1.02 : 1.5))
      expect(smallestDetectable).toBe(2 * largest)
      expect(screened.output).toEqual(judged.output)
      weights.release()
    }
  })

  it.each([
    [8, 256, 64],
    [40, 300, 70],
  ])('%i x %i x %i (m, k, n): what is found here is found there, and put right', async (m, k, n) => {
    const { a, b } = operands(m, k, n)
    const weights = await kernels().prepare(b)
    const clean = (await kernels().matmul(a, weights)).output
    let found = 0
    for (let bit = 8; bit < 31; bit++) {
      const row = bit % m
      const faults: Fault[] = [{ site: { kind: 'output', row, column: bit }, effect: { kind: 'flip', bits: [bit] } }]
      const screened = await kernels().matmul(a, weights, { faults })
      const judged = await kernels().matmul(a, weights, { ...here, faults })
      expect(screened.report.detections.map(({ region, outcome }) => [region, outcome])).toEqual(
        judged.report.detections.map(({ region, outcome }) => [region, outcome]),
      )
      if (screened.report.status !== 'corrected') continue
      found++
      expect(screened.output).toEqual(clean)
    }
    expect(found).toBeGreaterThan(calibrated ? 14 : 6)
    weights.release()
  })
})

it('a struck threshold, and a struck sum, are judged here', async () => {
  const { a, b } = operands(8, 64, 32)
  const kernels = createKernels({ engine, calibration })
  const weights = await kernels.prepare(b)
  const low = await kernels.matmul(a, weights, { thresholdFault: { kind: 'set', value: 0 } })
  expect(low.report.detections.length).toBe(1)
  const faults: Fault[] = [{ site: { kind: 'checksum', side: 'actual', index: 3 }, effect: { kind: 'add', value: 50 } }]
  const sum = await kernels.matmul(a, weights, { faults })
  expect(sum.report.detections.map(({ outcome }) => outcome)).toEqual(['check-fault'])
  weights.release()
})

it('columns that have much in common, whose row sums are large beside them, do not alarm', async () => {
  const random = createRandom(11)
  const kernels = createKernels({ engine, calibration })
  for (const k of [13, 16, 64, 256]) {
    const [m, n] = [400, 512]
    const common = random.fillNormal(new Float32Array(k))
    const own = random.fillNormal(new Float32Array(k * n))
    const b = { data: own.map((value, i) => value + (common[Math.floor(i / n)] ?? 0)), shape: [k, n] }
    const a = { data: random.fillNormal(new Float32Array(m * k)), shape: [m, k], dtype: 'float32' as const }
    const weights = await kernels.prepare({ ...b, dtype: 'float32' })
    for (const options of [{}, here]) expect((await kernels.matmul(a, weights, options)).report.detections).toEqual([])
    weights.release()
  }
})
