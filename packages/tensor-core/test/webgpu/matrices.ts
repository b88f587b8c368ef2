// Checks: float16 by subgroup matrices. For adapters that have them; which those are differs, and so do the blocks.
import fc from 'fast-check'
import type { Conv2dOptions, Emit, Fault, FaultEffect, FaultSite, NextChecksum } from '@ft/core'
import { convCases, floats, integers } from '../support/cases.ts'
import {
  assert,
  changes,
  codeOf,
  compareIntegers,
  compareProducts,
  disagreements,
  elementBound,
  sameBits,
} from './compare.ts'
import { rounded } from './half.ts'
import { createWebgpuEngine, tuneWebgpu } from '../../src/webgpu.ts'
import { emits, engineOf, referenceOf, type Check } from './suite.ts'

/** Two blocks down and across, or four of 8 x 8; small, so that sizes reach its edges. */
const tile = { rows: 32, columns: 32, across: 2, down: 2, depth: 16 } as const
const TILE = 32 * 32
const storage = 'float16'
const plain = () => engineOf({ storage, matrices: true, tile })
const instrumented = () => engineOf({ storage, matrices: true, tile, instrumented: true })

// Nothing, one, a block, a tile and a workgroup, and one more or less than each; k of whole and of partial blocks.
const sizes = [
  [0, 3, 4],
  [3, 0, 4],
  [3, 4, 0],
  [1, 1, 1],
  [8, 8, 8],
  [7, 9, 17],
  [16, 16, 16],
  [31, 33, 15],
  [33, 31, 32],
  [65, 70, 129],
] as const

const same = (what: string, got: unknown, expected: unknown): void =>
  assert(
    JSON.stringify(got) === JSON.stringify(expected),
    () => `${what}: ${JSON.stringify(got)}, not ${JSON.stringify(expected)}`,
  )

const [m, n, k] = [37, 45, 70] as const
const [a, b] = [rounded(floats([m, k], 1)), rounded(floats([k, n], 2))]
const bound = 2 * elementBound({ m, n, k })

async function struck(site: FaultSite, effect: FaultEffect) {
  const engine = await instrumented()
  const clean = (await (await plain()).matmul(a, b)).output
  const ours = await engine.matmul(a, b, { emit: emits.all, faults: [{ site, effect }] })
  sameBits((await engine.matmul(a, b)).output, clean)
  return { ours, clean, changed: changes(ours.output, clean), seen: disagreements(ours) }
}

/** The tile of an element in the grid of tiles. */
const tileAt = (row: number, column: number): number =>
  Math.floor(row / tile.rows) * Math.ceil(n / tile.columns) + Math.floor(column / tile.columns)

