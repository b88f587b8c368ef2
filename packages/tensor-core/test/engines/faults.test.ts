// The instrumented build: without faults the same bits; each site strikes what it names, as in the reference.
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Fault, FaultEffect, FaultSite, Product, Tensor } from '@ft/core'
import { createWasmEngine, type WasmEngine } from '../../src/wasm.ts'
import { floats, integers } from '../support/cases.ts'
import { compareIntegers, elementBound, sameBits } from '../support/compare.ts'
import { builds, createPair, disposeAll, type Pair } from '../support/engines.ts'

const emit = { rowSums: true, columnSums: true, tileSums: 'one-sided', replica: true, total: true } as const

describe.each(builds)('$name, instrumented', ({ options }) => {
  let pair: Pair
  let plain: WasmEngine
  beforeAll(async () => {
    pair = await createPair({ ...options, instrumented: true })
    plain = createWasmEngine(options)
  })
  afterAll(() => disposeAll([pair.engine, pair.reference, pair.reference, plain]))

  const [m, n, k] = [37, 45, 530]
  const [a, b] = [floats([m, k], 1), floats([k, n], 2)]

  function struck(
    site: FaultSite,
    effect: FaultEffect,
    prepared = false,
  ): { ours: Product; theirs: Product; clean: Tensor } {
    const faults: Fault[] = [{ site, effect }]
    const weights = prepared ? pair.engine.prepareSync(b) : b
    const ours = pair.engine.matmulSync(a, weights, { emit, faults })
    // Transient: the next product is clean.
    sameBits(pair.engine.matmulSync(a, weights).output, plain.matmulSync(a, b).output)
    return { ours, theirs: pair.reference.matmulSync(a, b, { emit, faults }), clean: plain.matmulSync(a, b).output }
  }

  it('has the bits and the name of the plain build', () => {
    expect(pair.engine.build).toBe(plain.build)
    sameBits(pair.engine.matmulSync(a, b, { emit }).output, plain.matmulSync(a, b).output)
    const [x, y] = [integers([9, 33], 'int8', 1), integers([33, 20], 'int8', 2)]
    sameBits(pair.engine.matmulInt8Sync(x, y).output, plain.matmulInt8Sync(x, y).output)
  })

  it('refuses faults in the plain build', () => {
    const fault: Fault = { site: { kind: 'output', row: 0, column: 0 }, effect: { kind: 'set', value: 1 } }
    expect(() => plain.matmulSync(a, b, { faults: [fault] })).toThrow('instrumented')
  })

  it('strikes one operand: one row of C changes, by its column of B', () => {
    const { ours, theirs, clean } = struck({ kind: 'operand', row: 20, step: 300 }, { kind: 'add', value: 4 })
    const changed = changes(ours.output, clean)
    expect(changed.length).toBe(n)
    for (const [index, by] of changed) {
      expect(Math.floor(index / n)).toBe(20)
      expect(Math.abs(by - 4 * (b.data[300 * n + (index % n)] as number))).toBeLessThan(
        2 * elementBound({ m, n, k, product: 1 }),
      )
    }
    // The check reads A itself: rows and columns disagree; tiles read what the product read and agree.
    expect(disagreements(ours).rowSums).toEqual([20])
    expect(disagreements(ours)).toEqual(disagreements(theirs))
    expect(disagreements(ours).tileSums).toEqual([])
  })

  it('strikes one packed weight: one column of C changes; checks that read the packed copy agree with it', () => {
    for (const prepared of [false, true]) {
      const { ours, theirs, clean } = struck(
        { kind: 'packed-weight', step: 511, column: 44 },
        { kind: 'add', value: 4 },
        prepared,
      )
      const changed = changes(ours.output, clean)
      expect(changed.length).toBe(m)
      for (const [index] of changed) expect(index % n).toBe(44)
      const seen = disagreements(ours)
      expect(seen).toEqual(disagreements(theirs))
      expect(seen.columnSums).toEqual([])
      expect(seen.rowSums.length).toBeGreaterThan(m / 2)
      expect(seen.tileSums.length).toBeGreaterThan(0)
      expect(seen.replica).toEqual([])
    }
  })

  const effects: [string, FaultEffect][] = [
    ['flip of the top exponent bit', { kind: 'flip', bits: [30] }],
    ['flip of two bits', { kind: 'flip', bits: [31, 27] }],
    ['stuck at one', { kind: 'stuck', bit: 29, at: 1 }],
    ['carry', { kind: 'carry', bit: 26, sign: 1 }],
    ['set', { kind: 'set', value: 1000 }],
    ['add', { kind: 'add', value: -50 }],
  ]

  it.each(effects)('strikes one accumulator: %s', (_name, effect) => {
    const { ours, clean } = struck({ kind: 'accumulator', row: 36, column: 17, step: 400 }, effect)
    expect(changes(ours.output, clean).map(([index]) => index)).toEqual([36 * n + 17])
    const seen = disagreements(ours)
    expect(seen.rowSums).toEqual([36])
    expect(seen.columnSums).toEqual([17])
    expect(seen.tileSums.length).toBe(1)
    expect(seen.replica).toEqual(seen.tileSums)
  })

  it.each([
    ['drop-term', -1],
    ['double-term', 1],
  ] as const)('%s: the term is missing, or there twice', (kind, sign) => {
    fc.assert(
      fc.property(fc.nat(m - 1), fc.nat(n - 1), fc.nat(k - 1), (row, column, step) => {
        const { ours, clean } = struck({ kind: 'accumulator', row, column, step }, { kind })
        const term = (a.data[row * k + step] as number) * (b.data[step * n + column] as number)
        const change = (ours.output.data[row * n + column] as number) - (clean.data[row * n + column] as number)
        expect(Math.abs(change - sign * term)).toBeLessThan(2 * elementBound({ m, n, k, product: 1 }))
        expect(changes(ours.output, clean).length).toBeLessThanOrEqual(1)
      }),
      { numRuns: 25 },
    )
  })

  it.each(effects)('strikes one output: %s, before bias and activation', (_name, effect) => {
    const fault: Fault = { site: { kind: 'output', row: 3, column: 44 }, effect }
    const bias = floats([n], 3)
    const clean = plain.matmulSync(a, b, { bias, activation: 'relu' }).output
    const ours = pair.engine.matmulSync(a, b, { bias, activation: 'relu', emit, faults: [fault] })
    const raw = plain.matmulSync(a, b).output.data[3 * n + 44] as number
    const { output } = pair.reference.matmulSync(
      { data: Float32Array.of(raw), shape: [1, 1], dtype: 'float32' },
      { data: Float32Array.of(1), shape: [1, 1], dtype: 'float32' },
      {
        bias: { data: bias.data.slice(44, 45), shape: [1], dtype: 'float32' },
        activation: 'relu',
        faults: [{ site: { kind: 'output', row: 0, column: 0 }, effect }],
      },
    )
    expect(ours.output.data[3 * n + 44]).toBe(output.data[0])
    for (const [index] of changes(ours.output, clean)) expect(index).toBe(3 * n + 44)
    expect(disagreements(ours).rowSums).toEqual([3])
  })

  it('strikes a check sum and leaves the output alone', () => {
    for (const side of ['actual', 'expected'] as const) {
      const { ours, clean } = struck({ kind: 'checksum', side, index: 5 }, { kind: 'flip', bits: [62] })
      sameBits(ours.output, clean)
      expect(disagreements(ours).rowSums).toEqual([5])
      expect(disagreements(ours).columnSums).toEqual([])
    }
  })

  it('takes many faults at once, in batches and in every thread', () => {
    const batch = floats([3, 60, 200], 1)
    const weights = floats([3, 200, 150], 2)
    const faults: Fault[] = [0, 1, 2].map((item) => ({
      site: { kind: 'accumulator', row: item * 60 + 10 + item, column: 100 + item, step: 199 },
      effect: { kind: 'add', value: 1000 },
    }))
    const clean = plain.matmulSync(batch, weights).output
    const ours = pair.engine.matmulSync(batch, weights, { faults }).output
    const expected = [0, 1, 2].map((item) => (item * 60 + 10 + item) * 150 + 100 + item)
    expect(changes(ours, clean).map(([index]) => index)).toEqual(expected)
    for (const [, by] of changes(ours, clean)) expect(by).toBeCloseTo(1000, 3)
  })

  it('strikes convolutions where the implicit matrices say, of any group', () => {
    const [x, filter] = [floats([2, 6, 6, 4], 1), floats([3, 3, 2, 6], 2)]
    const wanted = { groups: 2, pad: [1, 1, 1, 1], emit } as const
    const clean = plain.conv2dSync(x, filter, wanted)
    const at = (site: FaultSite): Product =>
      pair.engine.conv2dSync(x, filter, { ...wanted, faults: [{ site, effect: { kind: 'add', value: 8 } }] })
    // Row 72 + 40 is pixel 40 of group 1: channels 3 to 5.
    const operand = changes(at({ kind: 'operand', row: 112, step: 3 }).output, clean.output).map(([index]) => index)
    expect(operand).toEqual([40 * 6 + 3, 40 * 6 + 4, 40 * 6 + 5])
    const weight = changes(at({ kind: 'packed-weight', step: 18 + 9, column: 1 }).output, clean.output)
    for (const [index] of weight) expect(index % 6).toBe(4)
    // Channels of group 1 at tap (1, 1), the middle one: it sees every pixel.
    expect(weight.length).toBe(72)
    const depthwise = floats([3, 3, 1, 4], 3)
    const struckOutput = pair.engine.conv2dSync(x, depthwise, {
      groups: 4,
      faults: [{ site: { kind: 'output', row: 2 * 32 + 5, column: 0 }, effect: { kind: 'add', value: 8 } }],
    }).output
    const cleanOutput = plain.conv2dSync(x, depthwise, { groups: 4 }).output
    expect(changes(struckOutput, cleanOutput).map(([index]) => index)).toEqual([5 * 4 + 2])
  })

  it('strikes depthwise convolutions beside their exact replica as it strikes the general product', () => {
    const [channels, outWidth, pixels, taps] = [21, 5, 2 * 4 * 5, 9]
    const [x, filter] = [floats([2, 7, outWidth, channels], 1), floats([3, 3, 1, channels], 2)]
    const options = { groups: channels, pad: [1, 1, 1, 1], stride: [2, 1], activation: 'relu' } as const
    const weights = pair.engine.prepareSync(filter, { kind: 'conv2d', groups: channels })
    const row = fc.nat(channels * pixels - 1)
    const step = fc.nat(taps - 1)
    const site: fc.Arbitrary<FaultSite> = fc.oneof(
      fc.record({ kind: fc.constant('operand' as const), row, step }),
      fc.record({ kind: fc.constant('accumulator' as const), row, column: fc.constant(0), step }),
      fc.record({ kind: fc.constant('output' as const), row, column: fc.constant(0) }),
      fc.record({
        kind: fc.constant('packed-weight' as const),
        step: fc.nat(channels * taps - 1),
        column: fc.constant(0),
      }),
    )
    const effect: fc.Arbitrary<FaultEffect> = fc.oneof(
      fc.record({ kind: fc.constant('add' as const), value: fc.integer({ min: 1, max: 9 }) }),
      fc.record({ kind: fc.constant('flip' as const), bits: fc.tuple(fc.integer({ min: 20, max: 25 })) }),
      fc.constantFrom<FaultEffect>({ kind: 'set', value: 7 }, { kind: 'carry', bit: 22, sign: 1 }),
    )
    const clean = plain.conv2dSync(x, filter, { ...options, emit: { replica: true } })
    const differing = (a: ArrayLike<number> | undefined, b: ArrayLike<number> | undefined): number[] =>
      Array.from(a ?? [], (value, i) => (Object.is(value, b?.[i]) ? -1 : i)).filter((i) => i >= 0)
    fc.assert(
      fc.property(fc.array(fc.record({ site, effect }), { minLength: 1, maxLength: 3 }), (faults) => {
        const general = pair.engine.conv2dSync(x, weights, { ...options, faults })
        const { output, replica } = pair.engine.conv2dSync(x, weights, { ...options, emit: { replica: true }, faults })
        sameBits(output, general.output)
        const computed = faults.filter((fault) => fault.site.kind !== 'packed-weight')
        // A weight that is wrong in memory is in both products; else the replica is what it was, and lines of struck pixels differ.
        const lines = computed.map((fault) => {
          const at = 'row' in fault.site ? fault.site.row : 0
          return Math.floor(at / pixels) * (pixels / outWidth) + Math.floor((at % pixels) / outWidth)
        })
        const seen = differing(replica?.actual, replica?.expected)
        for (const index of seen) expect(lines).toContain(index)
        if (computed.length === faults.length) expect(differing(replica?.expected, clean.replica?.expected)).toEqual([])
        if (faults.length === 1 && faults[0]?.effect.kind === 'add' && faults[0].site.kind === 'output')
          expect(seen).toEqual(lines)
      }),
      { numRuns: 100 },
    )
    for (const kind of ['drop-term', 'double-term'] as const) {
      const at = { kind: 'accumulator', row: 17 * pixels + 23, column: 0, step: 4 } as const
      const faults: Fault[] = [{ site: at, effect: { kind } }]
      const { output, replica } = pair.engine.conv2dSync(x, weights, { ...options, emit: { replica: true }, faults })
      sameBits(output, pair.engine.conv2dSync(x, weights, { ...options, faults }).output)
      expect(differing(replica?.actual, replica?.expected)).toEqual([17 * 8 + 4])
    }
    const sum: Fault = { site: { kind: 'checksum', side: 'actual', index: 30 }, effect: { kind: 'flip', bits: [40] } }
    const struckSum = pair.engine.conv2dSync(x, weights, { ...options, emit: { replica: true }, faults: [sum] })
    sameBits(struckSum.output, clean.output)
    expect(differing(struckSum.replica?.actual, struckSum.replica?.expected)).toEqual([30])
    sameBits(pair.engine.conv2dSync(x, weights, { ...options, emit: { replica: true } }).output, clean.output)
    weights.release()
  })

  it('agrees with the reference exactly for integers: any site, any effect', () => {
    const [x, y] = [integers([19, 67], 'uint8', 1), integers([67, 35], 'int8', 2)]
    const site: fc.Arbitrary<FaultSite> = fc.oneof(
      fc.record({ kind: fc.constant('operand' as const), row: fc.nat(18), step: fc.nat(66) }),
      fc.record({ kind: fc.constant('packed-weight' as const), step: fc.nat(66), column: fc.nat(34) }),
      fc.record({ kind: fc.constant('accumulator' as const), row: fc.nat(18), column: fc.nat(34), step: fc.nat(66) }),
      fc.record({ kind: fc.constant('output' as const), row: fc.nat(18), column: fc.nat(34) }),
    )
    const effect: fc.Arbitrary<FaultEffect> = fc.oneof(
      fc.record({
        kind: fc.constant('flip' as const),
        bits: fc.uniqueArray(fc.nat(7), { minLength: 1, maxLength: 3 }),
      }),
      fc.record({ kind: fc.constant('stuck' as const), bit: fc.nat(7), at: fc.constantFrom(0 as const, 1 as const) }),
      fc.record({
        kind: fc.constant('carry' as const),
        bit: fc.nat(7),
        sign: fc.constantFrom(1 as const, -1 as const),
      }),
      fc.record({ kind: fc.constant('set' as const), value: fc.integer({ min: -100, max: 100 }) }),
      fc.record({ kind: fc.constant('add' as const), value: fc.integer({ min: -100, max: 100 }) }),
    )
    // Accumulators of integers hold a pair of terms a step; only at odd steps is a pair complete.
    const whole = (fault: Fault): boolean => fault.site.kind !== 'accumulator' || fault.site.step % 2 === 1
    fc.assert(
      fc.property(fc.array(fc.record({ site, effect }).filter(whole), { minLength: 1, maxLength: 4 }), (faults) => {
        const ours = pair.engine.matmulInt8Sync(x, y, { emit, faults })
        compareIntegers(ours, pair.reference.matmulInt8Sync(x, y, { emit, faults }))
      }),
      { numRuns: 200 },
    )
    for (const kind of ['drop-term', 'double-term'] as const)
      for (const step of [0, 1, 65, 66]) {
        const faults: Fault[] = [{ site: { kind: 'accumulator', row: 4, column: 34, step }, effect: { kind } }]
        const ours = pair.engine.matmulInt8Sync(x, y, { emit, faults })
        compareIntegers(ours, pair.reference.matmulInt8Sync(x, y, { emit, faults }))
      }
  })
})

/** Elements that differ, and by how much. */
function changes(a: Tensor, b: Tensor): [index: number, by: number][] {
  const found: [number, number][] = []
  a.data.forEach((value, i) => {
    if (!Object.is(value, b.data[i])) found.push([i, value - (b.data[i] as number)])
  })
  return found
}

/** Indices whose two sums differ by more than 0.01: rounding stays below 1e-3 here, the faults above 0.1. */
function disagreements(product: Product): Record<'rowSums' | 'columnSums' | 'tileSums' | 'replica', number[]> {
  const of = (kind: 'rowSums' | 'columnSums' | 'tileSums' | 'replica'): number[] => {
    const found: number[] = []
    product[kind]?.actual.forEach((value, i) => {
      if (!(Math.abs(value - (product[kind]?.expected[i] as number)) <= 0.01)) found.push(i)
    })
    return found
  }
  return { rowSums: of('rowSums'), columnSums: of('columnSums'), tileSums: of('tileSums'), replica: of('replica') }
}
