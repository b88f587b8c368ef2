// Room in wasm memory for the sums that a product emits, and the way from there into its result.
import type { CheckSums, Emit, Product, Tensor } from '@ft/core'
import {
  descriptorBytes,
  emitColumnActual,
  emitColumnOfA,
  emitExtrema,
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
  stripColumns,
} from '../../assembly/fields.ts'
import type { Sizes } from '../problem/matmul.ts'
import type { NextChecksumPlan } from '../problem/next-checksum.ts'
import { forkRanges, stripsOf, type Kernels } from './kernels.ts'
import type { Staging } from './staging.ts'
import { hasExactReplica, type PackedWeights } from './weights.ts'

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

/** Where a vector goes. */
interface Place {
  readonly offset: number
  readonly length: number
}

/** The parts of a product's result, as far as they were asked for. */
type Result = { -readonly [Key in keyof Product]?: Product[Key] }

/** Flags of the descriptor for what is asked of a product. */
export function flagsOf(emit: Emit): number {
  let flags = 0
  if (emit.rowSums === true) flags |= emitRowActual | emitRowExpected
  if (emit.total === true) flags |= emitRowActual
  if (emit.rowStatistics === true) flags |= emitStatistics | emitExtrema
  if (emit.tileSums !== undefined) flags |= emit.tileSums === 'one-sided' ? emitOneSided : emitTwoSided
  if (emit.replica === true) flags |= emitReplica
  if (emit.columnSums === true) flags |= emitColumnOfA | emitColumnActual
  if (emit.nextChecksum !== undefined) flags |= emitNext
  return flags
}

/** Where the sums of one product lie in wasm memory: the same for every product of these sizes with these weights. */
export class SumsLayout {
  readonly flags: number
  readonly m: number
  readonly blocks: number
  readonly classes: number
  /** The descriptor's fields of the sums, and where each lies behind the address of the first. */
  readonly fields: readonly number[]
  readonly offsets: readonly number[]
  /** The same by the descriptor's word: a product has a few microseconds at most for all its sums. */
  readonly offsetOf: readonly number[]
  readonly bytes: number
  /** Sums from here on are added to, and cleared first; those before are stored. */
  readonly clearFrom: number
  readonly columns: number
  readonly strips: number
  readonly grid: readonly [number, number]

  constructor(weights: PackedWeights, o: Pick<SumsLayout, 'flags' | 'm' | 'blocks' | 'classes'>) {
    const { flags, m, blocks, classes } = o
    const { arithmetic, panels, checksumBytes, n } = weights
    const { sumBytes, tileRows, tileColumns } = arithmetic
    this.flags = flags
    this.m = m
    this.blocks = blocks
    this.classes = classes
    this.columns = panels * tileColumns
    this.strips = stripsOf(arithmetic, n)
    this.grid = [Math.ceil(m / tileRows), Math.ceil(n / tileColumns)]
    const fields: number[] = []
    const offsets: number[] = []
    let bytes = 0
    const room = (field: number, size: number): void => {
      fields.push(field)
      offsets.push(bytes)
      bytes += (size + 7) & ~7
    }
    if (flags & emitRowActual) room(fieldRowActual, this.strips * m * sumBytes)
    if (flags & emitStatistics) {
      room(fieldRowSum, m * 8)
      room(fieldRowMin, m * 4)
      room(fieldRowMax, m * 4)
      if (!arithmetic.integer) room(fieldRowSquares, m * 8)
    }
    if (flags & emitRowExpected) room(fieldRowExpected, weights.split.ranges * m * sumBytes)
    const tileBytes = this.grid[0] * panels * sumBytes
    if (flags & (emitOneSided | emitTwoSided | emitReplica)) room(fieldTileActual, tileBytes)
    if (flags & (emitOneSided | emitTwoSided)) room(fieldTileExpected, tileBytes)
    if (flags & emitReplica) room(fieldReplicaExpected, tileBytes)
    this.clearFrom = bytes
    if (flags & emitColumnActual) {
      room(fieldColumnOfA, blocks * checksumBytes)
      room(fieldColumnActual, blocks * this.columns * sumBytes)
    }
    if (flags & emitNext) room(fieldNext, blocks * classes * this.columns * sumBytes)
    this.fields = fields
    this.offsets = offsets
    this.offsetOf = Array.from({ length: descriptorBytes / 4 }, (_, word) => offsets[fields.indexOf(word * 4)] ?? 0)
    this.bytes = bytes
  }
}

/** The layout of the last product with these weights, if it serves this one too. */
export function layoutFor(
  { weights, sizes, next, blocks }: Pick<SumsRequest, 'weights' | 'sizes' | 'next' | 'blocks'>,
  flags: number,
): SumsLayout {
  const { m } = sizes
  const classes = next?.classes ?? 0
  const known = weights.layout
  if (known?.flags === flags && known.m === m && known.blocks === blocks && known.classes === classes) return known
  return (weights.layout = new SumsLayout(weights, { flags, m, blocks, classes }))
}

