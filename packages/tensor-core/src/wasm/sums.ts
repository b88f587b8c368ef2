// Room in wasm memory for the sums that a product emits, and the way from there into its result.
import type { CheckSums, Emit, Product, RowStatistics, Tensor, TileSums } from '@ft/core'
import {
  descriptorBytes,
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
  fieldRowSum,
  fieldTileActual,
  fieldTileExpected,
} from '../../assembly/fields.ts'
import type { Sizes } from '../problem/matmul.ts'
import type { NextChecksumPlan } from '../problem/next-checksum.ts'
import { forkRanges, stripsOf, type Kernels } from './kernels.ts'
import { bytesAt, doublesAt, floatsAt, wordsAt, type Staging } from './staging.ts'
import type { PackedWeights } from './weights.ts'

type Numbers = Float64Array | Int32Array

export interface SumsRequest extends Sizes {
  readonly kernels: Kernels
  readonly staging: Staging
  readonly weights: PackedWeights
  readonly emit: Emit
  readonly next: NextChecksumPlan | undefined
  /** Blocks of rows. */
  readonly blocks: number
}

export interface Sums {
  /** Flags of the descriptor. */
  readonly flags: number
  /** Clears the sums and tells the descriptor at an address where they lie. */
  begin(descriptor: number): void
  /** Takes the sums of product `item`, which is done. */
  collect(item: number): void
  /** All of them. */
  result(): Partial<Product>
}

/** One buffer of sums: its place among the descriptor's words and its size. */
interface Room {
  readonly field: number
  readonly bytes: number
  readonly name: string
}

