// Exclusive feature bundling (NeurIPS'17, algorithms 3 and 4) without conflicts: the same models, from fewer columns.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createRandom } from '@ft/core/random'
import { createWasmRuntime } from '@ft/tensor-core/wasm'
import { train, type TrainOptions } from '../src/index.ts'
import { createArena } from '../src/arena.ts'
import { binRows, findEdges } from '../src/binning.ts'
import { bytesLeft, findLayout, plainLayout } from '../src/layout.ts'

/**
 * Groups of one-hot columns beside dense and sparse ones; some cells are missing. A one-hot group shares a byte, unless `clash`
 * puts two of its values in one row.
 */
function makeSparse(rows: number, seed: number, { clash = false, missing = 0.01 } = {}) {
  const random = createRandom(seed).stream('sparse')
  const groups = [7, 12, 3]
  const columns = 2 + groups.reduce((sum, size) => sum + size, 0) + 2
  const data = new Float32Array(rows * columns)
  const effects = Float64Array.from({ length: columns }, () => random.normal())
  const label = new Float64Array(rows)
  for (let row = 0; row < rows; row++) {
    const x = data.subarray(row * columns, (row + 1) * columns)
    x[0] = random.normal()
    x[1] = random.uniform() < missing ? NaN : random.uniform()
    let at = 2
    for (const size of groups) {
      const chosen = random.integer(0, size - 1)
      // Not only ones: a bundled feature may have several bins, negative values and missing ones.
      const value = random.uniform() < missing ? NaN : [1, 1, 2, -1][random.integer(0, 3)]
      x[at + chosen] = value as number
      if (clash && row % 50 === 0) x[at + ((chosen + 1) % size)] = 1
      label[row] = (label[row] as number) + (effects[at + chosen] as number) * (value === 2 ? 2 : 1)
      at += size
    }
    if (random.uniform() < 0.05) x[at] = random.normal()
    if (random.uniform() < 0.1) x[at + 1] = random.integer(1, 40)
    label[row] = (label[row] as number) + x[0] + 0.3 * random.normal()
  }
  return { features: { data, rows, columns }, label }
}

const layoutOf = (made: ReturnType<typeof makeSparse>) => {
  const { data: values, rows, columns } = made.features
  const matrix = {
    ...{ values, rows, columns, names: Array.from({ length: columns }, String) },
    levels: new Array<undefined>(columns).fill(undefined),
  }
  const arena = createArena(createWasmRuntime({ threads: 1, relaxed: false }))
  const edges = findEdges(arena, matrix, { maxBins: 254 })
  return { arena, matrix, edges, layout: findLayout(matrix, edges) }
}

describe('bundles', () => {
  it('put a one-hot group into one byte, and what clashes into others', () => {
    expect(layoutOf(makeSparse(2000, 1)).layout.columns).toBeLessThan(14)
    const dense = { features: { data: Float32Array.from({ length: 900 }, Math.sin), rows: 300, columns: 3 } }
    expect(layoutOf({ ...dense, label: new Float64Array(300) }).layout).toEqual(plainLayout(3))
  })

  it('hold every bin of every row: the bytes of a split send each row where its own bins do', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.boolean(), async (seed, clash) => {
        const { arena, matrix, edges, layout } = layoutOf(makeSparse(300, seed, { clash, missing: 0.05 }))
        const plain = binRows(arena, matrix, edges, plainLayout(matrix.columns))
        const bundled = binRows(arena, matrix, edges, layout)
        const [wide, narrow] = [plain.bins.view(), bundled.bins.view()]
        layout.bundled.forEach((one, feature) => {
          const column = layout.columnOf[feature] as number
          for (let row = 0; row < matrix.rows; row++) {
            const bin = wide[row * plain.stride + feature] as number
            const byte = narrow[row * bundled.stride + column] as number
            if (!one) {
              expect(byte).toBe(bin)
              continue
            }
            for (const missingLeft of [false, true]) {
              for (const split of [1, 2, 3]) {
                const set = bytesLeft(one, { bin: split, missingLeft })
                const goes = ((set[byte >> 5] as number) >>> (byte & 31)) & 1
                expect(goes).toBe(Number(bin === 0 ? missingLeft : bin <= split))
              }
            }
          }
        })
        await arena.runtime.dispose()
      }),
      { numRuns: 8 },
    )
  })
})

describe('a model from bundled columns', () => {
  const objective = fc.constantFrom('squared' as const, 'logistic' as const)
  const options = fc.record({
    objective,
    growth: fc.constantFrom('depth' as const, 'leaf' as const),
    dropout: fc.constantFrom(false as const, { dropRate: 0.3 }),
    minRows: fc.constantFrom(1, 5),
    l1: fc.constantFrom(0, 0.1),
    maxBins: fc.constantFrom(254, 16),
    rowFraction: fc.constantFrom(1, 0.6),
    nodeColumnFraction: fc.constantFrom(1, 0.5),
    monotone: fc.constantFrom(undefined, { 0: 1 as const, 4: -1 as const }),
    interactions: fc.constantFrom(undefined, [
      [0, 2, 3, 4],
      [1, 5, 6, 25],
    ]),
  })

  it('is the one from unbundled columns, bit for bit, with its history and its leaf numbers', async () => {
    await fc.assert(
      fc.asyncProperty(options, fc.nat(), fc.boolean(), async (given, seed, clash) => {
        const numbers = makeSparse(400, seed, { clash })
        const binary = { ...numbers, label: numbers.label.map((y) => Number(y > 0)) }
        const data = given.objective === 'logistic' ? binary : numbers
        // Validation rows clash where training rows do not: their columns must not be shared.
        const other = makeSparse(150, seed + 1, { clash: true })
        const label = given.objective === 'logistic' ? other.label.map((y) => Number(y > 0)) : other.label
        const run: TrainOptions = {
          ...(given as TrainOptions),
          rounds: 8,
          maxDepth: 4,
          leafCacheBytes: seed % 2 ? 0 : 2 ** 30,
        }
        const input = { ...data, validation: { features: other.features, label } }
        const plain = await train(input, { ...run, bundle: false })
        const bundled = await train(input, { ...run, bundle: true, columnCopy: seed % 3 === 0 })
        expect(bundled).toEqual(plain)
      }),
      { numRuns: 20 },
    )
  })

  it('is the same for any number of threads, and goes on after a kill', async () => {
    const data = makeSparse(20_000, 3)
    const run: TrainOptions = { objective: 'squared', rounds: 6, minRows: 20, checkpointEvery: 3 }
    const states: Uint8Array[] = []
    const one = await train(data, { ...run, onCheckpoint: (state) => void states.push(state) })
    expect((await train(data, { ...run, bundle: false, columnCopy: true, threads: 2 })).model).toEqual(one.model)
    expect((await train(data, { ...run, threads: 3 })).model).toEqual(one.model)
    for (const bundle of [true, false]) {
      expect(
        (await train(data, { ...run, bundle, columnCopy: bundle, resume: states[0] as Uint8Array })).model,
      ).toEqual(one.model)
    }
  })
})
