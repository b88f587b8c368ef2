// The runner: every scheme of every layer runs, and what it says it can see it does see.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { LinearLayer, MatmulEngine, ProtectionScheme } from '@ft/core'
import { createRandom } from '@ft/core/random'
import { createReferenceEngine } from '@ft/tensor-core/reference'
import { createWasmEngine } from '@ft/tensor-core/wasm'
import { calibrate, createKernels, type Calibration } from '../src/index.ts'
import loadRunner, { allSchemes, createRunner } from '../src/runner.ts'
import { rangesOf } from '../src/rounding.ts'
import { layerOperands } from '../src/runner/operands.ts'

const dense: LinearLayer = {
  id: 'dense',
  m: 24,
  n: 40,
  k: 96,
  count: 2,
  dtype: 'float32',
  op: { kind: 'matmul', batch: 1 },
}
const conv: LinearLayer = {
  id: 'conv',
  m: 2 * 4 * 3,
  n: 12,
  k: 3 * 3 * 4,
  count: 1,
  dtype: 'float16',
  op: {
    kind: 'conv2d',
    x: [2, 8, 6, 8],
    filter: [3, 3, 4, 12],
    stride: [2, 2],
    pad: [1, 1, 1, 1],
    dilation: [1, 1],
    groups: 2,
  },
}
const wasm = createWasmEngine({ threads: 1, instrumented: true })
let calibration: Calibration
beforeAll(async () => {
  calibration = await calibrate(wasm, { trials: 3, lengths: [64, 256] })
})
afterAll(() => wasm.dispose())
const struckReference = createReferenceEngine({ instrumented: true })
const engines: [string, MatmulEngine][] = [
  ['reference', createReferenceEngine()],
  ['wasm', wasm],
]

const integers: LinearLayer = { ...dense, id: 'integers', dtype: 'uint8' }
const batch: LinearLayer = { ...dense, id: 'batch', op: { kind: 'matmul', batch: 3 } }

describe.each(engines)('runner on %s', (_, engine) => {
  const runner = createRunner({ engine, device: 'test machine' })

  it.each(allSchemes)('%s: runs dense and convolution layers, chained and not', async (scheme) => {
    expect([runner.device, runner.build]).toEqual(['test machine', engine.build])
    for (const layer of [dense, conv, integers, batch]) {
      expect(runner.schemes(layer)).toContain(scheme)
      for (const chained of [false, true]) {
        const prepared = await runner.prepare(layer, scheme, { seed: 3, chained })
        await prepared.run()
        await prepared.run()
        prepared.release()
        await expect(prepared.run()).rejects.toMatchObject(engine.name === 'wasm' ? { code: 'INVALID_ARGUMENT' } : {})
      }
    }
  })

  it('lists for an engine only what it has sums for', async () => {
    const gpujs = createRunner({ engine: { ...engine, name: 'gpujs', build: 'gpujs/cpu' } })
    expect(gpujs.schemes(dense)).toEqual(['none', 'row', 'thread-one-sided', 'replication'])
    expect(gpujs.schemes(integers)).toEqual(['none'])
    await expect(gpujs.prepare(dense, 'column', { seed: 1, chained: false })).rejects.toMatchObject({
      code: 'UNSUPPORTED',
    })
    const narrow = createRunner({ engine: { ...engine, name: 'webgpu', build: 'webgpu/float16/any' } })
    expect(narrow.schemes(dense)).toEqual(runner.schemes(dense))
  })

  it('runs no batches of integers and no integer convolutions, and says so', async () => {
    for (const layer of [
      { ...conv, dtype: 'int8' as const },
      { ...integers, op: { kind: 'matmul' as const, batch: 3 } },
    ]) {
      expect(runner.schemes(layer)).toEqual([])
      await expect(runner.prepare(layer, 'row', { seed: 1, chained: false })).rejects.toMatchObject({
        code: 'UNSUPPORTED',
      })
    }
  })
})