export function createSums(request: SumsRequest): Sums {
  const { kernels, staging, weights, emit, next, count, m, n, k, blocks } = request
  const { runtime } = kernels
  const { arithmetic, panels, checksumBytes } = weights
  const { sumBytes, tileRows, tileColumns, integer } = arithmetic
  const columns = panels * tileColumns
  const strips = stripsOf(arithmetic, n)
  const tileGrid = [Math.ceil(m / tileRows), Math.ceil(n / tileColumns)] as const
  const tiles = tileGrid[0] * panels
  const tileChecks = emit.tileSums !== undefined || emit.replica === true
  const rowActual = emit.rowSums === true || emit.total === true
  const classes = next?.classes ?? 0

  const flags =
    (emit.rowSums === true ? emitRowExpected : 0) |
    (rowActual ? emitRowActual : 0) |
    (emit.rowStatistics === true ? emitStatistics : 0) |
    (emit.columnSums === true ? emitColumnOfA | emitColumnActual : 0) |
    (next === undefined ? 0 : emitNext) |
    (emit.tileSums === 'one-sided' ? emitOneSided : 0) |
    (emit.tileSums === 'two-sided' ? emitTwoSided : 0) |
    (emit.replica === true ? emitReplica : 0)

  const rooms: Room[] = []
  const room = (wanted: boolean, name: string, field: number, bytes: number): void => {
    if (wanted) rooms.push({ name, field, bytes })
  }
  room(rowActual, 'row sums', fieldRowActual, strips * m * sumBytes)
  room(emit.rowSums === true, 'expected row sums', fieldRowExpected, m * sumBytes)
  room(emit.rowStatistics === true, 'sums of A', fieldRowSum, m * 8)
  room(emit.rowStatistics === true, 'minima of A', fieldRowMin, m * 4)
  room(emit.rowStatistics === true, 'maxima of A', fieldRowMax, m * 4)
  room(emit.columnSums === true, 'columns of A', fieldColumnOfA, blocks * checksumBytes)
  room(emit.columnSums === true, 'column sums', fieldColumnActual, blocks * columns * sumBytes)
  room(next !== undefined, 'next checksum', fieldNext, blocks * classes * columns * sumBytes)
  room(tileChecks, 'tile sums', fieldTileActual, tiles * sumBytes)
  room(emit.tileSums !== undefined, 'expected tile sums', fieldTileExpected, tiles * sumBytes)
  room(emit.replica === true, 'replicas', fieldReplicaExpected, tiles * sumBytes)

  const numbers = (size: number): Numbers => (integer ? new Int32Array(size) : new Float64Array(size))
  const view = (address: number, length: number): Numbers =>
    integer ? wordsAt(runtime, address, length) : doublesAt(runtime, address, length)
  const at = new Map<number, number>()
  const addressOfField = (field: number): number => at.get(field) as number

  const rows = emit.rowSums === true ? check(numbers, count * m) : undefined
  const columnSums = emit.columnSums === true ? check(numbers, count * n) : undefined
  const total = emit.total === true ? numbers(count) : undefined
  const perItem = tileGrid[0] * tileGrid[1]
  const tileSums = emit.tileSums === undefined ? undefined : check(numbers, count * perItem)
  const replica = emit.replica === true ? check(numbers, count * perItem) : undefined
  const statistics =
    emit.rowStatistics === true
      ? { sum: new Float64Array(count * m), min: new Float32Array(count * m), max: new Float32Array(count * m) }
      : undefined
  const nextSums = next === undefined ? undefined : numbers(next.shape.reduce((a, b) => a * b, 1))

  /** Sum of `parts` vectors that lie one after the other: in their order, whoever computed them. */
  function reduce(field: number, parts: number, length: number, into: Numbers): void {
    const values = view(addressOfField(field), parts * length)
    for (let part = 0; part < parts; part++)
      for (let i = 0; i < length; i++) into[i] = (into[i] as number) + (values[part * length + i] as number)
  }

  function collectColumns(item: number): void {
    if (columnSums === undefined) return
    const actual = numbers(columns)
    reduce(fieldColumnActual, blocks, columns, actual)
    columnSums.actual.set(actual.subarray(0, n), item * n)
    const length = checksumBytes / sumBytes
    const sums = numbers(length)
    reduce(fieldColumnOfA, blocks, length, sums)
    const sumsAt = staging.reserve('column checksum', checksumBytes)
    const expectedAt = staging.reserve('expected column sums', columns * sumBytes)
    view(sumsAt, length).set(sums)
    const packed = weights.panelsAddress + (weights.count === 1 ? 0 : item) * weights.itemBytes
    forkRanges(kernels, {
      fn: integer ? 'expectIntegerColumns' : 'expectFloatColumns',
      total: panels,
      least: Math.max(1, Math.ceil(65_536 / (k * tileColumns + 1))),
      args: (from, to) => [packed, panels, weights.steps, sumsAt, expectedAt, from, to],
    })
    columnSums.expected.set(view(expectedAt, n), item * n)
  }

  /** Class sums of one product, combined into the vectors of the next checksum. */
  function collectNext(item: number): void {
    if (next === undefined || nextSums === undefined) return
    const sums = numbers(classes * columns)
    reduce(fieldNext, blocks, classes * columns, sums)
    const width = next.shape[next.shape.length - 1] as number
    const batched = next.classOfRow === undefined && width === n
    next.members.forEach((members, vector) => {
      const to = batched ? (nextSums.length > n ? item * n : 0) : vector * width + item * n
      for (const member of members)
        for (let j = 0; j < n; j++)
          nextSums[to + j] = (nextSums[to + j] as number) + (sums[member * columns + j] as number)
    })
  }

  function collectTiles(item: number): void {
    const grid = (field: number, into: Numbers): void => {
      const values = view(addressOfField(field), tiles)
      for (let row = 0; row < tileGrid[0]; row++)
        into.set(values.subarray(row * panels, row * panels + tileGrid[1]), item * perItem + row * tileGrid[1])
    }
    if (tileSums !== undefined) {
      grid(fieldTileActual, tileSums.actual)
      grid(fieldTileExpected, tileSums.expected)
    }
    if (replica !== undefined) {
      grid(fieldTileActual, replica.actual)
      grid(fieldReplicaExpected, replica.expected)
    }
  }

  function collectRows(item: number): void {
    if (rows !== undefined || total !== undefined) {
      const own = rows === undefined ? numbers(m) : rows.actual.subarray(item * m, (item + 1) * m)
      reduce(fieldRowActual, strips, m, own)
      if (total !== undefined) for (let i = 0; i < m; i++) total[item] = (total[item] as number) + (own[i] as number)
    }
    rows?.expected.set(view(addressOfField(fieldRowExpected), m), item * m)
    if (statistics === undefined) return
    statistics.sum.set(doublesAt(runtime, addressOfField(fieldRowSum), m), item * m)
    statistics.min.set(floatsAt(runtime, addressOfField(fieldRowMin), m), item * m)
    statistics.max.set(floatsAt(runtime, addressOfField(fieldRowMax), m), item * m)
    if (k > 0) return
    // A product with k = 0 was computed with one step of zeros.
    statistics.min.fill(Infinity)
    statistics.max.fill(-Infinity)
  }

  return {
    flags,
    begin(descriptor) {
      for (const { name, field, bytes } of rooms) {
        const address = staging.reserve(name, bytes)
        bytesAt(runtime, address, bytes).fill(0)
        at.set(field, address)
      }
      const classOfRow = next?.classOfRow
      const classesAt = classOfRow === undefined ? 0 : staging.reserve('classes', classOfRow.byteLength)
      if (classOfRow !== undefined) wordsAt(runtime, classesAt, m).set(classOfRow)
      at.set(fieldClassOfRow, classesAt)
      at.set(fieldClasses, classes)
      // All rooms are there: memory grows no more, so the view stays good.
      const words = wordsAt(runtime, descriptor, descriptorBytes / 4)
      for (const [field, value] of at) words[field / 4] = value
    },
    collect(item) {
      collectRows(item)
      collectColumns(item)
      collectNext(item)
      collectTiles(item)
    },
    result() {
      const grid = { tileRows, tileColumns, grid: tileGrid }
      return {
        ...(rows !== undefined && { rowSums: rows }),
        ...(columnSums !== undefined && { columnSums }),
        ...(total !== undefined && { total }),
        ...(tileSums !== undefined && { tileSums: { ...grid, ...tileSums } satisfies TileSums }),
        ...(replica !== undefined && { replica: { ...grid, ...replica } satisfies TileSums }),
        ...(statistics !== undefined && { rowStatistics: statistics satisfies RowStatistics }),
        ...(next !== undefined && nextSums !== undefined && { nextChecksum: checksumTensor(nextSums, next.shape) }),
      }
    },
  }
}

function check(numbers: (size: number) => Numbers, size: number): CheckSums & { actual: Numbers; expected: Numbers } {
  return { actual: numbers(size), expected: numbers(size) }
}

function checksumTensor(data: Numbers, shape: readonly number[]): Tensor {
  return { data, shape, dtype: data instanceof Int32Array ? 'int32' : 'float64' }
}
