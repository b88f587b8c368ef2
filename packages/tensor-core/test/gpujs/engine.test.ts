// The gpu.js engine in every mode that runs here, with the real gpu.js, against the reference with its tile of 1 x 3.
import fc from 'fast-check'
import { isFtError, type Activation, type Emit, type MatmulEngine, type Product } from '@ft/core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createGpujsEngine, type GpujsEngine, type GpujsEngineOptions, type GpujsMode } from '../../src/gpujs.ts'
import { createReferenceEngine } from '../../src/reference.ts'
import { describeWebgpu } from '../../src/webgpu/device.ts'
import { convCases, floats, integers } from '../support/cases.ts'
import { distance, elementBound, sameBits, u } from '../support/compare.ts'

const reference = createReferenceEngine({ tile: [1, 3] })
const webgpu = await describeWebgpu()
const required = (process.env['FT_REQUIRE'] ?? '').split(',').includes('webgpu')
const modes: { mode: GpujsMode; skip: string | undefined; runs: number }[] = [
  { mode: 'webasm', skip: undefined, runs: 25 },
  { mode: 'cpu', skip: undefined, runs: 25 },
  { mode: 'webgpu', skip: webgpu.available ? undefined : webgpu.detail, runs: 8 },
]

it('has an adapter where it is required', () => {
  expect(webgpu.available || !required, webgpu.detail).toBe(true)
})

const emits: Emit[] = [
  {},
  { rowSums: true },
  { tileSums: 'one-sided' },
  { replica: true },
  { rowSums: true, tileSums: 'one-sided', replica: true },
  { rowSums: true, rowStatistics: true },
  { tileSums: 'one-sided', rowStatistics: true },
]

/**
 * Elements: k float32 roundings on at most k. A row's prediction is an element of a column of at most n; a tile's, of
 * at most 3, or of 3 k terms; what is added up of elements carries their errors.
 */
function compare(actual: Product, expected: Product, { n, k }: { n: number; k: number }): void {
  const element = elementBound({ m: 1, n, k, product: 1 })
  expect(actual.output.shape).toEqual(expected.output.shape)
  // Bias and activation: one rounding more each, on at most k + 2; GELU enlarges a difference by 1.13 at most.
  expect(distance(actual.output.data, expected.output.data)).toBeLessThanOrEqual(1.2 * element + 3 * u * (k + 2))
  const bounds = {
    rowSums: { actual: n * element, expected: elementBound({ m: 1, n, k, product: n }) + u * n * k },
    tileSums: { actual: 3 * element, expected: elementBound({ m: 1, n, k, product: 3 }) + 3 * u * k },
    replica: { actual: 3 * element, expected: (3 * k + 5) * u * 3 * k },
  }
  for (const kind of ['rowSums', 'tileSums', 'replica'] as const) {
    const [ours, theirs] = [actual[kind], expected[kind]]
    expect(ours === undefined).toBe(theirs === undefined)
    if (ours === undefined || theirs === undefined) continue
    expect(distance(ours.actual, theirs.actual)).toBeLessThanOrEqual(bounds[kind].actual)
    expect(distance(ours.expected, theirs.expected)).toBeLessThanOrEqual(bounds[kind].expected)
  }
  // Both add up a row of A in float64, from left to right: the same numbers.
  expect(actual.rowStatistics).toEqual(expected.rowStatistics)
  expect(actual.tileSums?.grid).toEqual(expected.tileSums?.grid)
  expect([actual.replica?.tileRows, actual.replica?.tileColumns]).toEqual([
    expected.replica?.tileRows,
    expected.replica?.tileColumns,
  ])
}

const random = fc.record({
  m: fc.integer({ min: 1, max: 20 }),
  n: fc.integer({ min: 1, max: 20 }),
  k: fc.integer({ min: 1, max: 70 }),
  batch: fc.integer({ min: 0, max: 3 }),
  ownWeights: fc.boolean(),
  transposeA: fc.boolean(),
  transposeB: fc.boolean(),
  bias: fc.boolean(),
  activation: fc.constantFrom<Activation | undefined>(undefined, 'relu', 'gelu'),
  prepared: fc.boolean(),
  emit: fc.constantFrom(...emits),
  seed: fc.nat(1e6),
})