const checks: Check[] = [
  {
    name: 'products of adversarial sizes are those of rounded operands, with every sum, and of the same bits without',
    async run() {
      const [engine, reference] = [await plain(), referenceOf(tile)]
      assert(/^webgpu\/float16 \d+x\d+x\d+\//.test(engine.build), () => engine.build)
      for (const [rows, columns, steps] of sizes) {
        const [x, y, bias] = [floats([rows, steps], 1), floats([steps, columns], 2), floats([columns], 3)]
        const finish = { bias, activation: 'gelu' } as const
        const bare = (await engine.matmul(x, y, finish)).output
        for (const emit of [emits.all, emits.twoSided]) {
          const ours = await engine.matmul(x, y, { ...finish, emit })
          const theirs = reference.matmulSync(rounded(x), rounded(y), { ...finish, emit })
          compareProducts(ours, theirs, { m: rows, n: columns, k: steps, tile: TILE })
          sameBits(ours.output, bare)
        }
      }
    },
  },
  {
    name: 'batches, transposes, prepared weights',
    async run() {
      const [engine, reference] = [await plain(), referenceOf(tile)]
      const size = fc.integer({ min: 1, max: 70 })
      const random = fc.record({
        ...{ rows: size, columns: size, steps: size, batch: fc.integer({ min: 0, max: 3 }), sharedB: fc.boolean() },
        ...{ transposeA: fc.boolean(), transposeB: fc.boolean(), prepared: fc.boolean(), seed: fc.nat(1000) },
      })
      await fc.assert(
        fc.asyncProperty(random, async ({ rows, columns, steps, batch, sharedB, prepared, seed, ...turns }) => {
          const shape = (r: number, c: number, turned: boolean, shared: boolean): number[] => [
            ...(batch > 0 && !shared ? [batch] : []),
            ...(turned ? [c, r] : [r, c]),
          ]
          const x = rounded(floats(shape(rows, steps, turns.transposeA, false), seed))
          const y = rounded(floats(shape(steps, columns, turns.transposeB, sharedB), seed + 1))
          const wanted = { ...turns, emit: emits.all }
          const weights = prepared ? await engine.prepare(y, { transposeB: turns.transposeB }) : y
          const ours = await engine.matmul(x, weights, wanted)
          compareProducts(ours, reference.matmulSync(x, y, wanted), { m: rows, n: columns, k: steps, tile: TILE })
          if ('release' in weights) weights.release()
        }),
        { numRuns: 25 },
      )
    },
  },
  {
    name: 'convolutions of any geometry, with checksums for the next',
    async run() {
      const [engine, reference] = [await plain(), referenceOf(tile)]
      const next: NextChecksum = { kind: 'conv2d', kernel: [2, 2], stride: [2, 1], pad: [1, 0, 1, 1], dilation: [1, 1] }
      const emit: Emit = { ...emits.all, nextChecksum: next }
      for (const { name, x, filter, options } of convCases) {
        const [input, weights, bias] = [rounded(floats(x, 1)), rounded(floats(filter, 2)), floats([filter[3]], 3)]
        const wanted: Conv2dOptions = { ...options, bias, activation: 'relu', emit }
        const theirs = reference.conv2dSync(input, weights, wanted)
        const ours = await engine.conv2d(input, weights, wanted)
        const magnitude = {
          m: theirs.output.data.length / filter[3],
          n: filter[3] / (options.groups ?? 1),
          k: filter[0] * filter[1] * filter[2],
        }
        try {
          compareProducts(ours, theirs, { ...magnitude, tile: TILE })
        } catch (error) {
          throw new Error(`${name}: ${String(error)}`)
        }
      }
    },
  },
  {
    name: 'bits do not depend on the tile, or on other rows and columns',
    nodeOnly: true,
    async run() {
      const [x, y] = [floats([90, 70], 1), floats([70, 100], 2)]
      const whole = (await (await plain()).matmul(x, y)).output
      for (const options of [{}, { tile: { rows: 16, columns: 32, across: 1, down: 4, depth: 32 } }])
        sameBits((await (await engineOf({ storage, ...options })).matmul(x, y)).output, whole)
      // Three rows, and one: by the thin tile.
      const engine = await engineOf({ storage })
      for (const [first, rows] of [
        [20, 3],
        [77, 1],
      ] as const) {
        const part = {
          data: x.data.slice(70 * first, 70 * (first + rows)),
          shape: [rows, 70],
          dtype: 'float32',
        } as const
        const { output } = await engine.matmul(part, y)
        sameBits(output, { ...output, data: (whole.data as Float32Array).slice(100 * first, 100 * (first + rows)) })
      }
    },
  },
  {
    name: 'infinities and NaN stay in their rows and columns',
    async run() {
      const [engine, reference] = [await plain(), referenceOf(tile)]
      const [x, y] = [rounded(floats([5, 20], 1)), rounded(floats([20, 33], 2))]
      x.data[0] = Infinity
      x.data[20] = NaN
      y.data[5 * 33 + 7] = -Infinity
      const [ours, theirs] = [await engine.matmul(x, y, { emit: emits.rows }), reference.matmulSync(x, y)]
      theirs.output.data.forEach((value, i) => {
        const got = ours.output.data[i] as number
        assert(Object.is(got, value) || got === value || Number.isFinite(value), () => `${i}: ${got} for ${value}`)
        assert(Number.isFinite(got) === Number.isFinite(value), () => `${i}: ${got} for ${value}`)
      })
    },
  },
  {
    name: 'faults: an operand strikes its row, a weight its column, an output its element',
    async run() {
      const operand = await struck({ kind: 'operand', row: 20, step: 67 }, { kind: 'add', value: 4 })
      same('elements', operand.changed.length, n)
      same('row', operand.seen, { rowSums: [20], columnSums: operand.seen.columnSums, tileSums: [], replica: [] })
      const weight = await struck({ kind: 'packed-weight', step: 69, column: 44 }, { kind: 'add', value: 4 })
      same('column', weight.changed.every(([index]) => index % n === 44) && weight.changed.length, m)
      assert(weight.seen.rowSums.length > m / 2 && weight.seen.tileSums.length > 0, () => JSON.stringify(weight.seen))
      same('columns', [weight.seen.columnSums, weight.seen.replica], [[], []])
      const output = await struck({ kind: 'output', row: 36, column: 17 }, { kind: 'set', value: 1000 })
      same(
        'output',
        [output.changed.map(([index]) => index), output.ours.output.data[36 * n + 17]],
        [[36 * n + 17], 1000],
      )
      same('checks', output.seen, {
        rowSums: [36],
        columnSums: [17],
        tileSums: [tileAt(36, 17)],
        replica: [tileAt(36, 17)],
      })
    },
  },
  {
    name: 'faults: an accumulator in the block of its step, a term left out or added twice; its replica stays',
    async run() {
      const place = fc.record({ row: fc.nat(m - 1), column: fc.nat(n - 1), step: fc.nat(k - 1) })
      for (const effect of [
        { kind: 'flip', bits: [30] },
        { kind: 'add', value: -50 },
      ] as const)
        await fc.assert(
          fc.asyncProperty(place, async ({ row, column, step }) => {
            const { changed, seen } = await struck({ kind: 'accumulator', row, column, step }, effect)
            same('element', [changed.map(([index]) => index)], [[row * n + column]])
            const [tiles, rows] = [[tileAt(row, column)], [row]]
            same('checks', seen, { rowSums: rows, columnSums: [column], tileSums: tiles, replica: tiles })
          }),
          { numRuns: 6 },
        )
      for (const [kind, sign] of [
        ['drop-term', -1],
        ['double-term', 1],
      ] as const)
        await fc.assert(
          fc.asyncProperty(place, async ({ row, column, step }) => {
            const { ours, clean, changed } = await struck({ kind: 'accumulator', row, column, step }, { kind })
            const term = (a.data[row * k + step] as number) * (b.data[step * n + column] as number)
            const by = (ours.output.data[row * n + column] as number) - (clean.data[row * n + column] as number)
            assert(Math.abs(by - sign * term) < bound && changed.length <= 1, () => `${by}, not ${sign * term}`)
          }),
          { numRuns: 6 },
        )
    },
  },
  {
    name: 'faults in batches strike the item they name',
    async run() {
      const [engine, bare] = [await instrumented(), await plain()]
      const [batch, weights] = [floats([3, 30, 50], 1), floats([3, 50, 40], 2)]
      const faults = [0, 1, 2].map((i): Fault => ({
        site: { kind: 'accumulator', row: i * 30 + 10 + i, column: 20 + i, step: 49 },
        effect: { kind: 'add', value: 1000 },
      }))
      const clean = (await bare.matmul(batch, weights)).output
      const ours = (await engine.matmul(batch, weights, { faults })).output
      same(
        'elements',
        changes(ours, clean).map(([index]) => index),
        [0, 1, 2].map((i) => (i * 30 + 10 + i) * 40 + 20 + i),
      )
    },
  },
  {
    name: 'integers are multiplied without matrices, by the same engine',
    async run() {
      const [engine, reference] = [await plain(), referenceOf()]
      const [x, y] = [integers([9, 30], 'int8', 1), integers([30, 7], 'int8', 2)]
      compareIntegers(await engine.matmulInt8(x, y), reference.matmulInt8Sync(x, y))
    },
  },
  {
    name: 'a measured tile is that of large products from then on, with the same bits',
    nodeOnly: true,
    async run() {
      const [x, y] = [floats([50, 40], 1), floats([40, 60], 2)]
      const engine = await engineOf({ storage })
      const before = (await engine.matmul(x, y)).output
      const candidates = [tile, { ...tile, across: 1 }]
      const { chosen, measured } = await tuneWebgpu({ storage, candidates, size: 64, rounds: 1 })
      same('chosen', [measured.length, chosen], [2, measured[0]?.tile])
      const { replica, output } = await engine.matmul(x, y, { emit: { replica: true } })
      same('tile', [replica?.tileRows, replica?.tileColumns], [chosen.rows, chosen.columns])
      sameBits(output, before)
    },
  },
  {
    name: 'refuses what cannot be: matrices of float32, tiles that blocks do not fill',
    async run() {
      const refused = (options: object) => codeOf(() => createWebgpuEngine(options))
      same('float32', await refused({ matrices: true }), 'ENGINE_UNAVAILABLE')
      const odd = { ...tile, rows: 12 }
      same('rows', await refused({ storage, tile: odd }), 'INVALID_ARGUMENT')
      same('depth', await refused({ storage, tile: { ...tile, depth: 12 } }), 'INVALID_ARGUMENT')
      same('memory', await refused({ storage, tile: { ...tile, rows: 256, down: 8, depth: 256 } }), 'INVALID_ARGUMENT')
      same('none', (await engineOf({ storage, matrices: false })).adapter.matrices, undefined)
    },
  },
]

export default checks
