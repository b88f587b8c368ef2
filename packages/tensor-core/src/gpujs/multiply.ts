// A product on gpu.js: operands as rows, tiles and row sums as further columns, what is left on the host.
import type { CheckSums, Product, RowStatistics, Tensor, TileSums } from '@ft/core'
import { gelu } from '../problem/gelu.ts'
import { newOutput } from '../problem/output.ts'
import { matrixA, outputIndex, type Problem, type WeightMatrices } from '../reference/matrices.ts'
import { rowStatisticsOf } from '../reference/sums.ts'
import { tileColumns, type KernelName, type Kernels } from './kernels.ts'

const statisticNames = ['sum', 'min', 'max', 'squares'] as const satisfies readonly (keyof RowStatistics)[]

/** Sums of one product, joined over batch items and groups. */
interface Sums {
  rows?: { actual: number[]; expected: number[] }
  tiles?: { actual: number[]; expected: number[] }
  replica?: { actual: number[]; expected: number[] }
  statistics?: Record<(typeof statisticNames)[number], number[]>
}

/** What the caller may change later, A and bias, is copied before the first wait. */
export async function multiply(kernels: Kernels, given: Problem, weights: WeightMatrices): Promise<Product> {
  const problem = copied(given)
  const { count, emit } = problem
  const output = problem.out ?? newOutput(problem)
  const sums: Sums = {
    ...(emit.rowSums === true && { rows: { actual: [], expected: [] } }),
    ...(emit.tileSums !== undefined && { tiles: { actual: [], expected: [] } }),
    ...(emit.replica === true && { replica: { actual: [], expected: [] } }),
    ...(emit.rowStatistics === true && { statistics: { sum: [], min: [], max: [], squares: [] } }),
  }
  for (let item = 0; item < count; item++) await multiplyItem(kernels, { problem, weights, item, output, sums })
  return { output, ...joined(problem, sums) }
}

function copied(problem: Problem): Problem {
  const { bias } = problem
  const own = (tensor: Tensor): Tensor => ({ ...tensor, data: tensor.data.slice() })
  const added = bias === undefined ? {} : { bias: own(bias) }
  return problem.kind === 'matmul'
    ? { ...problem, a: own(problem.a), ...added }
    : { ...problem, x: own(problem.x), ...added }
}

interface Item {
  readonly problem: Problem
  readonly weights: WeightMatrices
  readonly item: number
  readonly output: Tensor
  readonly sums: Sums
}

async function multiplyItem(kernels: Kernels, o: Item): Promise<void> {
  const { problem, weights, item, output, sums } = o
  const { m, n, k } = problem
  const from = weights.count === 1 ? 0 : item * k * n
  const operands = { a: matrixA(problem, item), b: weights.values.subarray(from, from + k * n) }
  if (sums.statistics !== undefined) {
    // On the host, which has A at hand: kernels would read it once more.
    const statistics = rowStatisticsOf(operands.a, m, k)
    for (const name of statisticNames) append(sums.statistics[name], statistics[name])
  }
  const c = problem.integer
    ? await integers(kernels, problem, operands)
    : await floats(kernels, problem, operands, sums)
  for (let i = 0; i < m; i++)
    for (let j = 0; j < n; j++)
      output.data[outputIndex(problem, { item, i, j })] = finish(problem, c[i * n + j] as number, item * n + j)
}

interface Operands {
  readonly a: Float64Array
  readonly b: Float64Array
}

async function floats(kernels: Kernels, problem: Problem, { a, b }: Operands, sums: Sums): Promise<Float64Array> {
  const { m, n, k } = problem
  const tiles = Math.ceil(n / tileColumns)
  const tiled = sums.tiles !== undefined || sums.replica !== undefined
  // Row sums are one more column, B e; behind whole tiles, so that no tile's check has it in.
  const checkColumn = tiled ? tiles * tileColumns : n
  const across = sums.rows === undefined ? tiles : tiles + 1
  const width = tiled ? across * tileColumns : checkColumn + (sums.rows === undefined ? 0 : 1)
  const wide = new Float64Array(k * width)
  for (let s = 0; s < k; s++) {
    const row = b.subarray(s * n, (s + 1) * n)
    wide.set(row, s * width)
    if (sums.rows !== undefined) wide[s * width + checkColumn] = row.reduce((sum, value) => sum + value, 0)
  }
  const rowsOfA = rows(a, m, k)
  const rowsOfB = rows(wide, k, width)
  const c = new Float64Array(m * n)
  const expectedRows = new Float64Array(m)
  /** Takes the product and gives the checks of its tiles. */
  const take = async (name: KernelName, folds?: Float32Array[]): Promise<number[]> => {
    const size = [name === 'plain' ? width : across, m] as const
    if (m === 0 || width === 0) return []
    const result = await kernels.run({
      name,
      operands: [rowsOfA, rowsOfB, ...(folds === undefined ? [] : [folds])],
      k: Math.max(1, k),
      size,
    })
    const at = (i: number, j: number): number =>
      name === 'plain'
        ? ((result[i] as Float32Array)[j] as number)
        : ((result[i]?.[Math.floor(j / tileColumns)] as Float32Array)[j % tileColumns] as number)
    for (let i = 0; i < m; i++) {
      for (let j = 0; j < n; j++) c[i * n + j] = at(i, j)
      if (sums.rows !== undefined) expectedRows[i] = at(i, checkColumn)
    }
    if (name === 'plain') return []
    const tile = (index: number): Float32Array => result[Math.floor(index / tiles)]?.[index % tiles] as Float32Array
    return Array.from({ length: m * tiles }, (_, index) => tile(index)[tileColumns] as number)
  }
  if (!tiled) await take('plain')
  if (sums.tiles !== undefined) {
    append(sums.tiles.expected, await take('one-sided', rows(folded(wide, k, across), k, across)))
    append(sums.tiles.actual, tileActual(c, { m, n, tiles }))
  }
  if (sums.replica !== undefined) {
    append(sums.replica.expected, await take('replica'))
    append(sums.replica.actual, tileActual(c, { m, n, tiles }))
  }
  if (sums.rows !== undefined) {
    append(sums.rows.expected, expectedRows)
    for (let i = 0; i < m; i++) sums.rows.actual.push(c.subarray(i * n, (i + 1) * n).reduce((sum, x) => sum + x, 0))
  }
  return c
}