describe.each(modes)('gpu.js, mode $mode', ({ mode, skip, runs }) => {
  if (skip !== undefined) console.warn(`gpu.js in mode ${mode} is skipped: ${skip}`)
  let engine: GpujsEngine
  beforeAll(async () => {
    if (skip === undefined) engine = await createGpujsEngine({ mode })
  })
  afterAll(async () => {
    if (skip === undefined) await engine.dispose()
  })
  const test = it.skipIf(skip !== undefined)

  test('agrees on any product: batches, transposes, bias, activation, sums, weights prepared or not', async () => {
    await fc.assert(
      fc.asyncProperty(random, async (o) => {
        const { m, n, k, seed, transposeA, transposeB, emit } = o
        const items = o.batch > 0 ? [o.batch] : []
        const a = floats([...items, ...(transposeA ? [k, m] : [m, k])], seed)
        const b = floats([...(o.ownWeights ? items : []), ...(transposeB ? [n, k] : [k, n])], seed + 1)
        const options = {
          emit,
          transposeA,
          transposeB,
          ...(o.bias && { bias: floats([n], seed + 2) }),
          ...(o.activation && { activation: o.activation }),
        }
        const weights = o.prepared ? await engine.prepare(b, { transposeB }) : b
        compare(await engine.matmul(a, weights, options), reference.matmulSync(a, b, options), { n, k })
        if ('release' in weights) weights.release()
      }),
      { numRuns: runs },
    )
  })

  test.each([
    [0, 3, 4],
    [3, 0, 4],
    [3, 4, 0],
    [1, 1, 1],
    [1, 2, 1500],
    [2, 3, 1],
    [33, 7, 65],
  ])('agrees on %i x %i x %i with every sum it has', async (m, n, k) => {
    const [a, b] = [floats([m, k], 1), floats([k, n], 2)]
    const emit: Emit = { rowSums: true, tileSums: 'one-sided', replica: true, rowStatistics: true }
    compare(await engine.matmul(a, b, { emit }), reference.matmulSync(a, b, { emit }), { n, k })
  })

  test('gives the bits of the plain run with every kind of sum, many at once too', async () => {
    const [a, b] = [floats([9, 40], 1), floats([40, 11], 2)]
    const [plain, ...others] = await Promise.all(emits.map((emit) => engine.matmul(a, b, { emit })))
    for (const product of others) sameBits(product.output, (plain as Product).output)
  })

  const convolutions = mode === 'webgpu' ? convCases.slice(0, 4) : convCases
  test.each(convolutions)('convolves: $name', async ({ x, filter, options }) => {
    const [image, weights] = [floats(x, 1), floats(filter, 2)]
    const emit: Emit = { rowSums: true, tileSums: 'one-sided', rowStatistics: true }
    const expected = reference.conv2dSync(image, weights, { ...options, emit })
    const k = filter[0] * filter[1] * filter[2]
    const sizes = { n: filter[3] / (options.groups ?? 1), k }
    compare(await engine.conv2d(image, weights, { ...options, emit }), expected, sizes)
    const prepared = await engine.prepare(weights, { kind: 'conv2d', groups: options.groups ?? 1 })
    compare(await engine.conv2d(image, prepared, { ...options, emit }), expected, sizes)
  })

  test('multiplies int8 and uint8 exactly, past what one float32 sum could hold', async () => {
    const extreme = (value: number) => () => value
    for (const [dtype, low] of [
      ['int8', -128],
      ['uint8', 255],
    ] as const) {
      const [a, b] = [integers([3, 2100], dtype, extreme(low)), integers([2100, 4], 'int8', extreme(-128))]
      const bias = { data: Int32Array.of(1, -2, 2 ** 31 - 1, 0), shape: [4], dtype: 'int32' } as const
      sameBits((await engine.matmulInt8(a, b, { bias })).output, reference.matmulInt8Sync(a, b, { bias }).output)
    }
    const [a, b] = [integers([2, 5, 33], 'int8', 3), integers([33, 6], 'int8', 4)]
    const weights = await engine.prepare(b, { kind: 'matmul-int8' })
    const options = { activation: 'relu', emit: { rowStatistics: true } } as const
    const [product, expected] = [await engine.matmulInt8(a, weights, options), reference.matmulInt8Sync(a, b, options)]
    sameBits(product.output, expected.output)
    expect(product.rowStatistics).toEqual(expected.rowStatistics)
  })

  test('computes with operands as they were at the call, in every batch item and group', async () => {
    const batch = () => [floats([3, 4, 5], 1), floats([3, 5, 6], 2), floats([6], 3)] as const
    const image = () => [floats([1, 5, 5, 4], 4), floats([3, 3, 2, 4], 5), floats([4], 6)] as const
    const emit: Emit = { rowSums: true, rowStatistics: true }
    {
      const [left, right, bias] = batch()
      const product = engine.matmul(left, right, { bias, emit })
      for (const { data } of [left, right, bias]) data.fill(0)
      const [a, b, c] = batch()
      compare(await product, reference.matmulSync(a, b, { bias: c, emit }), { n: 6, k: 5 })
    }
    {
      const [x, filter, bias] = image()
      const product = engine.conv2d(x, filter, { groups: 2, bias, emit })
      for (const { data } of [x, filter, bias]) data.fill(0)
      const [a, b, c] = image()
      compare(await product, reference.conv2dSync(a, b, { groups: 2, bias: c, emit }), { n: 2, k: 18 })
    }
  })

  test('disposing waits for every batch item of products under way', async () => {
    const own = await createGpujsEngine({ mode })
    const [left, right] = [floats([20, 3, 5], 1), floats([20, 5, 6], 2)]
    const emit: Emit = { tileSums: 'one-sided', replica: true }
    let done = false
    const product = own.matmul(left, right, { emit }).finally(() => (done = true))
    product.catch(() => undefined)
    await Promise.all([own.dispose(), own.dispose()])
    expect(done).toBe(true)
    compare(await product, reference.matmulSync(left, right, { emit }), { n: 6, k: 5 })
  })
})

