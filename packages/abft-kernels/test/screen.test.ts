// Products that the engine judges itself: reports are those of products that are judged here, faults are found all the same.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Fault } from '@ft/core'
import { createRandom, type Random } from '@ft/core/random'
import { createWasmEngine } from '@ft/tensor-core/wasm'
import { ordinaryDistributions } from '../src/calibrate.ts'
import { calibrate, createKernels, type Calibration } from '../src/index.ts'
import { createRunner } from '../src/runner.ts'

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

describe('columns of products of few of them', () => {
  const kernels = () => createKernels({ engine, calibration })
  const column = { scheme: 'column' } as const
  /** A power of two, of at most 132 rows each. */
  const blocks = (m: number): number => 2 ** Math.ceil(Math.log2(Math.max(1, m / 132)))

  it.each([
    [256, 256, 1],
    [2048, 256, 1],
    [40, 13, 3],
    [300, 1024, 4],
  ])('%i x %i x %i (m, k, n): clean, by about the limits that are told of such a layer', async (m, k, n) => {
    const { a, b } = operands(m, k, n)
    const weights = await kernels().prepare(b)
    const { output, report } = await kernels().matmul(a, weights, column)
    expect(report.status).toBe('clean')
    expect(report.checks).toBe(n * blocks(m))
    const layer = { id: 'x', m, n, k, count: 1, dtype: 'float32', op: { kind: 'matmul', batch: 1 } } as const
    const told = createRunner({ engine, calibration }).smallestDetectable(layer, 'column')
    const rms = Math.sqrt((output.data as Float32Array).reduce((sum, c) => sum + c * c, 0) / (m * n))
    // The limits follow what the columns are, told is their mean: a block's squares, and a column of B, differ by a third or so.
    expect(report.threshold.smallestDetectable / rms / told).toBeGreaterThan(0.6)
    expect(report.threshold.smallestDetectable / rms / told).toBeLessThan(1.7)
    expect(report.threshold.smallestDetectable).toBe(2 * report.threshold.largest)
    weights.release()
  })

  it('an error of the smallest size that is surely found is found in any block, and put right', async () => {
    const { a, b } = operands(300, 256, 2)
    const weights = await kernels().prepare(b)
    const clean = await kernels().matmul(a, weights, column)
    const value = 1.1 * clean.report.threshold.smallestDetectable
    for (const row of [0, 99, 100, 211, 299]) {
      const faults: Fault[] = [{ site: { kind: 'output', row, column: 1 }, effect: { kind: 'add', value } }]
      const { output, report } = await kernels().matmul(a, weights, { ...column, faults })
      // What does not pass is judged by whole columns, whose threshold is larger.
      if (report.threshold.smallestDetectable < value) expect(report.status).toBe('corrected')
      const large: Fault[] = [{ site: { kind: 'output', row, column: 1 }, effect: { kind: 'add', value: 3 * value } }]
      const other = await kernels().matmul(a, weights, { ...column, faults: large })
      expect(other.report.status).toBe('corrected')
      expect(other.output).toEqual(clean.output)
      expect(output.shape).toEqual(clean.output.shape)
    }
    weights.release()
  })

  it.each(Object.keys(ordinaryDistributions))('%s data do not alarm', async (name) => {
    const make = ordinaryDistributions[name] as (random: Random, size: number) => Float32Array
    for (const [m, k, n] of [
      [256, 256, 1],
      [700, 16, 2],
      [64, 1024, 1],
    ] as const)
      for (let trial = 0; trial < 20; trial++) {
        const random = createRandom(trial).stream(name, m)
        const a = { data: make(random, m * k), shape: [m, k], dtype: 'float32' as const }
        const b = { data: make(random, k * n), shape: [k, n], dtype: 'float32' as const }
        const weights = await kernels().prepare(b)
        const { report } = await kernels().matmul(a, weights, column)
        expect(report.detections).toEqual([])
        // Judged by its kernel: whole columns would be n checks.
        expect(report.checks).toBe(n * blocks(m))
        weights.release()
      }
  })

  it('rows that cancel are judged by what is known of them all, and do not alarm', async () => {
    const { a, b } = operands(128, 256, 1)
    for (let i = 0; i < 64 * 256; i++) a.data[64 * 256 + i] = -(a.data[i] ?? 0)
    for (let i = 128; i < 256; i++) b.data[i] = -(b.data[i - 128] ?? 0)
    for (let i = 0; i < a.data.length; i++) if (i % 256 >= 128) a.data[i] = a.data[i - 128] ?? 0
    const weights = await kernels().prepare(b)
    expect((await kernels().matmul(a, weights, column)).report.status).toBe('clean')
    weights.release()
  })
})
