// Checks: convolutions of any geometry against the reference.
import fc from 'fast-check'
import type { Conv2dOptions, Emit, HWIO, NextChecksum, NHWC } from '@ft/core'
import { convCases, floats } from '../support/cases.ts'
import { compareProducts, sameBits } from './compare.ts'
import { emits, engineOf, referenceOf, type Check } from './suite.ts'

const next: NextChecksum = { kind: 'conv2d', kernel: [2, 2], stride: [2, 1], pad: [1, 0, 1, 1], dilation: [1, 1] }
const all: Emit = { ...emits.all, nextChecksum: next }

interface Geometry {
  readonly x: NHWC
  readonly filter: HWIO
  readonly options: Conv2dOptions
}

async function compare({ x, filter, options }: Geometry, emit: Emit): Promise<void> {
  const [engine, reference] = [await engineOf(), referenceOf()]
  const [input, weights, bias] = [floats(x, 1), floats(filter, 2), floats([filter[3]], 3)]
  const plain: Conv2dOptions = { ...options, bias, activation: 'relu' }
  const theirs = reference.conv2dSync(input, weights, { ...plain, emit })
  const groups = options.groups ?? 1
  const prepared = await engine.prepare(weights, { kind: 'conv2d', groups })
  const ours = await engine.conv2d(input, prepared, { ...plain, emit })
  const m = theirs.output.data.length / filter[3]
  compareProducts(ours, theirs, { m, n: filter[3] / groups, k: filter[0] * filter[1] * filter[2] })
  sameBits((await engine.conv2d(input, weights, plain)).output, ours.output)
  prepared.release()
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

const checks: Check[] = [
  {
    name: 'named cases with every sum',
    async run() {
      for (const { name, ...example } of convCases)
        await compare(example, all).catch((error: unknown) => {
          throw new Error(`${name}: ${String(error)}`)
        })
    },
  },
  {
    name: 'any geometry',
    async run() {
      await fc.assert(
        fc.asyncProperty(geometry, (g) => compare(g, all)),
        { numRuns: 30 },
      )
    },
  },
  {
    name: 'a convolution is the matrix product of patches, bit for bit',
    async run() {
      const engine = await engineOf()
      const [x, filter] = [floats([2, 9, 8, 5], 1), floats([3, 3, 5, 20], 2)]
      const { output } = await engine.conv2d(x, filter)
      const rows: number[] = []
      for (let b = 0; b < 2; b++)
        for (let p = 0; p < 7; p++)
          for (let q = 0; q < 6; q++)
            for (let r = 0; r < 3; r++)
              for (let s = 0; s < 3; s++)
                for (let c = 0; c < 5; c++) rows.push(x.data[((b * 9 + p + r) * 8 + q + s) * 5 + c] as number)
      const a = { data: Float32Array.from(rows), shape: [84, 45], dtype: 'float32' } as const
      const product = (await engine.matmul(a, { ...filter, shape: [45, 20] })).output
      sameBits({ ...product, shape: output.shape }, output)
    },
  },
]

export default checks
