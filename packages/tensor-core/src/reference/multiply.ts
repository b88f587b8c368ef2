// The reference product: C = A B in float64, one element after the other, with every emitted sum and every fault site.
// The simplest code that is right; engines are compared with it.
import type { Activation, Fault, Product, RowSums, Tensor, TypedArray } from '@ft/core'
import { strikeChecksum } from '../problem/checksum-faults.ts'
import { gelu } from '../problem/gelu.ts'
import { strike, type FaultContext } from '../problem/faults.ts'
import { planNextChecksum, type NextChecksumPlan } from '../problem/next-checksum.ts'
import { newOutput } from '../problem/output.ts'
import { columnRanges } from '../problem/ranges.ts'
import type { Counts } from './counts.ts'
import { matrixA, outputIndex, type Problem, type WeightMatrices } from './matrices.ts'
import * as sums from './sums.ts'
import type { Pair, ProductMatrices, Statistics, Tile } from './sums.ts'

export interface ReferenceRun {
  readonly weights: WeightMatrices
  readonly faults: readonly Fault[]
  readonly context: FaultContext
  readonly tile: Tile
  readonly counts: Counts
}

export function multiply(problem: Problem, run: ReferenceRun): Product {
  const { count, m, n, emit } = problem
  const plan = emit.nextChecksum === undefined ? undefined : planNextChecksum(problem, emit.nextChecksum)
  const output = problem.out ?? newOutput(problem)
  const parts: Parts[] = []
  const next = plan === undefined ? undefined : newChecksum(problem, plan)
  for (let item = 0; item < count; item++) {
    const matrices = computeProduct(problem, run, item)
    parts.push(emitSums(matrices, problem, run))
    for (let i = 0; i < m; i++)
      for (let j = 0; j < n; j++) {
        const value = finish(matrices.c[i * n + j] as number, problem, biasIndex(problem, item, j))
        output.data[outputIndex(problem, { item, i, j })] = value
        if (plan !== undefined && next !== undefined) addToChecksum(next.data, plan, problem, { item, i, j, value })
      }
    run.counts.product.bytes += (problem.integer ? 1 : 4) * (m * problem.k + problem.k * n) + 4 * m * n
  }
  const product: Product = {
    output,
    ...join(parts, problem, run.tile),
    ...(next === undefined ? {} : { nextChecksum: next }),
  }
  for (const { site, effect } of run.faults)
    if (site.kind === 'checksum') strikeChecksum(product, { site, effect, context: run.context })
  return product
}

/** One product, by the definition. */
function computeProduct(problem: Problem, run: ReferenceRun, item: number): ProductMatrices {
  const { m, n, k } = problem
  const cleanA = matrixA(problem, item)
  const weightItem = run.weights.count === 1 ? 0 : item
  const cleanB = run.weights.values.slice(weightItem * k * n, (weightItem + 1) * k * n)
  const a = cleanA.slice()
  const b = cleanB.slice()
  const c = new Float64Array(m * n)
  const faults = faultsOf(run, { item, weightItem, m, k })
  for (const { site, effect } of faults) {
    if (site.kind === 'operand') hit(a, (site.row - item * m) * k + site.step, effect, run.context.operand)
    if (site.kind === 'packed-weight')
      hit(b, (site.step - weightItem * k) * n + site.column, effect, problem.integer ? 'int8' : 'float32')
  }
  const accumulator = problem.integer ? 'int32' : 'float32'
  for (let i = 0; i < m; i++)
    for (let j = 0; j < n; j++) {
      const here = faults.filter(
        ({ site }) => 'column' in site && 'row' in site && site.row === item * m + i && site.column === j,
      )
      let sum = 0
      for (let s = 0; s < k; s++) {
        const term = (a[i * k + s] as number) * (b[s * n + j] as number)
        sum += term
        for (const { site, effect } of here) {
          if (site.kind !== 'accumulator' || site.step !== s) continue
          if (effect.kind === 'drop-term') sum -= term
          else if (effect.kind === 'double-term') sum += term
          else sum = strike(stored(sum, problem), effect, accumulator)
        }
      }
      let value = stored(sum, problem)
      for (const { site, effect } of here) if (site.kind === 'output') value = strike(value, effect, accumulator)
      c[i * n + j] = value
    }
  run.counts.product.multiplyAdds += m * n * k
  return { m, n, k, a, cleanA, b, cleanB, c }
}

/** A finished accumulator as the output's type holds it. */
function stored(sum: number, problem: Problem): number {
  return problem.integer ? sum | 0 : Math.fround(sum)
}

/** Bias and activation. */
function finish(value: number, problem: Problem, channel: number): number {
  const biased = problem.bias === undefined ? value : value + (problem.bias.data[channel] as number)
  return stored(activate(problem.integer ? biased | 0 : biased, problem.activation), problem)
}

function activate(value: number, activation: Activation | undefined): number {
  if (activation === undefined) return value
  return activation === 'relu' ? (value < 0 ? 0 : value) : gelu(value)
}

function biasIndex(problem: Problem, item: number, j: number): number {
  return problem.kind === 'conv2d' ? item * problem.n + j : j
}

