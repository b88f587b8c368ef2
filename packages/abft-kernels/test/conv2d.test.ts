import { afterAll, describe, expect, it } from 'vitest'
import type { Conv2dOptions, Emit, Fault, MatmulEngine, Product, ProtectionScheme } from '@ft/core'
import { createReferenceEngine } from '@ft/tensor-core/reference'
import { createWasmEngine } from '@ft/tensor-core/wasm'
import { channelFigures } from '../src/activationChecksum.ts'
import { convGeometry } from '../src/convGeometry.ts'
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

describe('a convolution of few channels', () => {
  const x = normalTensor([2, 9, 7, 6], 1)
  it.each([
    { n: 1, groups: 1 },
    { n: 4, groups: 1 },
    { n: 6, groups: 2 },
  ])('$n in $groups groups: replicated by an exact replica alone', async ({ n, groups }) => {
    const scheme = 'replication'
    const wishes: (Emit | undefined)[] = []
    const engine: MatmulEngine = {
      ...wasm,
      conv2d(input, weights, wanted) {
        wishes.push(wanted?.emit)
        return wasm.conv2d(input, weights, wanted)
      },
    }
    const kernels = createKernels({ engine })
    const weights = await kernels.prepare(normalTensor([3, 3, 6 / groups, n], 2), { kind: 'conv2d', groups })
    const options = { scheme, pad: [1, 1, 1, 1], stride: [2, 1] } as const
    const clean = await kernels.conv2d(x, weights, options)
    expect(wishes).toEqual([{ replica: true }])
    const { threshold } = clean.report
    expect(clean.report).toMatchObject({ status: 'clean', scheme, checks: groups * Math.ceil((2 * 5 * 7) / 6) })
    expect(threshold.kind).toBe('exact')
    const faults: Fault[] = [
      { site: { kind: 'accumulator', row: 20, column: 0, step: 5 }, effect: { kind: 'flip', bits: [20] } },
    ]
    const struck = await kernels.conv2d(x, weights, { ...options, faults })
    expect(struck.report).toMatchObject({ status: 'corrected', scheme })
    expect(bits(struck.output)).toEqual(bits(clean.output))
  })
})

describe('a depthwise convolution whose replica is exact', () => {
  const clean = createWasmEngine({ threads: 1 })
  afterAll(() => clean.dispose())
  const [channels, outWidth] = [22, 7]
  const options: Conv2dOptions = { groups: channels, stride: [2, 1], pad: [1, 1, 1, 1] }
  const x = normalTensor([2, 9, outWidth, channels], 1)
  const filter = normalTensor([3, 3, 1, channels], 2)

  /** The engine with one output of its first product wrong, in what it stores and in what it sums. */
  function striking(change: (value: number) => number, at: { line: number; q: number; channel: number }): MatmulEngine {
    let struck = false
    return {
      ...clean,
      async conv2d(input, weights, wanted): Promise<Product> {
        const product: Product = await clean.conv2d(input, weights, wanted)
        if (struck || !product.replica) return product
        struck = true
        const place = (at.line * outWidth + at.q) * channels + at.channel
        const before = product.output.data[place] as number
        const [lines] = product.replica.grid
        product.output.data[place] = change(before)
        ;(product.replica.actual as Float64Array)[at.channel * lines + at.line]! += Math.fround(change(before)) - before
        return product
      },
    }
  }

  it.each<Emit>([{ rowSums: true }, { columnSums: true }, { tileSums: 'one-sided' }, { replica: true }])(
    'global: sums that are wanted besides raise no alarm: %o',
    async (emit) => {
      const kernels = createKernels({ engine: clean })
      const weights = await kernels.prepare(filter, { kind: 'conv2d', groups: channels })
      const { report } = await kernels.conv2d(x, weights, { ...options, scheme: 'global', onFault: 'throw', emit })
      expect(report).toMatchObject({ status: 'clean', detections: [] })
    },
  )

  it.each(['row', 'thread-one-sided', 'replication'] as const)(
    '%s: exact, and no false alarm at any scale',
    async (scheme) => {
      for (const scale of [1e-30, 1, 1e30]) {
        const kernels = createKernels({ engine: clean })
        const scaled = { ...x, data: Float32Array.from(x.data, (value) => value * scale) }
        const weights = await kernels.prepare(filter, { kind: 'conv2d', groups: channels })
        const { output, report } = await kernels.conv2d(scaled, weights, { ...options, activation: 'relu', scheme })
        expect(report.detections).toEqual([])
        expect(report.threshold.kind).toBe('exact')
        expect(report.checks).toBe(channels * 2 * 5)
        const plain = await clean.conv2d(scaled, filter, { ...options, activation: 'relu' })
        expect(bits(output)).toEqual(bits(plain.output))
      }
    },
  )

  it.each([0, 7, 23, 30])(
    'bit %i of an output is found, located to its line and channel, and restored',
    async (bit) => {
      const flip = (value: number): number => {
        const word = new Uint32Array(Float32Array.of(value).buffer)
        word[0]! ^= 1 << bit
        return new Float32Array(word.buffer)[0] as number
      }
      for (const at of [
        { line: 0, q: 0, channel: 0 },
        { line: 6, q: 3, channel: 17 },
        { line: 9, q: 6, channel: 21 },
      ]) {
        const kernels = createKernels({ engine: striking(flip, at) })
        const weights = await kernels.prepare(filter, { kind: 'conv2d', groups: channels })
        const { output, report } = await kernels.conv2d(x, weights, { ...options, scheme: 'row' })
        expect(report.status).toBe('corrected')
        expect(report.detections.map(({ item, region }) => ({ item, region }))).toEqual([
          {
            item: at.channel,
            region: { kind: 'tile', rows: [at.line * outWidth, (at.line + 1) * outWidth], columns: [0, 1] },
          },
        ])
        expect(bits(output)).toEqual(bits((await clean.conv2d(x, filter, options)).output))
      }
    },
  )

  it('global: predicts from the tensor, and so finds a tap that has changed in the engine', async () => {
    const engine = createWasmEngine({ threads: 1 })
    const kernels = createKernels({ engine })
    const weights = await kernels.prepare(filter, { kind: 'conv2d', groups: channels })
    expect((await kernels.conv2d(x, weights, { ...options, scheme: 'global' })).report.status).toBe('clean')
    const memory = new Float32Array(engine.runtime.memory.buffer)
    const copies = Array.from(memory.keys()).filter((at) => filter.data.every((tap, i) => memory[at + i] === tap))
    expect(copies.length).toBeGreaterThan(0)
    for (const at of copies) memory[at + channels] = 50
    const { report } = await kernels.conv2d(x, weights, { ...options, scheme: 'global' })
    expect(report.detections.map(({ item, outcome }) => [item, outcome])).toEqual([[0, 'uncorrectable']])
    await engine.dispose()
  })

  it('calls what is not finite in the input an input fault', async () => {
    const kernels = createKernels({ engine: clean })
    const weights = await kernels.prepare(filter, { kind: 'conv2d', groups: channels })
    const bad = { ...x, data: Float32Array.from(x.data) }
    bad.data[40] = NaN
    const { report } = await kernels.conv2d(bad, weights, { ...options, scheme: 'row' })
    expect(report.status).not.toBe('clean')
    expect(new Set(report.detections.map(({ outcome }) => outcome))).toEqual(new Set(['input']))
  })
})

