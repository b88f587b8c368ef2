// Checks: the instrumented kernels. Without faults the same bits; each site strikes what it names, as in the reference.
import fc from 'fast-check'
import type { Emit, Fault, FaultEffect, FaultSite, Product, Tensor } from '@ft/core'
import { floats, integers } from '../support/cases.ts'
import { assert, changes, codeOf, compareIntegers, disagreements, elementBound, sameBits } from './compare.ts'
import { emits, engineOf, referenceOf, smallTile, type Check } from './suite.ts'

const instrumented = () => engineOf({ tile: smallTile, instrumented: true })
const [m, n, k] = [37, 45, 130] as const
const [a, b] = [floats([m, k], 1), floats([k, n], 2)]
const bound = 2 * elementBound({ m, n, k })
const emit: Emit = emits.all

const same = (what: string, got: unknown, expected: unknown): void =>
  assert(
    JSON.stringify(got) === JSON.stringify(expected),
    () => `${what}: ${JSON.stringify(got)}, not ${JSON.stringify(expected)}`,
  )

async function struck(
  site: FaultSite,
  effect: FaultEffect,
  prepared = false,
): Promise<{ ours: Product; theirs: Product; clean: Tensor; changed: [number, number][] }> {
  const engine = await instrumented()
  const faults: Fault[] = [{ site, effect }]
  const weights = prepared ? await engine.prepare(b) : b
  const clean = (await (await engineOf()).matmul(a, b)).output
  const ours = await engine.matmul(a, weights, { emit, faults })
  // Transient: the next product is clean.
  sameBits((await engine.matmul(a, weights)).output, clean)
  if ('release' in weights) weights.release()
  return { ours, theirs: referenceOf().matmulSync(a, b, { emit, faults }), clean, changed: changes(ours.output, clean) }
}

/** A bit that sticks changes something only where it was the other: bit 30 is set from 2 on. */
const effects = (stuckAt: 0 | 1): FaultEffect[] => [
  { kind: 'flip', bits: [30] },
  { kind: 'flip', bits: [31, 27] },
  { kind: 'stuck', bit: 30, at: stuckAt },
  { kind: 'carry', bit: 26, sign: 1 },
  { kind: 'set', value: 1000 },
  { kind: 'add', value: -50 },
]