/**
 * Clears the sums of a product of `n` columns, tells its descriptor where they lie, and returns the address of the first.
 */
export function placeSums(
  staging: Staging,
  { bytes, fields, offsets, clearFrom }: SumsLayout,
  { n, descriptor }: { readonly n: number; readonly descriptor: number },
): number {
  const base = staging.reserve('sums', bytes)
  // A product without columns computes no strips that would store their sums.
  const from = n === 0 ? 0 : clearFrom
  if (from < bytes) staging.clear(base + from, bytes - from)
  const words = staging.words
  for (let i = 0; i < fields.length; i++)
    words[(descriptor + (fields[i] as number)) >>> 2] = base + (offsets[i] as number)
  return base
}

/** The sums of one call: of all its products, one after the other. */
export class Sums {
  readonly #request: SumsRequest
  readonly #layout: SumsLayout
  readonly #result: Result = {}
  #base: number

  /** `base`: where the sums of a product that has begun already lie. */
  constructor(request: SumsRequest, flags: number, base = 0) {
    this.#base = base
    const { weights, sizes, emit, next } = request
    const { n, m, count } = sizes
    const { arithmetic, split } = weights
    const { tileRows, tileColumns, integer } = arithmetic
    this.#request = request
    const layout = layoutFor(request, flags)
    this.#layout = layout
    const result = this.#result
    if (emit.total === true) result.total = this.#numbers(count)
    const rows = count * m
    const rowSums = emit.rowSums === true ? split.ranges * rows : 0
    const arrays = new Arrays(8 * (2 * rowSums + (emit.rowStatistics === true ? 3 * rows : 0)))
    if (emit.rowStatistics === true) {
      const [sum, min, max] = [arrays.doubles(rows), arrays.floats(rows), arrays.floats(rows)]
      result.rowStatistics = integer ? { sum, min, max } : { sum, min, max, squares: arrays.doubles(rows) }
    }
    if (emit.rowSums === true) {
      const { ranges, rangeColumns } = split
      const actual = integer ? arrays.words(rowSums) : arrays.doubles(rowSums)
      const expected = integer ? arrays.words(rowSums) : arrays.doubles(rowSums)
      result.rowSums = { ranges, rangeColumns, actual, expected }
    }
    const { grid } = layout
    const tiles = count * grid[0] * grid[1]
    if (emit.tileSums !== undefined) result.tileSums = { tileRows, tileColumns, grid, ...this.#check(tiles) }
    if (emit.replica === true) {
      const exact = hasExactReplica(weights)
      result.replica = { tileRows, tileColumns, grid, ...(exact && { exact }), ...this.#check(tiles) }
    }
    if (emit.columnSums === true) result.columnSums = this.#check(count * n)
    if (next !== undefined) result.nextChecksum = this.#tensor(next.shape)
  }

  /** Where the sums of a field lie. */
  #at(field: number): number {
    return this.#base + (this.#layout.offsetOf[field >> 2] as number)
  }

  #numbers(size: number): Numbers {
    return this.#request.weights.arithmetic.integer ? new Int32Array(size) : new Float64Array(size)
  }

  #check(size: number): Check {
    if (this.#request.weights.arithmetic.integer)
      return { actual: new Int32Array(size), expected: new Int32Array(size) }
    const arrays = new Arrays(16 * size)
    return { actual: arrays.doubles(size), expected: arrays.doubles(size) }
  }