describe.each(engines)('misuse on %s', (_, engine) => {
  it('refuses groups that the filter was not prepared for', async () => {
    const kernels = createKernels({ engine })
    const weights = await kernels.prepare(normalTensor([3, 3, 2, 4], 1), { kind: 'conv2d', groups: 2 })
    const x = normalTensor([1, 4, 4, 4], 2)
    expect((await kernels.conv2d(x, weights, { groups: 2 })).report.status).toBe('clean')
    await expect(kernels.conv2d(x, weights, { groups: 1 })).rejects.toThrow('prepared with `groups` 2')
  })

  it('refuses an output over the filter', async () => {
    const kernels = createKernels({ engine })
    const filter = normalTensor([3, 3, 2, 4], 1)
    const weights = await kernels.prepare(filter, { kind: 'conv2d' })
    const out = { data: (filter.data as Float32Array).subarray(8, 24), shape: [1, 2, 2, 4], dtype: 'float32' } as const
    await expect(kernels.conv2d(normalTensor([1, 4, 4, 2], 2), weights, { out })).rejects.toThrow('share memory')
  })
})

describe('what is known of a channel bounds what its rows add up to', () => {
  const cases: { x: number[]; filter: number[]; options: Conv2dOptions }[] = [
    { x: [2, 7, 6, 5], filter: [3, 3, 1, 5], options: { pad: [1, 1, 1, 1] } },
    { x: [1, 9, 8, 4], filter: [2, 3, 1, 4], options: { stride: [2, 1], dilation: [1, 2], pad: [0, 1, 2, 0] } },
    { x: [1, 4, 6, 7], filter: [3, 1, 1, 4], options: { format: 'NCHW', pad: [1, 1, 0, 0] } },
  ]
  it.each(cases)('$x, $filter', async ({ x, filter, options }) => {
    const input = normalTensor(x, 5)
    const groups = filter[3] as number
    const squared = { ...input, data: Float32Array.from(input.data, (value) => value * value) }
    const size = filter.reduce((all, length) => all * length, 1)
    const ones = { data: new Float32Array(size).fill(1), shape: filter, dtype: 'float32' as const }
    const engine = createReferenceEngine()
    // Convolved with ones, squares add up to k times the mean square of each row.
    const { total } = await engine.conv2d(squared, ones, { ...options, groups, emit: { total: true } })
    const { rowStatistics } = await engine.conv2d(input, ones, { ...options, groups, emit: { rowStatistics: true } })
    const figures = channelFigures(input, convGeometry(input, filter, options))
    const k = (filter[0] as number) * (filter[1] as number)
    const rows = (rowStatistics?.sum.length ?? 0) / groups
    for (let c = 0; c < groups; c++) {
      expect(figures.squares[c] as number).toBeGreaterThanOrEqual(((total?.[c] as number) / k) * (1 - 1e-6))
      const own = (values: ArrayLike<number> | undefined) => Array.from(values ?? []).slice(c * rows, (c + 1) * rows)
      const largest = Math.max(...[...own(rowStatistics?.min), ...own(rowStatistics?.max)].map(Math.abs))
      expect(figures.largest[c] as number).toBeGreaterThanOrEqual(largest)
    }
  })

  it.each(engines)('calibrated, on %s: no alarm on clean data, and a fault is found', async (_, engine) => {
    const kernels = await createKernels({ engine }).calibrated({ seed: 3, trials: 2, lengths: [16, 64] })
    for (let seed = 1; seed <= 40; seed++) {
      const weights = await kernels.prepare(normalTensor([3, 3, 1, 6], seed), { kind: 'conv2d', groups: 6 })
      const options = { groups: 6, pad: [1, 1, 1, 1], scheme: 'global' } as const
      const x = normalTensor([1, 12, 11, 6], 100 + seed)
      expect((await kernels.conv2d(x, weights, options)).report.detections).toEqual([])
      const fault: Fault = { site: { kind: 'output', row: seed, column: 0 }, effect: { kind: 'set', value: 40 + seed } }
      expect((await kernels.conv2d(x, weights, { ...options, faults: [fault] })).report.status).toBe('corrected')
    }
  })
})