describe('misuse of the gpu.js engine', () => {
  let engine: MatmulEngine
  beforeAll(async () => {
    engine = await createGpujsEngine()
  })
  const code = (body: () => Promise<unknown>): Promise<unknown> =>
    body().then(
      () => undefined,
      (error: unknown) => (isFtError(error) ? error.code : error),
    )
  const [a, b] = [floats([4, 3], 1), floats([3, 5], 2)]

  it('says what it cannot emit, and what can', async () => {
    const unsupported: Emit[] = [
      { columnSums: true },
      { total: true },
      { nextChecksum: { kind: 'matmul' } },
      { tileSums: 'two-sided' },
    ]
    for (const emit of unsupported) expect(await code(() => engine.matmul(a, b, { emit }))).toBe('UNSUPPORTED')
    expect(await code(() => engine.matmul(a, b, { emit: { columnSums: false } }))).toBeUndefined()
    const int8 = [integers([4, 3], 'int8', 1), integers([3, 5], 'int8', 2)] as const
    for (const emit of [{ rowSums: true }, { tileSums: 'one-sided' }, { replica: true }] as const)
      expect(await code(() => engine.matmulInt8(...int8, { emit }))).toBe('UNSUPPORTED')
    const faults = [{ site: { kind: 'output', row: 0, column: 0 }, effect: { kind: 'flip', bits: [3] } }] as const
    expect(await code(() => engine.matmul(a, b, { faults }))).toBe('UNSUPPORTED')
  })

  it('refuses modes, shapes, weights and options that do not fit', async () => {
    expect(await code(() => createGpujsEngine({ mode: 'gpu' as GpujsMode }))).toBe('INVALID_ARGUMENT')
    expect(await code(() => engine.matmul(b, b))).toBe('SHAPE_MISMATCH')
    expect(await code(() => engine.prepare(floats([3, 3, 2, 4], 1), { kind: 'conv2d', groups: NaN }))).toBe(
      'INVALID_ARGUMENT',
    )
    expect(await code(() => engine.matmul(a, floats([3, 3], 1), { out: a }))).toBe('INVALID_ARGUMENT')
    const weights = await engine.prepare(b)
    expect(await code(() => engine.conv2d(floats([1, 4, 4, 3], 1), weights))).toBe('INVALID_ARGUMENT')
    expect(await code(() => engine.matmul(a, weights, { transposeB: true }))).toBe('INVALID_ARGUMENT')
    const grouped = await engine.prepare(floats([3, 3, 1, 4], 1), { kind: 'conv2d', groups: 4 })
    expect(await code(() => engine.conv2d(floats([1, 4, 4, 4], 1), grouped, { groups: 2 }))).toBe('INVALID_ARGUMENT')
    expect(await code(() => engine.matmul(a, b, null as never))).toBe('INVALID_ARGUMENT')
    expect(await code(() => createGpujsEngine({ node: 'cpu' } as GpujsEngineOptions))).toBe('INVALID_ARGUMENT')
    expect(await code(() => engine.matmul(floats([100_000, 1], 1), floats([1, 100_000], 1)))).toBe('UNSUPPORTED')
    weights.release()
    expect(await code(() => engine.matmul(a, weights))).toBe('INVALID_ARGUMENT')
    expect(await code(() => engine.matmul(a, reference.prepareSync(b)))).toBe('INVALID_ARGUMENT')
  })

  it('holds the sums of more tiles than a call takes arguments', async () => {
    const [left, right] = [floats([700, 1], 1), floats([1, 700], 2)]
    const emit: Emit = { tileSums: 'one-sided', replica: true }
    const { tileSums, replica } = await engine.matmul(left, right, { emit })
    expect([tileSums?.actual.length, replica?.expected.length]).toEqual([700 * 234, 700 * 234])
  })

  it('is closed after dispose, which may be called twice', async () => {
    await engine.dispose()
    await engine.dispose()
    expect(await code(() => engine.matmul(a, b))).toBe('INVALID_ARGUMENT')
  })
})
