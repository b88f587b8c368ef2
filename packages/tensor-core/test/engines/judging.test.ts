// Products judged in the kernel: what passes, what does not, and that nothing else is judged.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Fault, Product, Tensor } from '@ft/core'
import { floats } from '../support/cases.ts'
import { distance, sameBits, u } from '../support/compare.ts'
import { builds, createPair, disposeAll, type Pair } from '../support/engines.ts'

const emit = { rowSums: true, rowStatistics: true } as const
/** Thin products and others, of one and of several ranges, with whole and with partial vectors. */
const shapes = [
  [1, 64, 700],
  [4, 300, 1100],
  [8, 1024, 40],
  [3, 13, 5],
  [7, 530, 64],
  [41, 64, 3],
  [300, 20, 700],
] as const

describe.each(builds)('$name', ({ options }) => {
  let pair: Pair
  beforeAll(async () => {
    pair = await createPair({ ...options, instrumented: true })
  })
  afterAll(() => disposeAll([pair.engine, pair.reference]))

  /** Limits of so many times rounding's usual size. */
  function limitsOf({ rowSums }: Product, size: number): Float64Array {
    return Float64Array.from({ length: 2 * (rowSums?.ranges ?? 0) }, (_, i) => size ** 2 * (i % 2 === 0 ? 1 : 0.01))
  }

  /** Each row's limit beside its residual. */
  function rowsOf({ rowSums, rowStatistics }: Product, limits: Float64Array): { limit: number; residual: number }[] {
    const m = rowStatistics?.sum.length ?? 0
    return Array.from(rowSums?.actual ?? [], (actual, at) => {
      const [range, row] = [Math.floor(at / m), at % m]
      const [square, sum] = [rowStatistics?.squares?.[row] ?? 0, rowStatistics?.sum[row] ?? 0]
      const limit = Math.sqrt((limits[2 * range] ?? 0) * square + (limits[2 * range + 1] ?? 0) * sum * sum)
      return { limit, residual: Math.abs(actual - (rowSums?.expected[at] ?? 0)) }
    })
  }

  it.each(shapes)('%i x %i x %i (m, k, n): clean rows pass, and say the largest limit', (m, k, n) => {
    const { engine } = pair
    const [a, b] = [floats([m, k], 1), floats([k, n], 2)]
    const weights = engine.prepareSync(b)
    const known = engine.matmulSync(a, weights, { emit })
    const limits = limitsOf(known, 1e-2)
    const product = engine.matmulSync(a, weights, { emit, limits })
    expect(product.rowSums).toBeUndefined()
    const largest = Math.max(...rowsOf(known, limits).map(({ limit }) => limit))
    expect(Math.abs((product.passed ?? 0) / largest - 1)).toBeLessThan(1e-4)
    sameBits(product.output, known.output)
    weights.release()
  })

  it.each(shapes)('%i x %i x %i (m, k, n): one row beyond its limit, and all sums are there', (m, k, n) => {
    const { engine } = pair
    const [a, b] = [floats([m, k], 1), floats([k, n], 2)]
    const weights = engine.prepareSync(b)
    const known = engine.matmulSync(a, weights, { emit })
    // So that the row that is worst beside its limit is beyond it, by an eighth, and as such alone: others have smaller shares.
    const unit = limitsOf(known, 1)
    const worst = Math.max(...rowsOf(known, unit).map(({ limit, residual }) => residual / limit))
    const product = engine.matmulSync(a, weights, { emit, limits: limitsOf(known, worst / 1.125) })
    expect(product.passed).toBeUndefined()
    // A pass of its own adds up in another order.
    const close = (x: ArrayLike<number> | undefined, y: ArrayLike<number> | undefined) =>
      expect(Array.from(x ?? [])).toEqual(
        Array.from(y ?? [], (value) => expect.closeTo(value, -Math.log10(40 * u * k * n))),
      )
    close(product.rowSums?.actual, known.rowSums?.actual)
    close(product.rowSums?.expected, known.rowSums?.expected)
    close(product.rowStatistics?.squares, known.rowStatistics?.squares)
    expect(product.rowStatistics?.min).toEqual(known.rowStatistics?.min)
    expect(product.rowStatistics?.max).toEqual(known.rowStatistics?.max)
    // Other limits for the same weights are read anew.
    expect(engine.matmulSync(a, weights, { emit, limits: limitsOf(known, 1) }).passed).toBeGreaterThan(0)
    weights.release()
  })

  it.each([
    ['NaN', Number.NaN],
    ['infinity', Infinity],
  ])('a row with %s never passes', (_, value) => {
    const { engine } = pair
    for (const [m, k, n] of shapes) {
      const a = floats([m, k], 1)
      a.data[k * (m - 1) + (k >> 1)] = value
      const limits = new Float64Array(2 * Math.max(1, Math.ceil(n / 512))).fill(1e30)
      expect(engine.matmulSync(a, floats([k, n], 2), { emit, limits }).passed).toBeUndefined()
    }
  })

  const sites: Fault[] = [
    { site: { kind: 'operand', row: 0, step: 5 }, effect: { kind: 'add', value: 4 } },
    { site: { kind: 'accumulator', row: 0, column: 3, step: 7 }, effect: { kind: 'add', value: 4 } },
    { site: { kind: 'output', row: 0, column: 4 }, effect: { kind: 'add', value: 4 } },
    { site: { kind: 'packed-weight', step: 2, column: 1 }, effect: { kind: 'add', value: 4 } },
  ]
  it.each(sites.map((fault) => [fault.site.kind, fault] as const))('a fault in an %s does not pass', (_, fault) => {
    const { engine } = pair
    for (const [m, k, n] of shapes) {
      if (n <= 4) continue
      const [a, b] = [floats([m, k], 1), floats([k, n], 2)]
      const limits = limitsOf(engine.matmulSync(a, b, { emit }), 1e-3)
      const passed = (faults: Fault[]) => engine.matmulSync(a, b, { emit, limits, faults }).passed
      expect(passed([fault])).toBeUndefined()
      expect(engine.matmulSync(a, b, { emit, limits }).passed).toBeGreaterThan(0)
    }
  })

  it('an exact replica passes, and does not with a fault in it', () => {
    const { engine } = pair
    const [a, b] = [floats([50, 300], 1), floats([300, 3], 2)]
    const wish = { emit: { replica: true }, limits: new Float64Array() }
    const product = engine.matmulSync(a, b, wish)
    const { replica } = engine.matmulSync(a, b, { emit: { replica: true } })
    expect(product.passed).toBe(Math.max(...Array.from(replica?.actual ?? [], (sum) => Math.abs(sum))))
    expect(product.replica).toBeUndefined()
    const faults: Fault[] = [{ site: { kind: 'output', row: 20, column: 1 }, effect: { kind: 'flip', bits: [3] } }]
    const struck = engine.matmulSync(a, b, { ...wish, faults })
    expect([struck.passed, struck.replica?.exact]).toEqual([undefined, true])
    a.data[7] = Number.NaN
    expect(engine.matmulSync(a, b, wish).passed).toBeUndefined()
  })

  describe('columns of products of few of them', () => {
    const columns = { columnSums: true, rowStatistics: true } as const
    /** One block and several, of k and of rows; parts of vectors; rows that no eight are full of. */
    const narrow = [
      [9, 300, 1],
      [256, 256, 1],
      [300, 37, 3],
      [131, 700, 4],
      [5, 1, 2],
    ] as const

    /** The limit of each block's columns and their residual, in float64. */
    function checksOf(o: { a: Tensor; b: Tensor; c: Tensor; limits: Float64Array }): { limit: number }[] {
      const [[m = 0, k = 0], [, n = 0]] = [o.a.shape, o.b.shape]
      const rows = m <= 132 ? m : Math.ceil(m / 2 ** Math.ceil(Math.log2(m / 132)) / 6) * 6
      const at = ({ data }: Tensor, i: number): number => data[i] as number
      return Array.from({ length: Math.ceil(m / rows) * n }, (_, index) => {
        const [first, j] = [Math.floor(index / n) * rows, index % n]
        const last = Math.min(m, first + rows)
        let [squares, spread] = [0, 0]
        for (let i = first; i < last; i++) squares += at(o.c, i * n + j) ** 2
        for (let s = 0; s < k; s++) {
          let sum = 0
          for (let i = first; i < last; i++) sum += at(o.a, i * k + s)
          spread += (sum * at(o.b, s * n + j)) ** 2
        }
        return { limit: Math.sqrt((o.limits[0] ?? 0) * squares + (o.limits[1] ?? 0) * (last - first) * spread) }
      })
    }

    it.each(narrow)('%i x %i x %i (m, k, n): clean ones pass, and say the largest limit', (m, k, n) => {
      const { engine } = pair
      const [a, b, bias] = [floats([m, k], 1), floats([k, n], 2), floats([n], 3)]
      const limits = Float64Array.of(1e-4, 1e-9)
      const known = engine.matmulSync(a, b, { emit: columns })
      const product = engine.matmulSync(a, b, { emit: columns, limits })
      expect(product.columnSums).toBeUndefined()
      const largest = Math.max(...checksOf({ a, b, c: known.output, limits }).map(({ limit }) => limit))
      expect(Math.abs((product.passed ?? 0) / largest - 1)).toBeLessThan(1e-4)
      sameBits(product.output, known.output)
      // Bias and activation come after what is judged.
      const finish = { bias, activation: 'relu' } as const
      const finished = engine.matmulSync(a, b, { emit: columns, limits, ...finish })
      expect(finished.passed).toBe(product.passed)
      sameBits(finished.output, engine.matmulSync(a, b, finish).output)
    })

    it.each(narrow)('%i x %i x %i (m, k, n): one beyond its limit, and all sums are there', (m, k, n) => {
      const { engine } = pair
      const [a, b, bias] = [floats([m, k], 1), floats([k, n], 2), floats([n], 3)]
      const wish = { emit: columns, bias, activation: 'relu' } as const
      const known = engine.matmulSync(a, b, wish)
      const product = engine.matmulSync(a, b, { ...wish, limits: Float64Array.of(1e-40, 0) })
      expect(product.passed).toBeUndefined()
      expect(product.columnSums?.expected).toEqual(known.columnSums?.expected)
      expect(product.rowStatistics).toEqual(known.rowStatistics)
      // Float64 sums of m numbers of at most k, in two orders.
      expect(distance(product.columnSums?.actual ?? [], known.columnSums?.actual ?? [])).toBeLessThanOrEqual(
        2 * m * 2 ** -53 * m * k,
      )
      sameBits(product.output, known.output)
    })

    // Of a packed weight product and prediction are made alike.
    const seen = sites.filter(({ site }) => site.kind !== 'packed-weight')
    it.each(seen.map((fault) => [fault.site.kind, fault] as const))('a fault in an %s does not pass', (_, fault) => {
      const { engine } = pair
      const [a, b] = [floats([200, 64], 1), floats([64, 4], 2)]
      const limits = Float64Array.of(1e-12, 1e-14)
      const site = fault.site.kind === 'output' ? { ...fault.site, column: 2 } : fault.site
      const wish = { emit: columns, limits }
      expect(engine.matmulSync(a, b, wish).passed).toBeGreaterThan(0)
      expect(engine.matmulSync(a, b, { ...wish, faults: [{ ...fault, site }] }).passed).toBeUndefined()
      a.data[17 * 64] = Number.NaN
      expect(engine.matmulSync(a, b, { emit: columns, limits: Float64Array.of(1e30, 1e30) }).passed).toBeUndefined()
    })
  })

  /** The second has as few rows as a thin product, and is judged as one. */
  it.each([
    [[2, 6, 5, 8], 'relu'],
    [[1, 2, 3, 8], undefined],
  ] as const)('convolutions of %j, %s, pass and fail like products', (shape, activation) => {
    const { engine } = pair
    const [x, filter] = [floats(shape, 1), floats([3, 3, 8, 150], 2)]
    const wish = { emit, pad: [1, 1, 1, 1] as const, ...(activation && { activation }) }
    const known = engine.conv2dSync(x, filter, wish)
    const passed = engine.conv2dSync(x, filter, { ...wish, limits: limitsOf(known, 1e-3) })
    expect(passed.passed).toBeGreaterThan(0)
    sameBits(passed.output, known.output)
    const failed = engine.conv2dSync(x, filter, { ...wish, limits: limitsOf(known, 1e-12) })
    expect(failed.passed).toBeUndefined()
    expect([failed.rowSums?.expected, failed.rowStatistics]).toEqual([known.rowSums?.expected, known.rowStatistics])
    // Rows of a thin product are summed in a pass of its own: another order of additions. Either is of at most ten roundings to
    // float32 for an element (two in its panel, eight panels in a strip), each of at most what all elements' magnitudes add up to.
    const data = known.output.data as Float32Array
    for (const [row, sum] of (known.rowSums?.actual ?? []).entries()) {
      const magnitude = data.subarray(150 * row, 150 * (row + 1)).reduce((all, c) => all + Math.abs(c), 0)
      const bound = activation ? 0 : 2 * 10.01 * u * magnitude
      expect(Math.abs((failed.rowSums?.actual[row] ?? NaN) - sum)).toBeLessThanOrEqual(bound)
    }
    const fault: Fault = { site: { kind: 'output', row: 5, column: 140 }, effect: { kind: 'add', value: 4 } }
    const struck = engine.conv2dSync(x, filter, { ...wish, limits: limitsOf(known, 1e-3), faults: [fault] })
    expect(struck.passed).toBeUndefined()
  })

  it('nothing else is judged', () => {
    const { engine } = pair
    const [a, b] = [floats([6, 40], 1), floats([40, 30], 2)]
    const limits = Float64Array.of(1, 1)
    const batch = floats([2, 6, 40], 3)
    const products = [
      engine.matmulSync(a, b, { emit: { rowSums: true }, limits }),
      engine.matmulSync(a, b, { emit: { ...emit, columnSums: true }, limits }),
      engine.matmulSync(batch, floats([2, 40, 30], 4), { emit, limits }),
    ]
    for (const { passed, rowSums } of products) expect([passed, rowSums === undefined]).toEqual([undefined, false])
  })

  it('refuses limits of another number of ranges', () => {
    const { engine } = pair
    const [a, b] = [floats([20, 40], 1), floats([40, 30], 2)]
    const wrong = Float64Array.of(1, 1, 1)
    expect(() => engine.matmulSync(a, b, { emit, limits: wrong })).toThrow('limits')
  })
})