const checks: Check[] = [
  {
    name: 'the instrumented build has the bits and the name of the plain build, which refuses faults',
    async run() {
      const [ours, plain] = [await instrumented(), await engineOf()]
      same('build', ours.build, plain.build)
      sameBits((await ours.matmul(a, b, { emit })).output, (await plain.matmul(a, b)).output)
      const faults: Fault[] = [{ site: { kind: 'output', row: 0, column: 0 }, effect: { kind: 'set', value: 1 } }]
      same('code', await codeOf(() => plain.matmul(a, b, { faults })), 'UNSUPPORTED')
    },
  },
  {
    name: 'an operand: one row of C changes by its column of B; checks that read A itself disagree',
    async run() {
      const { ours, theirs, changed } = await struck({ kind: 'operand', row: 20, step: 99 }, { kind: 'add', value: 4 })
      same('elements', changed.length, n)
      for (const [index, by] of changed) {
        same('row', Math.floor(index / n), 20)
        const change = 4 * (b.data[99 * n + (index % n)] as number)
        assert(Math.abs(by - change) < bound, () => `${index}: ${by}, not ${change}`)
      }
      same('rows', disagreements(ours).rowSums, [20])
      same('all', disagreements(ours), disagreements(theirs))
      same('tiles', disagreements(ours).tileSums, [])
    },
  },
  {
    name: 'a packed weight: one column of C changes; clean folds and row sums disagree',
    async run() {
      for (const prepared of [false, true]) {
        const site: FaultSite = { kind: 'packed-weight', step: 129, column: 44 }
        const { ours, theirs, changed } = await struck(site, { kind: 'add', value: 4 }, prepared)
        same('elements', changed.length, m)
        for (const [index] of changed) same('column', index % n, 44)
        const seen = disagreements(ours)
        same('all', seen, disagreements(theirs))
        same('columns', seen.columnSums, [])
        same('replica', seen.replica, [])
        assert(seen.rowSums.length > m / 2 && seen.tileSums.length > 0, () => JSON.stringify(seen))
      }
    },
  },
  {
    name: 'an accumulator at a step: one element, one row, one column, one tile',
    async run() {
      for (const effect of effects(1)) {
        const { ours, changed } = await struck({ kind: 'accumulator', row: 36, column: 17, step: 100 }, effect)
        same(
          JSON.stringify(effect),
          changed.map(([index]) => index),
          [36 * n + 17],
        )
        const seen = disagreements(ours)
        same('rows and columns', [seen.rowSums, seen.columnSums], [[36], [17]])
        same('tiles', seen.tileSums, [Math.floor(36 / 4) * Math.ceil(n / 4) + Math.floor(17 / 4)])
        same('replica', seen.replica, seen.tileSums)
      }
    },
  },
  {
    name: 'a term left out, or added twice',
    async run() {
      const place = fc.record({ row: fc.nat(m - 1), column: fc.nat(n - 1), step: fc.nat(k - 1) })
      for (const [kind, sign] of [
        ['drop-term', -1],
        ['double-term', 1],
      ] as const)
        await fc.assert(
          fc.asyncProperty(place, async ({ row, column, step }) => {
            const { ours, clean, changed } = await struck({ kind: 'accumulator', row, column, step }, { kind })
            const term = (a.data[row * k + step] as number) * (b.data[step * n + column] as number)
            const by = (ours.output.data[row * n + column] as number) - (clean.data[row * n + column] as number)
            assert(Math.abs(by - sign * term) < bound, () => `${by}, not ${sign * term}`)
            assert(changed.length <= 1, () => `${changed.length} elements`)
          }),
          { numRuns: 6 },
        )
    },
  },
  {
    name: 'an output, before bias and activation',
    async run() {
      const [engine, plain, reference] = [await instrumented(), await engineOf(), referenceOf()]
      const bias = floats([n], 3)
      const raw = (await plain.matmul(a, b)).output.data[3 * n + 44] as number
      const clean = (await plain.matmul(a, b, { bias, activation: 'relu' })).output
      const one = (value: number, shape: number[]): Tensor => ({
        data: Float32Array.of(value),
        shape,
        dtype: 'float32',
      })
      for (const effect of effects(0)) {
        const faults: Fault[] = [{ site: { kind: 'output', row: 3, column: 44 }, effect }]
        const ours = await engine.matmul(a, b, { bias, activation: 'relu', emit, faults })
        const { output } = reference.matmulSync(one(raw, [1, 1]), one(1, [1, 1]), {
          bias: one(bias.data[44] as number, [1]),
          activation: 'relu',
          faults: [{ site: { kind: 'output', row: 0, column: 0 }, effect }],
        })
        same('value', ours.output.data[3 * n + 44], output.data[0])
        for (const [index] of changes(ours.output, clean)) same('element', index, 3 * n + 44)
        same('rows', disagreements(ours).rowSums, [3])
      }
    },
  },
  {
    name: 'a check sum, and the output stays as it is',
    async run() {
      for (const side of ['actual', 'expected'] as const) {
        const { ours, changed } = await struck({ kind: 'checksum', side, index: 5 }, { kind: 'flip', bits: [62] })
        same('elements', changed, [])
        same('rows and columns', [disagreements(ours).rowSums, disagreements(ours).columnSums], [[5], []])
      }
    },
  },
  {
    name: 'many faults at once, in batches and in groups of convolutions',
    async run() {
      const [engine, plain] = [await instrumented(), await engineOf()]
      const [batch, weights] = [floats([3, 30, 50], 1), floats([3, 50, 40], 2)]
      const add = (site: FaultSite): Fault => ({ site, effect: { kind: 'add', value: 1000 } })
      const faults = [0, 1, 2].map((i) => add({ kind: 'accumulator', row: i * 30 + 10 + i, column: 20 + i, step: 49 }))
      const clean = (await plain.matmul(batch, weights)).output
      const ours = (await engine.matmul(batch, weights, { faults })).output
      same(
        'batch',
        changes(ours, clean).map(([index]) => index),
        [0, 1, 2].map((i) => (i * 30 + 10 + i) * 40 + 20 + i),
      )

      const [x, filter] = [floats([2, 6, 6, 4], 1), floats([3, 3, 2, 6], 2)]
      const wanted = { groups: 2, pad: [1, 1, 1, 1] } as const
      const whole = (await plain.conv2d(x, filter, wanted)).output
      const at = async (site: FaultSite): Promise<number[]> =>
        changes((await engine.conv2d(x, filter, { ...wanted, faults: [add(site)] })).output, whole).map(([i]) => i)
      // Row 72 + 40 is pixel 40 of group 1: channels 3 to 5.
      same('operand', await at({ kind: 'operand', row: 112, step: 3 }), [40 * 6 + 3, 40 * 6 + 4, 40 * 6 + 5])
      // Channels of group 1 at tap (1, 1), the middle one: it sees every pixel.
      const weight = await at({ kind: 'packed-weight', step: 18 + 9, column: 1 })
      same('weight', [weight.length, weight.every((i) => i % 6 === 4)], [72, true])
      same('output', await at({ kind: 'output', row: 72 + 5, column: 2 }), [5 * 6 + 5])
    },
  },
  {
    name: 'integers agree with the reference exactly: any site, any effect',
    async run() {
      const [engine, reference] = [await instrumented(), referenceOf()]
      const [x, y] = [integers([19, 67], 'uint8', 1), integers([67, 35], 'int8', 2)]
      const [row, column, step] = [fc.nat(18), fc.nat(34), fc.nat(66)]
      const site: fc.Arbitrary<FaultSite> = fc.oneof(
        fc.record({ kind: fc.constant('operand' as const), row, step }),
        fc.record({ kind: fc.constant('packed-weight' as const), step, column }),
        fc.record({ kind: fc.constant('accumulator' as const), row, column, step }),
        fc.record({ kind: fc.constant('output' as const), row, column }),
      )
      const bits = fc.uniqueArray(fc.nat(7), { minLength: 1, maxLength: 3 })
      const value = fc.integer({ min: -100, max: 100 })
      const effect: fc.Arbitrary<FaultEffect> = fc.oneof(
        fc.record({ kind: fc.constant('flip' as const), bits }),
        fc.record({ kind: fc.constant('stuck' as const), bit: fc.nat(7), at: fc.constantFrom(0 as const, 1 as const) }),
        fc.record({
          kind: fc.constant('carry' as const),
          bit: fc.nat(7),
          sign: fc.constantFrom(1 as const, -1 as const),
        }),
        fc.record({ kind: fc.constant('set' as const), value }),
        fc.record({ kind: fc.constant('add' as const), value }),
      )
      const term = fc.record({
        site: fc.record({ kind: fc.constant('accumulator' as const), row, column, step }),
        effect: fc.record({ kind: fc.constantFrom('drop-term' as const, 'double-term' as const) }),
      })
      const fault = fc.oneof({ weight: 4, arbitrary: fc.record({ site, effect }) }, { weight: 1, arbitrary: term })
      await fc.assert(
        fc.asyncProperty(fc.array(fault, { minLength: 1, maxLength: 4 }), async (faults) => {
          const wanted = { emit, faults }
          compareIntegers(await engine.matmulInt8(x, y, wanted), reference.matmulInt8Sync(x, y, wanted))
        }),
        { numRuns: 40 },
      )
    },
  },
]

export default checks