describe('smallestDetectable', () => {
  const checked = allSchemes.filter((scheme) => scheme !== 'none')
  const cases = [true, false].flatMap((fitted) => checked.map((scheme) => ({ scheme, fitted })))

  it.each(cases)('$scheme, calibrated: $fitted: an error of that size is found in every place', async (item) => {
    const { scheme, fitted } = item
    const options = fitted ? { engine: wasm, calibration } : { engine: wasm }
    const runner = createRunner(options)
    const kernels = createKernels(options)
    const { input, weights: tensor } = layerOperands(dense, 5)
    const weights = await kernels.prepare(tensor)
    // The promise is for data as they come in the mean; half as much again covers one sample of rows.
    const size = 1.5 * runner.smallestDetectable(dense, scheme) * Math.sqrt(dense.k)
    const random = createRandom(1).stream('places')
    for (let trial = 0; trial < 40; trial++) {
      const site = { kind: 'output', row: random.integer(0, 23), column: random.integer(0, 39) } as const
      const fault = { site, effect: { kind: 'add', value: size } } as const
      const { report } = await kernels.matmul(input, weights, { scheme, faults: [fault] })
      expect(report.status).toBe('corrected')
    }
    const { report } = await kernels.matmul(input, weights, { scheme })
    const said = report.threshold.smallestDetectable / Math.sqrt(dense.k)
    const ratio = runner.smallestDetectable(dense, scheme) / said
    expect(ratio).toBeGreaterThan(1 / 1.5)
    expect(ratio).toBeLessThan(1.5)
  })

  const wide: LinearLayer = { ...dense, id: 'wide', m: 6, n: 1100 }
  it.each(['row', 'row-column'] as const)(
    '%s: the same of a row whose columns are judged range by range',
    async (scheme) => {
      for (const options of [{ engine: wasm, calibration }, { engine: wasm }, { engine: struckReference }]) {
        const runner = createRunner(options)
        const kernels = createKernels(options)
        const { input, weights: tensor } = layerOperands(wide, 5)
        const weights = await kernels.prepare(tensor)
        const size = 1.5 * runner.smallestDetectable(wide, scheme) * Math.sqrt(wide.k)
        for (const column of [0, 383, 384, 767, 768, 1099]) {
          const site = { kind: 'output', row: column % wide.m, column } as const
          const { report } = await kernels.matmul(input, weights, {
            scheme,
            faults: [{ site, effect: { kind: 'add', value: size } }],
          })
          expect(report.status).toBe('corrected')
        }
        weights.release()
      }
    },
  )

  it.each([
    ['wasm', 'calibrated'],
    ['wasm', 'hard'],
    ['reference', 'hard'],
  ])('row on %s, %s: more columns in ranges of the same width cost next to no sensitivity', (name, mode) => {
    const runner = createRunner(
      name === 'reference'
        ? { engine: struckReference }
        : { engine: wasm, ...(mode === 'calibrated' && { calibration }) },
    )
    const of = (n: number) => runner.smallestDetectable({ ...dense, n }, 'row')
    // kappa grows with the number of checks: from 24 to 96 rows and ranges, by 5 % at 1e-6.
    expect(of(2048) / of(512)).toBeLessThan(1.06)
    expect(of(2048) / of(512)).toBeGreaterThan(0.99)
    expect(of(512) / of(128)).toBeGreaterThan(1.9)
  })

  it('knows the ranges that the engines take', async () => {
    for (const engine of [wasm, struckReference])
      for (const n of [1, 512, 513, 1100, 2048]) {
        const [a, b] = [new Float32Array(1), new Float32Array(n)]
        const { rowSums } = await engine.matmul(
          { data: a, shape: [1, 1], dtype: 'float32' },
          { data: b, shape: [1, n], dtype: 'float32' },
          { emit: { rowSums: true } },
        )
        const { ranges, rangeColumns } = rowSums ?? { ranges: 0, rangeColumns: 0 }
        expect({ ranges, rangeColumns }).toEqual(rangesOf(engine.build, n))
        expect(rangeColumns).toBeLessThanOrEqual(512)
      }
  })

  it('replication of a few columns on wasm is exact: a change of that size is seen', async () => {
    const layer: LinearLayer = { ...dense, id: 'narrow', n: 1 }
    const runner = createRunner({ engine: wasm, calibration })
    const { input, weights: tensor } = layerOperands(layer, 5)
    const kernels = createKernels({ engine: wasm, calibration })
    const { report } = await kernels.matmul(input, await kernels.prepare(tensor), { scheme: 'replication' })
    const said = report.threshold.smallestDetectable / Math.sqrt(layer.k)
    expect(runner.smallestDetectable(layer, 'replication') / said).toBeGreaterThan(0.2)
    expect(runner.smallestDetectable(layer, 'replication') / said).toBeLessThan(5)
  })

  it.each([
    { groups: 1, n: 3 },
    { groups: 2, n: 8 },
    { groups: 4, n: 12 },
  ])(
    'replication of convolutions of a few columns on wasm is exact too: $n in $groups groups',
    async ({ groups, n }) => {
      const op = { ...conv.op, filter: [3, 3, 8 / groups, n], groups } as LinearLayer['op']
      const layer: LinearLayer = { ...conv, id: 'narrow convolution', k: 9 * (8 / groups), n, op }
      const runner = createRunner({ engine: wasm, calibration })
      const { input, weights: tensor } = layerOperands(layer, 5)
      const kernels = createKernels({ engine: wasm, calibration })
      const weights = await kernels.prepare(tensor, { kind: 'conv2d', groups })
      const options = { scheme: 'replication', stride: [2, 2], pad: [1, 1, 1, 1] } as const
      const { report, output } = await kernels.conv2d(input, weights, options)
      expect(report.threshold.kind).toBe('exact')
      const said = report.threshold.smallestDetectable / Math.sqrt(layer.k)
      const size = runner.smallestDetectable(layer, 'replication')
      expect(size / said).toBeGreaterThan(0.2)
      expect(size / said).toBeLessThan(5)
      // Of one unit in the last place of an output, the least that can go wrong.
      const last = { kind: 'flip', bits: [0] } as const
      const faults = [{ site: { kind: 'output', row: 3, column: 1 } as const, effect: last }]
      const found = await kernels.conv2d(input, weights, { ...options, faults })
      expect(found.report.status).toBe('corrected')
      expect(found.output.data).toEqual(output.data)
    },
  )

  const weighed = ['row', 'column', 'row-column', 'global'] as const
  it.each([true, false].flatMap((fitted) => weighed.map((scheme) => ({ scheme, fitted }))))(
    '$scheme with random weights, calibrated: $fitted: is what such products say',
    async ({ scheme, fitted }) => {
      const options = fitted ? { engine: wasm, calibration } : { engine: wasm }
      const runner = createRunner({ ...options, checksumWeights: 'random' })
      const ones = createRunner(options)
      for (const layer of [dense, { ...dense, id: 'wide', m: 6, n: 1100 }, { ...dense, id: 'column', n: 1 }]) {
        const { input, weights: tensor } = layerOperands(layer, 5)
        const weights = await createKernels(options).prepare(tensor, { checksumWeights: 'random' })
        const { report } = await createKernels(options).matmul(input, weights, { scheme })
        const said = report.threshold.smallestDetectable / Math.sqrt(layer.k)
        const ratio = runner.smallestDetectable(layer, scheme) / said
        expect(ratio).toBeGreaterThan(1 / 1.5)
        expect(ratio).toBeLessThan(1.5)
        const sides = scheme === 'global' ? 2 : 1
        expect(runner.smallestDetectable(layer, scheme)).toBeLessThan(
          2 ** sides * ones.smallestDetectable(layer, scheme),
        )
        weights.release()
      }
    },
  )

  it('is infinite without a check, the same for a layer of any float type', () => {
    const runner = createRunner({ engine: wasm })
    const served: ProtectionScheme = 'row'
    expect(runner.smallestDetectable(dense, 'none')).toBe(Infinity)
    expect(runner.smallestDetectable({ ...conv, dtype: 'float32' }, served)).toBe(
      runner.smallestDetectable(conv, served),
    )
  })
})

