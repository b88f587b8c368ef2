// Convolutions of every build against the reference: named cases and random geometry.
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Conv2dOptions, Emit, HWIO, NextChecksum, NHWC } from '@ft/core'
import { convCases, floats } from '../support/cases.ts'
import { compareProducts, sameBits } from '../support/compare.ts'
import { builds, createPair, disposeAll, type Pair } from '../support/engines.ts'

const next: NextChecksum = { kind: 'conv2d', kernel: [2, 2], stride: [2, 1], pad: [1, 0, 1, 1], dilation: [1, 1] }
const all: Emit = {
  rowSums: true,
  columnSums: true,
  total: true,
  tileSums: 'two-sided',
  replica: true,
  rowStatistics: true,
  nextChecksum: next,
}

interface Geometry {
  readonly x: NHWC
  readonly filter: HWIO
  readonly options: Conv2dOptions
}

const small = fc.integer({ min: 1, max: 3 })
const geometry: fc.Arbitrary<Geometry> = fc
  .record({
    batch: small,
    height: fc.integer({ min: 1, max: 12 }),
    width: fc.integer({ min: 1, max: 12 }),
    groups: fc.constantFrom(1, 1, 2, 5),
    perGroup: fc.integer({ min: 1, max: 5 }),
    outPerGroup: fc.integer({ min: 1, max: 9 }),
    kernel: fc.tuple(small, small),
    stride: fc.tuple(small, small),
    dilation: fc.tuple(small, small),
    pad: fc.tuple(fc.nat(3), fc.nat(3), fc.nat(3), fc.nat(3)),
    format: fc.constantFrom('NHWC' as const, 'NCHW' as const),
  })
  .filter(
    (g) =>
      g.height + g.pad[0] + g.pad[1] > g.dilation[0] * (g.kernel[0] - 1) &&
      g.width + g.pad[2] + g.pad[3] > g.dilation[1] * (g.kernel[1] - 1),
  )
  .map(({ batch, height, width, groups, perGroup, outPerGroup, kernel, stride, dilation, pad, format }) => {
    const channels = groups * perGroup
    return {
      x: format === 'NHWC' ? [batch, height, width, channels] : [batch, channels, height, width],
      filter: [kernel[0], kernel[1], perGroup, groups * outPerGroup],
      options: { stride, dilation, pad, format, groups },
    }
  })

