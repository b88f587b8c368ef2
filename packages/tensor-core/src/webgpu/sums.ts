// Where a product's sums lie in the output buffer, and what they are once they are back: partial sums of workgroups,
// added up in float64 (integers: modulo 2^32).
import type { Emit, Product, Tensor } from '@ft/core'
import type { NextChecksumPlan } from '../problem/next-checksum.ts'
import type { Sizes } from '../problem/matmul.ts'
import type { Params, ParamName } from './params.ts'
import { groupColumns, groupRows, type KernelTile } from './tile.ts'

type Words = Float32Array | Int32Array
type Numbers = Float64Array | Int32Array

export interface SumsRequest {
  readonly sizes: Sizes
  readonly emit: Emit
  readonly next: NextChecksumPlan | undefined
  /** Whether groups lie side by side in the next checksum, as a convolution's do. */
  readonly sideBySide: boolean
  readonly tile: KernelTile
  readonly integer: boolean
  /** Elements of C, which come first in the buffer. */
  readonly first: number
}

/** The workgroups of a product of any size: one across and down even where there is nothing to compute. */
export function gridOf({ m, n }: Sizes, tile: KernelTile): { across: number; down: number } {
  return {
    across: Math.max(1, Math.ceil(n / groupColumns(tile))),
    down: Math.max(1, Math.ceil(m / groupRows(tile))),
  }
}

export class SumsLayout {
  readonly #request: SumsRequest
  readonly #across: number
  readonly #down: number
  readonly #tiles: readonly [number, number]
  readonly #places: Params = {}
  #end: number

  constructor(request: SumsRequest) {
    this.#request = request
    const { sizes, emit, next, tile, first } = request
    const { count, m, n } = sizes
    const { across, down } = gridOf(sizes, tile)
    this.#across = across
    this.#down = down
    this.#tiles = [Math.ceil(m / tile.rows), Math.ceil(n / tile.columns)]
    this.#end = first
    if (emit.rowSums === true || emit.total === true) this.#place('rowActual', count * across * m)
    if (emit.rowSums === true) this.#place('rowExpected', count * m)
    if (emit.columnSums === true) {
      this.#place('columnActual', count * down * n)
      this.#place('columnExpected', count * n)
    }
    const tileCount = count * this.#tiles[0] * this.#tiles[1]
    if (emit.tileSums !== undefined || emit.replica === true) this.#place('tileActual', tileCount)
    if (emit.tileSums !== undefined) this.#place('tileExpected', tileCount)
    if (emit.replica === true) this.#place('replicaExpected', tileCount)
    if (next !== undefined) this.#place('nextAt', count * down * next.classes * n)
    if (emit.rowStatistics === true) {
      this.#place('rowSum', count * m)
      this.#place('rowMin', count * m, 1)
      this.#place('rowMax', count * m, 1)
      if (!request.integer) this.#place('rowSquares', count * m)
    }
  }

