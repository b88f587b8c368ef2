// Room in wasm memory for the sums that a product emits, and the way from there into its result.
import type { CheckSums, Emit, Product, Tensor } from '@ft/core'
import {
  emitColumnActual,
  emitColumnOfA,
  emitNext,
  emitOneSided,
  emitReplica,
  emitRowActual,
  emitRowExpected,
  emitStatistics,
  emitTwoSided,
  fieldClasses,
  fieldClassOfRow,
  fieldColumnActual,
  fieldColumnOfA,
  fieldNext,
  fieldReplicaExpected,
  fieldRowActual,
  fieldRowExpected,
  fieldRowMax,
  fieldRowMin,
  fieldRowSquares,
  fieldRowSum,
  fieldTileActual,
  fieldTileExpected,
} from '../../assembly/fields.ts'
import type { Sizes } from '../problem/matmul.ts'
import type { NextChecksumPlan } from '../problem/next-checksum.ts'
import { forkRanges, stripsOf, type Kernels } from './kernels.ts'
import type { Staging } from './staging.ts'
import type { PackedWeights } from './weights.ts'

type Numbers = Float64Array | Int32Array
type Check = CheckSums & { readonly actual: Numbers; readonly expected: Numbers }

export interface SumsRequest {
  readonly kernels: Kernels
  readonly staging: Staging
  readonly weights: PackedWeights
  readonly sizes: Sizes
  readonly emit: Emit
  readonly next: NextChecksumPlan | undefined
  /** Blocks of rows. */
  readonly blocks: number
}

/** The parts of a product's result, as far as they were asked for. */
type Result = { -readonly [Key in keyof Product]?: Product[Key] }

/** The sums of one call: of all its products, one after the other. */
export class Sums {
  /** Flags of the descriptor. */
  readonly flags: number
  readonly #request: SumsRequest
  readonly #result: Result = {}
  /** The descriptor's fields of the sums, and where each lies behind the address of the first. */
  readonly #fields: number[] = []
  readonly #offsets: number[] = []
  #bytes = 0
  /** Sums from here on are added to, and cleared first; those before are stored. */
  #clearFrom = 0
  #base = 0
  readonly #columns: number
  readonly #strips: number
  readonly #grid: readonly [number, number]

  constructor(request: SumsRequest) {
    const { weights, sizes, emit, next, blocks } = request
    const { m, n, count } = sizes
    const { arithmetic, panels, checksumBytes } = weights
    const { sumBytes, tileRows, tileColumns } = arithmetic
    this.#request = request
    this.#columns = panels * tileColumns
    this.#strips = stripsOf(arithmetic, n)
    this.#grid = [Math.ceil(m / tileRows), Math.ceil(n / tileColumns)]
    const result = this.#result
    let flags = 0
    if (emit.rowSums === true || emit.total === true) {
      flags |= emitRowActual
      this.#room(fieldRowActual, this.#strips * m * sumBytes)
    }
    if (emit.total === true) result.total = this.#numbers(count)
    if (emit.rowSums === true) {
      flags |= emitRowExpected
      this.#room(fieldRowExpected, m * sumBytes)
      result.rowSums = this.#check(count * m)
    }
    if (emit.rowStatistics === true) {
      flags |= emitStatistics
      this.#room(fieldRowSum, m * 8)
      this.#room(fieldRowMin, m * 4)
      this.#room(fieldRowMax, m * 4)
      const [sum, min, max] = [new Float64Array(count * m), new Float32Array(count * m), new Float32Array(count * m)]
      result.rowStatistics = { sum, min, max }
      if (!arithmetic.integer) {
        this.#room(fieldRowSquares, m * 8)
        result.rowStatistics = { sum, min, max, squares: new Float64Array(count * m) }
      }
    }
    const tileBytes = this.#grid[0] * panels * sumBytes
    const grid = { tileRows, tileColumns, grid: this.#grid }
    if (emit.tileSums !== undefined || emit.replica === true) this.#room(fieldTileActual, tileBytes)
    if (emit.tileSums !== undefined) {
      flags |= emit.tileSums === 'one-sided' ? emitOneSided : emitTwoSided
      this.#room(fieldTileExpected, tileBytes)
      result.tileSums = { ...grid, ...this.#check(count * this.#grid[0] * this.#grid[1]) }
    }
    if (emit.replica === true) {
      flags |= emitReplica
      this.#room(fieldReplicaExpected, tileBytes)
      result.replica = { ...grid, ...this.#check(count * this.#grid[0] * this.#grid[1]) }
    }
    this.#clearFrom = this.#bytes
    if (emit.columnSums === true) {
      flags |= emitColumnOfA | emitColumnActual
      this.#room(fieldColumnOfA, blocks * checksumBytes)
      this.#room(fieldColumnActual, blocks * this.#columns * sumBytes)
      result.columnSums = this.#check(count * n)
    }
    if (next !== undefined) {
      flags |= emitNext
      this.#room(fieldNext, blocks * next.classes * this.#columns * sumBytes)
      result.nextChecksum = this.#tensor(next.shape)
    }
    this.flags = flags
  }

  #room(field: number, bytes: number): void {
    this.#fields.push(field)
    this.#offsets.push(this.#bytes)
    this.#bytes += (bytes + 7) & ~7
  }

  /** Where the sums of a field lie. */
  #at(field: number): number {
    return this.#base + (this.#offsets[this.#fields.indexOf(field)] as number)
  }

  #numbers(size: number): Numbers {
    return this.#request.weights.arithmetic.integer ? new Int32Array(size) : new Float64Array(size)
  }

