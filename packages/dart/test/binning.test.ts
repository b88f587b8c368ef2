// Edges and bins beside plain code that visits every value.
import { createRandom } from '@ft/core/random'
import { createWasmRuntime } from '@ft/tensor-core/wasm'
import { describe, expect, it } from 'vitest'
import { createArena } from '../src/arena.ts'
import { binRows, findEdges } from '../src/binning.ts'
import type { FloatMatrix } from '../src/data/schema.ts'
import { train } from '../src/index.ts'
import { plainLayout } from '../src/layout.ts'

const largest = 3.4028234663852886e38
const random = createRandom(5)
const kinds: Readonly<Record<string, () => number>> = {
  normal: () => random.normal(),
  'two values': () => random.integer(0, 1),
  'one value': () => -7,
  'as many values as bins': () => random.integer(1, 254),
  'one value more': () => random.integer(1, 255),
  whole: () => Math.round(4 * random.normal()),
  missing: () => (random.uniform() < 0.4 ? NaN : random.normal()),
  'all missing': () => NaN,
  'both zeros': () => [-0, 0, random.normal()][random.integer(0, 2)] as number,
  'one heavy value': () => (random.uniform() < 0.7 ? 0.25 : random.normal()),
  'heavy ends': () => Math.min(1, Math.max(-1, 2 * random.normal())),
  subnormal: () => random.normal() * 1e-42,
  extreme: () => [-largest, largest, random.normal() * 1e38][random.integer(0, 2)] as number,
}
const names = Object.keys(kinds)

function makeMatrix(rows: number): FloatMatrix {
  const columns = names.length
  const values = new Float32Array(rows * columns)
  names.forEach((name, column) => {
    for (let row = 0; row < rows; row++) values[row * columns + column] = (kinds[name] as () => number)()
  })
  return { values, rows, columns, names, levels: Array<undefined>(columns).fill(undefined) }
}

/** Greedy equal counts: looks before every value whether the bin ends there. */
function plainEdges({ values, rows, columns }: FloatMatrix, column: number, maxBins: number): Float32Array {
  const taken = Math.min(rows, 200_000)
  const sorted = Float32Array.from({ length: taken }, (_, i) => {
    const x = values[Math.floor((i * rows) / taken) * columns + column] as number
    return x === 0 ? 0 : x
  })
    .filter((x) => x === x)
    .sort()
  const runs: number[] = []
  sorted.forEach((x, i) => {
    if (x !== sorted[i - 1]) runs.push(i)
  })
  const cuts: number[] = []
  let [bins, since] = [maxBins, 0]
  runs.slice(1).forEach((start, i) => {
    const filled = start - since
    const target = (sorted.length - since) / bins
    const next = filled + (runs[i + 2] ?? sorted.length) - start
    if (runs.length > maxBins && (bins === 1 || (filled < target && next - target <= target - filled))) return
    cuts.push(start)
    bins--
    since = start
  })
  return Float32Array.from(cuts, (at) => {
    const [low, high] = [sorted[at - 1] as number, sorted[at] as number]
    const middle = Math.fround(low / 2 + high / 2)
    return middle >= high || middle < low ? low : middle
  })
}

describe.each([1, 2, 3])('%i threads', (threads) => {
  it.each([1, 2, 65, 5000, 300_001])('edges of %i rows are those of a visit to every value', async (rows) => {
    const runtime = createWasmRuntime({ threads, relaxed: false })
    const matrix = makeMatrix(rows)
    for (const maxBins of rows > 10_000 ? [254] : [2, 3, 17, 253, 254]) {
      const { edges } = findEdges(createArena(runtime), matrix, { maxBins })
      edges.forEach((found, column) => {
        expect(found.length, names[column]).toBeLessThan(maxBins)
        expect(found, names[column]).toEqual(plainEdges(matrix, column, maxBins))
      })
    }
    await runtime.dispose()
  })

  it('a bin is one more than the edges below the value, by row and by column', async () => {
    const runtime = createWasmRuntime({ threads, relaxed: false })
    const arena = createArena(runtime)
    // More rows than are staged at a time, and not a multiple of what is binned together.
    const matrix = makeMatrix(16_391)
    const { values, rows, columns } = matrix
    for (const maxBins of [2, 16, 17, 18, 254]) {
      const found = findEdges(arena, matrix, { maxBins })
      // Values on edges, and beyond the last.
      found.edges.forEach((edges, column) => {
        ;[...edges.slice(0, 20), ...edges.slice(-20), largest, -largest].forEach((edge, row) => {
          values[row * columns + column] = edge
        })
      })
      const binned = binRows(arena, matrix, found, plainLayout(columns), { byColumn: true })
      const [byRow, byColumn] = [binned.bins.view(), binned.byColumn?.view() as Uint8Array]
      let wrong = 0
      for (let column = 0; column < columns; column++) {
        const edges = found.edges[column] as Float32Array
        for (let row = 0; row < rows; row++) {
          const x = values[row * columns + column] as number
          const bin = x === x ? 1 + edges.filter((edge) => edge < x).length : 0
          wrong += Number(byRow[row * binned.stride + column] !== bin)
          wrong += Number(byColumn[column * rows + row] !== bin)
        }
      }
      expect(wrong).toBe(0)
    }
    await runtime.dispose()
  })
})

it('levels of more nodes than are divided together give the same trees', async () => {
  const [rows, few, many] = [1500, 4, 4000]
  const values = random.fillNormal(new Float32Array(rows * few))
  const wide = new Float32Array(rows * many)
  for (let row = 0; row < rows; row++) wide.set(values.subarray(row * few, (row + 1) * few), row * many)
  const label = Float64Array.from({ length: rows }, () => random.normal())
  const options = { objective: 'squared', rounds: 2, maxDepth: 7, minHessian: 1, bundle: false } as const
  const run = (data: Float32Array, columns: number) => train({ features: { data, rows, columns }, label }, options)
  const { model } = await run(values, few)
  expect(model.trees.every((tree) => tree.value.length > 50)).toBe(true)
  // Columns of zeros are never split: only the memory of a search grows with them.
  expect((await run(wide, many)).model.trees).toEqual(model.trees)
})