  #place(name: ParamName, sums: number, width = this.#request.integer ? 1 : 2): void {
    this.#places[name] = this.#end
    this.#end += sums * width
  }

  /** Elements of the whole output. */
  get elements(): number {
    return this.#end
  }

  get params(): Params {
    const { next } = this.#request
    return { ...this.#places, groupsAcross: this.#across, groupsDown: this.#down, classes: next?.classes ?? 0 }
  }

  /** Reads everything that was emitted. */
  collect(words: Words): Omit<Product, 'output'> {
    const { sizes, emit, next, tile, integer } = this.#request
    const { count, m, n } = sizes
    const tiles = { tileRows: tile.rows, tileColumns: tile.columns, grid: this.#tiles }
    const tileCount = count * this.#tiles[0] * this.#tiles[1]
    const read = (name: ParamName, length: number): Numbers => this.#read(words, this.#places[name] as number, length)
    const rows =
      emit.rowSums === true || emit.total === true
        ? this.#reduce(words, 'rowActual', { items: count, parts: this.#across, length: m })
        : undefined
    return {
      ...(emit.rowSums === true && {
        rowSums: { actual: rows as Numbers, expected: read('rowExpected', count * m), ranges: 1, rangeColumns: n },
      }),
      ...(emit.columnSums === true && {
        columnSums: {
          actual: this.#reduce(words, 'columnActual', { items: count, parts: this.#down, length: n }),
          expected: read('columnExpected', count * n),
        },
      }),
      ...(emit.total === true && { total: this.#totals(rows as Numbers) }),
      ...(emit.tileSums !== undefined && {
        tileSums: { ...tiles, actual: read('tileActual', tileCount), expected: read('tileExpected', tileCount) },
      }),
      ...(emit.replica === true && {
        replica: { ...tiles, actual: read('tileActual', tileCount), expected: read('replicaExpected', tileCount) },
      }),
      ...(next !== undefined && { nextChecksum: this.#next(words, next) }),
      ...(emit.rowStatistics === true && {
        rowStatistics: {
          sum: Float64Array.from(read('rowSum', count * m)),
          min: this.#extrema(words, 'rowMin', Infinity),
          max: this.#extrema(words, 'rowMax', -Infinity),
          ...(!integer && { squares: Float64Array.from(read('rowSquares', count * m)) }),
        },
      }),
    }
  }

  #numbers(length: number): Numbers {
    return this.#request.integer ? new Int32Array(length) : new Float64Array(length)
  }

  /** The sum at an index: a float32 pair, or an integer. */
  #sum(words: Words, at: number): number {
    const high = words[at] as number
    // Beyond the finite numbers the second half means nothing.
    return this.#request.integer || !Number.isFinite(high) ? high : high + (words[at + 1] as number)
  }

  #read(words: Words, first: number, length: number): Numbers {
    const width = this.#request.integer ? 1 : 2
    const sums = this.#numbers(length)
    for (let i = 0; i < length; i++) sums[i] = this.#sum(words, first + i * width)
    return sums
  }

  /** Extrema of rows; `none` where rows have no elements. */
  #extrema(words: Words, name: ParamName, none: number): Float64Array {
    const { count, m, k } = this.#request.sizes
    const length = count * m
    if (k === 0) return new Float64Array(length).fill(none)
    const first = this.#places[name] as number
    return Float64Array.from(words.subarray(first, first + length))
  }

  /** Adds up vectors [items, parts, length] over their parts, in order. */
  #reduce(words: Words, name: ParamName, o: { items: number; parts: number; length: number }): Numbers {
    const width = this.#request.integer ? 1 : 2
    const sums = this.#numbers(o.items * o.length)
    let at = this.#places[name] as number
    for (let item = 0; item < o.items; item++)
      for (let part = 0; part < o.parts; part++)
        for (let i = item * o.length; i < (item + 1) * o.length; i++, at += width)
          sums[i] = (sums[i] as number) + this.#sum(words, at)
    return sums
  }

  #totals(rows: Numbers): Numbers {
    const { count, m } = this.#request.sizes
    const totals = this.#numbers(count)
    for (let item = 0; item < count; item++)
      for (let i = item * m; i < (item + 1) * m; i++) totals[item] = (totals[item] as number) + (rows[i] as number)
    return totals
  }

  /** Combines the sums of classes of rows into the vectors of the next checksum. */
  #next(words: Words, next: NextChecksumPlan): Tensor {
    const { sizes, sideBySide, integer } = this.#request
    const { count, n } = sizes
    const { classes, members, shape } = next
    const sums = this.#reduce(words, 'nextAt', { items: count, parts: this.#down, length: classes * n })
    const data = this.#numbers(shape.reduce((a, b) => a * b, 1))
    const width = shape[shape.length - 1] as number
    for (let item = 0; item < count; item++)
      members.forEach((seen, vector) => {
        const to = sideBySide ? vector * width + item * n : (shape.length === 2 ? item : 0) * width
        for (const member of seen)
          for (let j = 0; j < n; j++)
            data[to + j] = (data[to + j] as number) + (sums[(item * classes + member) * n + j] as number)
      })
    return { data, shape, dtype: integer ? 'int32' : 'float64' }
  }
}