it('with random weights lists and runs the schemes that take them', async () => {
  const runner = createRunner({ engine: wasm, calibration, checksumWeights: 'random' })
  expect(runner.schemes(dense)).toEqual(['none', 'global', 'row', 'column', 'row-column'])
  expect(runner.schemes(integers)).toEqual(['none'])
  for (const layer of [dense, conv, batch])
    for (const scheme of runner.schemes(layer))
      for (const chained of [false, true]) {
        const { run, release } = await runner.prepare(layer, scheme, { seed: 2, chained })
        await run()
        release()
      }
  await expect(runner.prepare(dense, 'replication', { seed: 1, chained: false })).rejects.toMatchObject({
    code: 'UNSUPPORTED',
  })
  expect(() => createRunner({ engine: wasm, checksumWeights: 'twos' as 'ones' })).toThrow(
    expect.objectContaining({ code: 'INVALID_ARGUMENT' }) as Error,
  )
})

it('shares operands among the schemes of a layer until the last of them is released', async () => {
  const tensors = new Set<unknown>()
  let prepared = 0
  const engine: MatmulEngine = {
    ...wasm,
    prepare: (...args) => (prepared++, wasm.prepare(...args)),
    matmul: (a, ...rest) => (tensors.add(a.data), wasm.matmul(a, ...rest)),
  }
  const runner = createRunner({ engine, shareOperands: true })
  const open = (scheme: ProtectionScheme, seed = 1) => runner.prepare(dense, scheme, { seed, chained: false })
  const [none, row] = await Promise.all([open('none'), open('row')])
  await none.run()
  await row.run()
  expect([prepared, tensors.size]).toEqual([1, 1])
  const other = await open('row', 2)
  expect(prepared).toBe(2)
  other.release()
  none.release()
  none.release()
  await row.run()
  row.release()
  await expect(row.run()).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  const again = await open('row')
  await again.run()
  again.release()
  expect([prepared, tensors.size]).toEqual([3, 2])
})

it('loads by name with an engine of its own', async () => {
  const runner = await loadRunner({ engine: 'wasm', calibrate: false })
  const { run, release } = await runner.prepare(dense, 'row', { seed: 1, chained: false })
  await run()
  release()
  expect(runner.build).toMatch(/^wasm\//)
  await runner.dispose()
})