describe.each(builds)('$name', ({ options: engineOptions }) => {
  let pair: Pair
  beforeAll(async () => {
    pair = await createPair(engineOptions)
  })
  afterAll(() => disposeAll([pair.engine, pair.reference]))

  function compare({ x, filter, options }: Geometry, emit: Emit): void {
    const { engine, reference } = pair
    const [input, weights, bias] = [floats(x, 1), floats(filter, 2), floats([filter[3]], 3)]
    const wanted: Conv2dOptions = { ...options, bias, activation: 'relu', emit }
    const theirs = reference.conv2dSync(input, weights, wanted)
    const prepared = engine.prepareSync(weights, { kind: 'conv2d', groups: options.groups ?? 1 })
    const ours = engine.conv2dSync(input, prepared, wanted)
    const groups = options.groups ?? 1
    const pixels = theirs.output.data.length / filter[3]
    const k = filter[0] * filter[1] * filter[2]
    compareProducts(ours, theirs, { m: pixels, n: filter[3] / groups, k, product: 1 })
    // The same bits without sums (a depthwise filter then takes another path), and without preparing.
    const { emit: _emit, ...plain } = wanted
    sameBits(engine.conv2dSync(input, prepared, plain).output, ours.output)
    sameBits(engine.conv2dSync(input, weights, plain).output, ours.output)
    sameBits(engine.conv2dSync(input, weights, wanted).output, ours.output)
    prepared.release()
  }

  it.each(convCases)('$name, with every sum', (geometry) => {
    compare(geometry, all)
  })

  it('agrees on any geometry', () => {
    fc.assert(
      fc.property(geometry, (g) =>
        compare(g, { rowSums: true, columnSums: true, tileSums: 'one-sided', replica: true }),
      ),
      { numRuns: 80 },
    )
  })

  const edge = fc.integer({ min: 0, max: 2 })
  const depthwise = fc
    .record({
      batch: fc.integer({ min: 1, max: 3 }),
      height: fc.integer({ min: 1, max: 9 }),
      width: fc.integer({ min: 1, max: 9 }),
      channels: fc.integer({ min: 2, max: 37 }),
      kernel: fc.tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 4 })),
      stride: fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 3 })),
      pad: fc.tuple(edge, edge, edge, edge),
      dilation: fc.tuple(fc.integer({ min: 1, max: 2 }), fc.integer({ min: 1, max: 2 })),
      format: fc.constantFrom('NHWC' as const, 'NCHW' as const),
    })
    .filter(
      ({ height, width, kernel, pad, dilation }) =>
        height + pad[0] + pad[1] > (kernel[0] - 1) * dilation[0] &&
        width + pad[2] + pad[3] > (kernel[1] - 1) * dilation[1],
    )

  type Wish = typeof depthwise extends fc.Arbitrary<infer T> ? T : never
  function depthwiseCall({ batch, height, width, channels, kernel, ...options }: Wish) {
    const shape = options.format === 'NHWC' ? [batch, height, width, channels] : [batch, channels, height, width]
    const [x, filter, bias] = [floats(shape, 1), floats([...kernel, 1, channels], 2), floats([channels], 3)]
    const wanted: Conv2dOptions = { ...options, groups: channels, bias, activation: 'relu' }
    return { batch, channels, kernel, options, x, filter, wanted }
  }

  it('computes a depthwise convolution twice, with the same bits and sums that are equal to the last bit', () => {
    const { engine, reference } = pair
    fc.assert(
      fc.property(depthwise, (wish) => {
        const { batch, channels, options, x, filter, wanted } = depthwiseCall(wish)
        const prepared = engine.prepareSync(filter, { kind: 'conv2d', groups: channels })
        expect(prepared.exactReplica).toBe(true)
        const { output, replica } = engine.conv2dSync(x, prepared, { ...wanted, emit: { replica: true } })
        sameBits(engine.conv2dSync(x, prepared, wanted).output, output)
        expect(replica?.exact).toBe(true)
        expect(Array.from(replica?.actual ?? [])).toEqual(Array.from(replica?.expected ?? []))
        // Sums of lines, by channel, beside the reference's outputs before bias and activation.
        const exact = reference.conv2dSync(x, filter, { ...options, groups: channels, format: options.format })
        const [lines] = replica?.grid ?? [0]
        const outWidth = replica?.tileRows ?? 0
        const area = exact.output.data.length / batch / channels
        expect(lines * outWidth * channels).toBe(exact.output.data.length)
        for (let c = 0; c < channels; c++)
          for (let line = 0; line < lines; line++) {
            let sum = 0
            for (let q = 0; q < outWidth; q++) {
              const pixel = line * outWidth + q
              const at =
                options.format === 'NHWC'
                  ? pixel * channels + c
                  : (Math.floor(pixel / area) * channels + c) * area + (pixel % area)
              sum += exact.output.data[at] as number
            }
            expect(Math.abs(sum - (replica?.actual[c * lines + line] as number))).toBeLessThanOrEqual(1e-4)
          }
        prepared.release()
      }),
      { numRuns: 120 },
    )
  })

  it('adds up a depthwise convolution by channel, before and after its activation', () => {
    const { engine, reference } = pair
    fc.assert(
      fc.property(depthwise, (wish) => {
        const { channels, kernel, x, filter, wanted } = depthwiseCall(wish)
        const emit: Emit = { total: true, nextChecksum: { kind: 'matmul' } }
        const ours = engine.conv2dSync(x, filter, { ...wanted, emit })
        const theirs = reference.conv2dSync(x, filter, { ...wanted, emit })
        sameBits(engine.conv2dSync(x, filter, wanted).output, ours.output)
        const m = ours.output.data.length / channels
        compareProducts(ours, theirs, { m, n: 1, k: kernel[0] * kernel[1], product: 1 })
      }),
      { numRuns: 80 },
    )
  })

  it('sums lie where they are looked for when memory grows under them', async () => {
    // A fresh engine, whose memory this product is the first to need; then one with more lines than any before.
    const { engine: fresh } = await createPair(engineOptions)
    try {
      for (const height of [3, 400, 6000]) {
        const [x, filter] = [floats([1, height, 3, 40], 1), floats([1, 1, 1, 40], 2)]
        const { total } = fresh.conv2dSync(x, filter, { groups: 40, emit: { total: true } })
        const { replica } = fresh.conv2dSync(x, filter, { groups: 40, emit: { replica: true } })
        const lines = replica?.grid[0] ?? 0
        for (let c = 0; c < 40; c++) {
          let sum = 0
          for (let line = 0; line < lines; line++) sum += replica?.actual[c * lines + line] as number
          expect(Math.abs(sum - (total?.[c] as number))).toBe(0)
        }
        expect(Array.from(replica?.expected ?? [])).toEqual(Array.from(replica?.actual ?? []))
      }
    } finally {
      await fresh.dispose()
    }
  })

  it('a depthwise replica of what is not finite is not equal', () => {
    const { engine } = pair
    for (const bad of [NaN, Infinity]) {
      const [x, filter] = [floats([1, 4, 4, 8], 1), floats([3, 3, 1, 8], 2)]
      x.data[5] = bad
      const { replica } = engine.conv2dSync(x, filter, { groups: 8, emit: { replica: true } })
      const differ = Array.from(replica?.actual ?? [], (a, i) => !(a - (replica?.expected[i] as number) === 0))
      expect(differ.includes(true)).toBe(true)
    }
  })

  it('is the matrix product of patches, bit for bit', () => {
    const { engine } = pair
    const [x, filter] = [floats([2, 9, 8, 5], 1), floats([3, 3, 5, 20], 2)]
    const { output } = engine.conv2dSync(x, filter)
    const rows: number[] = []
    for (let b = 0; b < 2; b++)
      for (let p = 0; p < 7; p++)
        for (let q = 0; q < 6; q++)
          for (let r = 0; r < 3; r++)
            for (let s = 0; s < 3; s++)
              for (let c = 0; c < 5; c++) rows.push(x.data[((b * 9 + p + r) * 8 + q + s) * 5 + c] as number)
    const a = { data: Float32Array.from(rows), shape: [84, 45], dtype: 'float32' } as const
    const product = engine.matmulSync(a, { ...filter, shape: [45, 20] }).output
    sameBits({ ...product, shape: output.shape }, output)
  })

  it('sums for the next layer what its taps see: the convolution of ones', () => {
    // With a filter of ones in one tap, the next layer's output summed over pixels is that tap's checksum.
    const { engine, reference } = pair
    const [x, filter] = [floats([2, 8, 9, 3], 1), floats([3, 3, 3, 4], 2)]
    const following = { kernel: [3, 2], stride: [2, 3], pad: [1, 0, 2, 1], dilation: [1, 2] } as const
    const { output, nextChecksum } = engine.conv2dSync(x, filter, {
      emit: { nextChecksum: { kind: 'conv2d', ...following } },
    })
    for (let r = 0; r < 3; r++)
      for (let s = 0; s < 2; s++) {
        const tap = { data: new Float32Array(3 * 2 * 4 * 4), shape: [3, 2, 4, 4], dtype: 'float32' } as const
        for (let c = 0; c < 4; c++) tap.data[((r * 2 + s) * 4 + c) * 4 + c] = 1
        const { total } = reference.conv2dSync(output, tap, { ...following, emit: { columnSums: true, total: true } })
        const { columnSums } = reference.conv2dSync(output, tap, { ...following, emit: { columnSums: true } })
        expect(total?.length).toBe(1)
        // Both are float64 sums of at most 2 * 6 * 7 numbers below 27: differences of order 84 * 27 * 84 * 2^-53.
        for (let c = 0; c < 4; c++)
          expect(nextChecksum?.data[(r * 2 + s) * 4 + c]).toBeCloseTo(columnSums?.actual[c] as number, 10)
      }
  })
})