  #check(size: number): Check {
    return { actual: this.#numbers(size), expected: this.#numbers(size) }
  }

  #tensor(shape: readonly number[]): Tensor {
    const data = this.#numbers(shape.reduce((a, b) => a * b, 1))
    return { data, shape, dtype: data instanceof Int32Array ? 'int32' : 'float64' }
  }

  /** Clears the sums and tells the descriptor at an address where they lie. */
  begin(descriptor: number): void {
    if (this.flags === 0) return
    const { staging, sizes, next } = this.#request
    this.#base = staging.reserve('sums', this.#bytes)
    // A product without columns computes no strips that would store their sums.
    const clearFrom = sizes.n === 0 ? 0 : this.#clearFrom
    if (clearFrom < this.#bytes) staging.clear(this.#base + clearFrom, this.#bytes - clearFrom)
    const classOfRow = next?.classOfRow
    const classesAt = classOfRow === undefined ? 0 : staging.reserve('classes', classOfRow.byteLength)
    if (classOfRow !== undefined) staging.write(classesAt, classOfRow)
    const words = staging.words
    for (let i = 0; i < this.#fields.length; i++)
      words[(descriptor + (this.#fields[i] as number)) >>> 2] = this.#base + (this.#offsets[i] as number)
    words[(descriptor + fieldClassOfRow) >>> 2] = classesAt
    words[(descriptor + fieldClasses) >>> 2] = next?.classes ?? 0
  }

  /** Takes the sums of product `item`, which is done. */
  collect(item: number): void {
    const { sizes, emit, next } = this.#request
    if (emit.rowSums === true || emit.total === true) this.#collectRows(item)
    if (emit.rowStatistics === true) this.#collectStatistics(item)
    if (emit.columnSums === true && sizes.n > 0) this.#collectColumns(item)
    if (next !== undefined) this.#collectNext(item, next)
    this.#collectTiles(item)
  }

  /** The whole result of the call. */
  result(output: Tensor): Product {
    this.#result.output = output
    return this.#result as Product
  }

  /** Copies `length` sums of a kind to `into`. */
  #copy(field: number, length: number, into: Numbers, offset: number): void {
    const { staging, weights } = this.#request
    const values: Numbers = weights.arithmetic.integer ? staging.words : staging.doubles
    const from = this.#at(field) / weights.arithmetic.sumBytes
    for (let i = 0; i < length; i++) into[offset + i] = values[from + i] as number
  }

  /** Adds up `parts` vectors that lie one after the other: in their order, whoever computed them. */
  #reduce(field: number, parts: number, into: Numbers, o: { offset: number; length: number }): void {
    const { staging, weights } = this.#request
    const values: Numbers = weights.arithmetic.integer ? staging.words : staging.doubles
    let from = this.#at(field) / weights.arithmetic.sumBytes
    const end = o.offset + o.length
    for (let part = 0; part < parts; part++)
      for (let i = o.offset; i < end; i++) into[i] = (into[i] as number) + (values[from++] as number)
  }

  #collectRows(item: number): void {
    const { m } = this.#request.sizes
    const { rowSums, total } = this.#result
    const own = rowSums === undefined ? this.#numbers(m) : (rowSums.actual as Numbers)
    const offset = rowSums === undefined ? 0 : item * m
    this.#reduce(fieldRowActual, this.#strips, own, { offset, length: m })
    if (rowSums !== undefined) this.#copy(fieldRowExpected, m, rowSums.expected as Numbers, item * m)
    if (total === undefined) return
    for (let i = 0; i < m; i++) total[item] = (total[item] as number) + (own[offset + i] as number)
  }

  #collectStatistics(item: number): void {
    const { staging, sizes } = this.#request
    const { m, k } = sizes
    const { sum, min, max, squares } = this.#result.rowStatistics as NonNullable<Product['rowStatistics']>
    const sums = this.#at(fieldRowSum) / 8
    const [minima, maxima] = [fieldRowMin, fieldRowMax].map((field) => this.#at(field) / 4)
    sum.set(staging.doubles.subarray(sums, sums + m), item * m)
    if (squares !== undefined) {
      const from = this.#at(fieldRowSquares) / 8
      squares.set(staging.doubles.subarray(from, from + m), item * m)
    }
    min.set(staging.floats.subarray(minima, (minima as number) + m), item * m)
    max.set(staging.floats.subarray(maxima, (maxima as number) + m), item * m)
    if (k > 0) return
    // A product with k = 0 was computed with one step of zeros.
    min.fill(Infinity)
    max.fill(-Infinity)
  }

  #collectColumns(item: number): void {
    const { kernels, staging, weights, sizes, blocks } = this.#request
    const { n, k } = sizes
    const { arithmetic, panels, steps, checksumBytes } = weights
    const { actual, expected } = this.#result.columnSums as Check
    const columns = this.#numbers(this.#columns)
    this.#reduce(fieldColumnActual, blocks, columns, { offset: 0, length: this.#columns })
    actual.set(columns.subarray(0, n), item * n)

    const sums = this.#numbers(checksumBytes / arithmetic.sumBytes)
    this.#reduce(fieldColumnOfA, blocks, sums, { offset: 0, length: sums.length })
    const sumsAt = staging.reserve('column checksum', checksumBytes)
    const expectedAt = staging.reserve('expected column sums', this.#columns * arithmetic.sumBytes)
    staging.write(sumsAt, sums)
    const packed = weights.panelsAddress + (weights.count === 1 ? 0 : item) * weights.itemBytes
    forkRanges(kernels, {
      fn: arithmetic.integer ? 'expectIntegerColumns' : 'expectFloatColumns',
      total: panels,
      least: Math.max(1, Math.ceil(65_536 / (k * arithmetic.tileColumns + 1))),
      args: (from, to) => [packed, panels, steps, sumsAt, expectedAt, from, to],
    })
    const values: Numbers = arithmetic.integer ? staging.words : staging.doubles
    const from = expectedAt / arithmetic.sumBytes
    expected.set(values.subarray(from, from + n), item * n)
  }

  /** Combines the class sums of one product into the vectors of the next checksum. */
  #collectNext(item: number, next: NextChecksumPlan): void {
    const { blocks, sizes } = this.#request
    const { n, count } = sizes
    const into = (this.#result.nextChecksum as Tensor).data
    const length = next.classes * this.#columns
    const sums = this.#numbers(length)
    this.#reduce(fieldNext, blocks, sums, { offset: 0, length })
    // A convolution's groups lie side by side in each vector; batch items have a vector each.
    const width = next.shape[next.shape.length - 1] as number
    const vectors = next.members.length
    next.members.forEach((members, vector) => {
      const to =
        width === n ? (vectors === 1 && into.length === count * n ? item * n : vector * n) : vector * width + item * n
      for (const member of members)
        for (let j = 0; j < n; j++)
          into[to + j] = (into[to + j] as number) + (sums[member * this.#columns + j] as number)
    })
  }

  #collectTiles(item: number): void {
    const { tileSums, replica } = this.#result
    if (tileSums !== undefined) {
      this.#copyGrid(item, fieldTileActual, tileSums.actual as Numbers)
      this.#copyGrid(item, fieldTileExpected, tileSums.expected as Numbers)
    }
    if (replica !== undefined) {
      this.#copyGrid(item, fieldTileActual, replica.actual as Numbers)
      this.#copyGrid(item, fieldReplicaExpected, replica.expected as Numbers)
    }
  }

  /** Tiles row by row; a product without columns has none, though the kernels computed one empty panel. */
  #copyGrid(item: number, field: number, into: Numbers): void {
    const { weights } = this.#request
    const [down, across] = this.#grid
    if (across === weights.panels) this.#copy(field, down * across, into, item * down * across)
  }
}