/** Not by spreading: a large product has more tiles than a call takes arguments. */
function append(all: number[], more: ArrayLike<number>): void {
  for (let i = 0; i < more.length; i++) all.push(more[i] as number)
}

/** B folded across each tile's columns: `[k, tiles]`. */
function folded(b: Float64Array, k: number, tiles: number): Float64Array {
  const folds = new Float64Array(k * tiles)
  for (let i = 0; i < folds.length; i++)
    for (let j = 0; j < tileColumns; j++) folds[i] = (folds[i] as number) + (b[i * tileColumns + j] as number)
  return folds
}

function tileActual(c: Float64Array, { m, n, tiles }: { m: number; n: number; tiles: number }): number[] {
  const actual = new Array<number>(m * tiles).fill(0)
  for (let i = 0; i < m; i++)
    for (let j = 0; j < n; j++) {
      const tile = i * tiles + Math.floor(j / tileColumns)
      actual[tile] = (actual[tile] as number) + (c[i * n + j] as number)
    }
  return actual
}

/** Products of 8-bit integers in float32, in pieces of k whose sums stay below 2^24, so that each is exact. */
async function integers(kernels: Kernels, problem: Problem, { a, b }: Operands): Promise<Int32Array> {
  const { m, n, k } = problem
  const c = new Int32Array(m * n)
  if (c.length === 0) return c
  const largest = problem.kind === 'matmul' && problem.a.dtype === 'uint8' ? 255 * 128 : 128 * 128
  const piece = Math.floor(2 ** 24 / largest)
  for (let s = 0; s < k; s += piece) {
    const own = Math.min(piece, k - s)
    const part = Array.from({ length: m }, (_, i) => Float32Array.from(a.subarray(i * k + s, i * k + s + own)))
    const operands = [part, rows(b.subarray(s * n, (s + own) * n), own, n)]
    const result = await kernels.run({ name: 'plain', operands, k: own, size: [n, m] })
    for (let i = 0; i < m; i++)
      for (let j = 0; j < n; j++) c[i * n + j] = (c[i * n + j] as number) + ((result[i] as Float32Array)[j] as number)
  }
  return c
}

/** Rows of a matrix as gpu.js takes them; no rows become one of zeros, and no columns one. */
function rows(values: Float64Array, count: number, width: number): Float32Array[] {
  if (count === 0 || width === 0)
    return Array.from({ length: Math.max(1, count) }, () => new Float32Array(Math.max(1, width)))
  return Array.from({ length: count }, (_, i) => Float32Array.from(values.subarray(i * width, (i + 1) * width)))
}

/** Bias and activation. */
function finish(problem: Problem, value: number, channel: number): number {
  const { bias, activation, integer, n } = problem
  const added = bias?.data[problem.kind === 'conv2d' ? channel : channel % n]
  const biased = added === undefined ? value : value + added
  const wrapped = integer ? biased | 0 : Math.fround(biased)
  if (activation === undefined) return wrapped
  return activation === 'relu' ? (wrapped < 0 ? 0 : wrapped) : gelu(wrapped)
}

function joined({ m, n }: Problem, { rows: rowSums, tiles, replica, statistics }: Sums): Partial<Product> {
  const check = ({ actual, expected }: { actual: number[]; expected: number[] }): CheckSums => ({
    actual: Float64Array.from(actual),
    expected: Float64Array.from(expected),
  })
  const grid = { tileRows: 1, tileColumns, grid: [m, Math.ceil(n / tileColumns)] as const }
  const tileSums = (sums: { actual: number[]; expected: number[] }): TileSums => ({ ...grid, ...check(sums) })
  return {
    ...(rowSums && { rowSums: { ...check(rowSums), ranges: 1, rangeColumns: n } }),
    ...(tiles && { tileSums: tileSums(tiles) }),
    ...(replica && { replica: tileSums(replica) }),
    ...(statistics && {
      rowStatistics: {
        sum: Float64Array.from(statistics.sum),
        min: Float64Array.from(statistics.min),
        max: Float64Array.from(statistics.max),
        squares: Float64Array.from(statistics.squares),
      },
    }),
  }
}