function hit(values: Float64Array, at: number, effect: Fault['effect'], format: FaultContext['operand']): void {
  values[at] = strike(values[at] as number, effect, format)
}

/** Faults that strike this product: of a batch or of groups, those whose row, or weight step, lies in it. */
function faultsOf(run: ReferenceRun, o: { item: number; weightItem: number; m: number; k: number }): readonly Fault[] {
  return run.faults.filter(({ site }) => {
    if (site.kind === 'packed-weight') return Math.floor(site.step / o.k) === o.weightItem
    return 'row' in site && Math.floor(site.row / o.m) === o.item
  })
}

// --- emitted sums -----------------------------------------------------------------------------------------------

type Check = 'columnSums' | 'tileSums' | 'replica'

interface Parts {
  rowSums?: Pair
  columnSums?: Pair
  total?: number
  tileSums?: Pair
  replica?: Pair
  rowStatistics?: Statistics
}

function emitSums(p: ProductMatrices, { emit, integer }: Problem, { tile, counts }: ReferenceRun): Parts {
  return {
    ...(emit.rowSums === true && { rowSums: sums.rowSums(p, columnRanges(p.n, integer), counts.rowSums) }),
    ...(emit.columnSums === true && { columnSums: sums.columnSums(p, counts.columnSums) }),
    ...(emit.total === true && { total: sums.total(p, counts.total) }),
    ...(emit.tileSums !== undefined && {
      tileSums: sums.tileSums(p, { tile, sides: emit.tileSums, counts: counts.tileSums }),
    }),
    ...(emit.replica === true && { replica: sums.replica(p, { tile, counts: counts.replica }) }),
    ...(emit.rowStatistics === true && { rowStatistics: sums.rowStatistics(p, counts.rowStatistics) }),
  }
}

function join(parts: readonly Parts[], problem: Problem, tile: Tile): Partial<Product> {
  const { emit, m, n } = problem
  const pair = (kind: Check): Pair => ({
    actual: concatenate(parts.map((part) => (part[kind] as Pair).actual)),
    expected: concatenate(parts.map((part) => (part[kind] as Pair).expected)),
  })
  const concatenate = (arrays: readonly Float64Array[]): Float64Array =>
    Float64Array.from(arrays.flatMap((a) => [...a]))
  const numbers = (values: Float64Array): Float64Array | Int32Array =>
    problem.integer ? Int32Array.from(values, (value) => value | 0) : values
  const check = (kind: Check): { actual: Float64Array | Int32Array; expected: Float64Array | Int32Array } => {
    const { actual, expected } = pair(kind)
    return { actual: numbers(actual), expected: numbers(expected) }
  }
  /** Items side by side in each range. */
  const rows = (): RowSums => {
    const split = columnRanges(n, problem.integer)
    const side = (name: keyof Pair): Float64Array | Int32Array => {
      const own = parts.map((part) => (part.rowSums as Pair)[name])
      const ranges = Array.from({ length: split.ranges }, (_, range) =>
        own.map((sums) => sums.subarray(range * m, (range + 1) * m)),
      )
      return numbers(concatenate(ranges.flat()))
    }
    return { ...split, actual: side('actual'), expected: side('expected') }
  }
  const tiles = {
    tileRows: tile.rows,
    tileColumns: tile.columns,
    grid: [Math.ceil(m / tile.rows), Math.ceil(n / tile.columns)] as const,
  }
  const statistic = (name: keyof Statistics): Float64Array =>
    concatenate(parts.map((part) => (part.rowStatistics as NonNullable<Parts['rowStatistics']>)[name]))
  return {
    ...(emit.rowSums === true && { rowSums: rows() }),
    ...(emit.columnSums === true && { columnSums: check('columnSums') }),
    ...(emit.total === true && { total: numbers(Float64Array.from(parts, (part) => part.total as number)) }),
    ...(emit.tileSums !== undefined && { tileSums: { ...tiles, ...check('tileSums') } }),
    ...(emit.replica === true && { replica: { ...tiles, ...check('replica') } }),
    ...(emit.rowStatistics === true && {
      rowStatistics: {
        sum: statistic('sum'),
        min: statistic('min'),
        max: statistic('max'),
        squares: statistic('squares'),
      },
    }),
  }
}

// --- the next layer's checksum ----------------------------------------------------------------------------------

function newChecksum(problem: Problem, plan: NextChecksumPlan): Tensor {
  const size = plan.shape.reduce((a, b) => a * b, 1)
  return problem.integer
    ? { data: new Int32Array(size), shape: plan.shape, dtype: 'int32' }
    : { data: new Float64Array(size), shape: plan.shape, dtype: 'float64' }
}

function addToChecksum(
  sum: TypedArray,
  plan: NextChecksumPlan,
  problem: Problem,
  at: { item: number; i: number; j: number; value: number },
): void {
  const { item, i, j, value } = at
  const own = plan.classOfRow?.[i] ?? 0
  plan.members.forEach((classes, tap) => {
    if (!classes.includes(own)) return
    const row = problem.kind === 'conv2d' ? tap : problem.outShape.length === 3 ? item : 0
    const column = biasIndex(problem, item, j)
    const width = plan.shape[plan.shape.length - 1] as number
    sum[row * width + column] = (sum[row * width + column] as number) + value
  })
}