  #tensor(shape: readonly number[]): Tensor {
    const data = this.#numbers(shape.reduce((a, b) => a * b, 1))
    return { data, shape, dtype: data instanceof Int32Array ? 'int32' : 'float64' }
  }

  /** Clears the sums and tells the descriptor at an address where they lie. */
  begin(descriptor: number): void {
    const { staging, sizes, next } = this.#request
    this.#base = placeSums(staging, this.#layout, { n: sizes.n, descriptor })
    const classOfRow = next?.classOfRow
    const classesAt = classOfRow === undefined ? 0 : staging.reserve('classes', classOfRow.byteLength)
    if (classOfRow !== undefined) staging.write(classesAt, classOfRow)
    const words = staging.words
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
    if (emit.tileSums !== undefined || emit.replica === true) this.#collectTiles(item)
  }

  /** The whole result of the call. */
  result(output: Tensor): Product {
    this.#result.output = output
    return this.#result as Product
  }

  /** Copies the `index`-th vector of `length` sums of a kind to `into`. */
  #copy(field: number, index: number, into: Numbers, place: Place): void {
    const { staging, weights } = this.#request
    const values: Numbers = weights.arithmetic.integer ? staging.words : staging.doubles
    copyNumbers(values, this.#at(field) / weights.arithmetic.sumBytes + index * place.length, into, place)
  }

  /** Adds up vectors [first, last), which lie one after the other: in their order, whoever computed them. */
  #reduce(field: number, [first, last]: readonly [number, number], into: Numbers, { offset, length }: Place): void {
    const { staging, weights } = this.#request
    const values: Numbers = weights.arithmetic.integer ? staging.words : staging.doubles
    let from = this.#at(field) / weights.arithmetic.sumBytes + first * length
    const end = offset + length
    for (let part = first; part < last; part++)
      for (let i = offset; i < end; i++) into[i] = (into[i] as number) + (values[from++] as number)
  }

  /** Strips add up to ranges of columns, ranges to the total. */
  #collectRows(item: number): void {
    const { sizes, weights } = this.#request
    const { m, count } = sizes
    const { ranges, rangeColumns } = weights.split
    const { rowSums, total } = this.#result
    const stripsPerRange = ranges === 1 ? this.#layout.strips : rangeColumns / stripColumns
    const own = rowSums === undefined ? this.#numbers(ranges * m) : (rowSums.actual as Numbers)
    for (let range = 0; range < ranges; range++) {
      const place = { offset: rowSums === undefined ? range * m : (range * count + item) * m, length: m }
      const strip = range * stripsPerRange
      this.#reduce(fieldRowActual, [strip, Math.min(this.#layout.strips, strip + stripsPerRange)], own, place)
      if (rowSums !== undefined) this.#copy(fieldRowExpected, range, rowSums.expected as Numbers, place)
      if (total === undefined) continue
      for (let i = place.offset; i < place.offset + m; i++) total[item] = (total[item] as number) + (own[i] as number)
    }
  }

  #collectStatistics(item: number): void {
    const { staging, sizes } = this.#request
    const { m, k } = sizes
    const { sum, min, max, squares } = this.#result.rowStatistics as NonNullable<Product['rowStatistics']>
    const { doubles, floats } = staging
    const place = { offset: item * m, length: m }
    copyNumbers(doubles, this.#at(fieldRowSum) / 8, sum, place)
    if (squares !== undefined) copyNumbers(doubles, this.#at(fieldRowSquares) / 8, squares, place)
    copyNumbers(floats, this.#at(fieldRowMin) / 4, min, place)
    copyNumbers(floats, this.#at(fieldRowMax) / 4, max, place)
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
    const columns = this.#numbers(this.#layout.columns)
    this.#reduce(fieldColumnActual, [0, blocks], columns, { offset: 0, length: this.#layout.columns })
    actual.set(columns.subarray(0, n), item * n)

    const sums = this.#numbers(checksumBytes / arithmetic.sumBytes)
    this.#reduce(fieldColumnOfA, [0, blocks], sums, { offset: 0, length: sums.length })
    const sumsAt = staging.reserve('column checksum', checksumBytes)
    const expectedAt = staging.reserve('expected column sums', this.#layout.columns * arithmetic.sumBytes)
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
    const length = next.classes * this.#layout.columns
    const sums = this.#numbers(length)
    this.#reduce(fieldNext, [0, blocks], sums, { offset: 0, length })
    // A convolution's groups lie side by side in each vector; batch items have a vector each.
    const width = next.shape[next.shape.length - 1] as number
    const vectors = next.members.length
    next.members.forEach((members, vector) => {
      const to =
        width === n ? (vectors === 1 && into.length === count * n ? item * n : vector * n) : vector * width + item * n
      for (const member of members)
        for (let j = 0; j < n; j++)
          into[to + j] = (into[to + j] as number) + (sums[member * this.#layout.columns + j] as number)
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
    const [down, across] = this.#layout.grid
    if (across !== weights.panels) return
    this.#copy(field, 0, into, { offset: item * down * across, length: down * across })
  }
}

type Figures = Float32Array | Float64Array | Int32Array

/** A view of the few figures of a small product costs more than their copies. */
const viewPays = 64

function copyNumbers(from: Figures, first: number, into: Figures, { offset, length }: Place): void {
  if (length >= viewPays) into.set(from.subarray(first, first + length), offset)
  else for (let i = 0; i < length; i++) into[offset + i] = from[first + i] as number
}

/** Bytes up to which an array is made on the heap, for less than a view of something else. */
const onHeap = 64

/**
 * Arrays that live together: a buffer of their own for each would cost more than the check of a small product. Doubles come
 * where a multiple of eight bytes was taken, as two arrays of as many floats are.
 */
class Arrays {
  readonly #buffer: ArrayBuffer | undefined
  #at = 0

  constructor(bytes: number) {
    this.#buffer = bytes > onHeap ? new ArrayBuffer(bytes) : undefined
  }

  #take(bytes: number): number {
    const at = this.#at
    this.#at += bytes
    return at
  }

  doubles(length: number): Float64Array {
    if (this.#buffer === undefined) return new Float64Array(length)
    return new Float64Array(this.#buffer, this.#take(8 * length), length)
  }

  floats(length: number): Float32Array {
    if (this.#buffer === undefined) return new Float32Array(length)
    return new Float32Array(this.#buffer, this.#take(4 * length), length)
  }

  words(length: number): Int32Array {
    if (this.#buffer === undefined) return new Int32Array(length)
    return new Int32Array(this.#buffer, this.#take(4 * length), length)
  }
}
