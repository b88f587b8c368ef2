// The checks: both sides of each scheme's sums against their thresholds.
import { applyEffect } from '@ft/core/faults'
import {
  assertOneOf,
  type CheckSums,
  type Emit,
  type FaultEffect,
  type ProtectionScheme,
  type RowSums,
  type TileSums,
} from '@ft/core'
import type { Region } from './report.ts'
import type { ThresholdPolicy } from './thresholds/policy.ts'
import { isExact, thresholdsOf, type Judged } from './thresholds/thresholdsOf.ts'

type Wish = 'rowSums' | 'columnSums' | 'total' | 'replica'

/** All flags in one order: engines read them at many places, and fastest where most wishes are objects of one form. */
function wished(...wishes: readonly Wish[]): Emit {
  return Object.freeze({
    rowSums: wishes.includes('rowSums'),
    columnSums: wishes.includes('columnSums'),
    total: wishes.includes('total'),
    replica: wishes.includes('replica'),
    rowStatistics: true,
  })
}

const emits: Readonly<Record<ProtectionScheme, Emit>> = {
  none: Object.freeze({ ...wished(), rowStatistics: false }),
  global: wished('total'),
  row: wished('rowSums'),
  column: wished('columnSums'),
  'row-column': wished('rowSums', 'columnSums'),
  'thread-one-sided': Object.freeze({ ...wished(), tileSums: 'one-sided' } as const),
  'thread-two-sided': Object.freeze({ ...wished(), tileSums: 'two-sided' } as const),
  replication: wished('replica'),
}

/**
 * What a scheme needs from the engine besides the product, and what its caller wants of it anyway.
 *
 * @throws FtError `INVALID_ARGUMENT` for an unknown scheme: its products would pass without a check
 */
export function emitFor(scheme: ProtectionScheme, own?: Emit): Emit {
  if (!Object.hasOwn(emits, scheme))
    assertOneOf(scheme, { where: 'kernels', argument: 'options.scheme', values: Object.keys(emits) })
  const needed = emits[scheme]
  if (own === undefined) return needed
  const all: { -readonly [Key in keyof Emit]: Emit[Key] } = { ...own }
  for (const flag of flags) if (needed[flag] === true) all[flag] = true
  if (needed.tileSums !== undefined) all.tileSums = needed.tileSums
  return all
}

/** Where replicas are exact: no threshold, and so no statistics. */
export const replicaAlone: Emit = Object.freeze({ ...wished('replica'), rowStatistics: false })

const flags = ['rowSums', 'columnSums', 'total', 'replica', 'rowStatistics'] as const

export interface Alarm {
  readonly item: number
  readonly region: Region
  readonly residual: number
  readonly threshold: number
}

export interface Judgement {
  readonly alarms: readonly Alarm[]
  readonly checks: number
  readonly policy: ThresholdPolicy
  readonly largest: number
  /** Smallest change of one output that is surely found. */
  readonly smallest: number
}

const unchecked: Judgement = {
  alarms: [],
  checks: 0,
  policy: { kind: 'hard', kappa: 0, falseAlarmProbability: 0 },
  largest: 0,
  smallest: Infinity,
}

/**
 * Whether a check passes. NaN fails, and so does infinity: thresholds that rest on stored outputs are infinite where one of
 * those is; others are where a product is so long that its rounding has no bound, from 8 million steps of k: nothing is known
 * of such a product, which fails.
 */
export function passes(residual: number, threshold: number): boolean {
  return residual <= threshold && threshold < Infinity
}

/** Compares every check. */
export function judge(input: Judged): Judgement {
  const { scheme, product } = input
  if (scheme === 'none') return unchecked
  lent = 0
  const thresholds = thresholdsOf(input, lend)
  const found: Found = { input, alarms: [], checks: 0, largest: 0, struck: false }
  if (product.rowSums) compare(found, product.rowSums, thresholds.rows(), rowPlace)
  if (product.columnSums) compare(found, product.columnSums, thresholds.columns(), columnPlace)
  if (product.total && input.expectedTotal) {
    const sums = { actual: product.total, expected: input.expectedTotal }
    compare(found, sums, thresholds.totals(), productPlace)
  }
  if (product.tileSums) compare(found, product.tileSums, thresholds.tiles(product.tileSums), tilePlace)
  if (product.replica) compare(found, product.replica, thresholds.tiles(product.replica), tilePlace)
  const { alarms, checks, largest } = found
  return {
    alarms: scheme === 'row-column' ? intersect(alarms) : alarms,
    checks,
    policy: thresholds.policy,
    largest,
    smallest: smallestOf(input, largest),
  }
}

/** Numbers that limits are lent, until the next product is judged: an array for each would be the collector's work. */
let limitsRoom = new Float64Array(1 << 10)
let lent = 0
/** Limits for which an array of their own weighs nothing beside the product. */
const OWN = 1 << 16

function lend(length: number): Float64Array {
  if (length > OWN) return new Float64Array(length)
  if (lent + length > limitsRoom.length) {
    limitsRoom = new Float64Array(2 * (lent + length))
    lent = 0
  }
  return limitsRoom.subarray(lent, (lent += length))
}

/** Integers differ by 1 at least; of sums that are equal when clean, whatever float64 holds of a change is seen. */
function smallestOf({ product, rounding }: Judged, largest: number): number {
  if (rounding === 'exact') return 1
  if (!isExact(product)) return 2 * largest
  let size = 0
  for (const sum of product.replica?.actual ?? []) size = Math.max(size, Math.abs(sum))
  return size * 2 ** -52
}

/** What the comparisons of one product have found. */
interface Found {
  readonly input: Judged
  readonly alarms: Alarm[]
  checks: number
  /** Largest threshold. */
  largest: number
  /** Whether the threshold that a campaign strikes has been. */
  struck: boolean
}

/** Where the check at an index of these sums is. A function, not a closure: asked for alarms alone, and most products have none. */
type Place<Sums> = (sums: Sums, index: number, input: Judged) => Pick<Alarm, 'item' | 'region'>

/** Makes the first of the limits that are compared wrong, as float32 holds it. */
function strike(found: Found, effect: FaultEffect, limits: Float64Array): Float64Array {
  if (found.struck || limits.length === 0) return limits
  const wrong = Float64Array.from(limits)
  wrong[0] = applyEffect(effect, { value: limits[0] as number, dtype: 'float32' })
  found.struck = true
  return wrong
}

/** The loop that every check passes through: plain, since a closure or a tuple a row costs as much as the row of a small network. */
function compare<Sums extends CheckSums>(found: Found, sums: Sums, clean: Float64Array, place: Place<Sums>): void {
  const { input, alarms } = found
  const limits = input.thresholdFault === undefined ? clean : strike(found, input.thresholdFault, clean)
  const { actual, expected } = sums
  const checks = actual.length
  let largest = found.largest
  for (let at = 0; at < checks; at++) {
    const residual = Math.abs((actual[at] as number) - (expected[at] as number))
    const threshold = limits[at] as number
    if (threshold > largest) largest = threshold
    if (!passes(residual, threshold)) alarms.push({ ...place(sums, at, input), residual, threshold })
  }
  found.checks += checks
  found.largest = largest
}

const rowPlace: Place<RowSums> = ({ ranges, rangeColumns }, at, { items, m, n }) => {
  const [range, row] = [Math.floor(at / (items * m)), at % m]
  const columns = [range * rangeColumns, Math.min(n, (range + 1) * rangeColumns)] as const
  return { item: Math.floor(at / m) % items, region: { kind: 'row', row, ...(ranges > 1 && { columns }) } }
}

const columnPlace: Place<CheckSums> = (_, at, { n }) => ({
  item: Math.floor(at / n),
  region: { kind: 'column', column: at % n },
})

const productPlace: Place<CheckSums> = (_, item) => ({ item, region: { kind: 'product' } })

const tilePlace: Place<TileSums> = ({ grid, tileRows, tileColumns }, at, { m, n }) => {
  const [down, across] = grid
  const tile = at % (down * across)
  const [r, c] = [Math.floor(tile / across), tile % across]
  const rows = [r * tileRows, Math.min(m, (r + 1) * tileRows)] as const
  const columns = [c * tileColumns, Math.min(n, (c + 1) * tileColumns)] as const
  return { item: Math.floor(at / (down * across)), region: { kind: 'tile', rows, columns } }
}

/** A row and a column that alarm together name an element; what crosses nothing stays as it is. */
export function intersect(alarms: readonly Alarm[]): Alarm[] {
  const rows = alarms.filter((alarm) => alarm.region.kind === 'row')
  const columns = alarms.filter((alarm) => alarm.region.kind === 'column')
  const crossed = rows.flatMap((row) =>
    columns.flatMap((column) => {
      const region = crossing(row, column)
      return region === undefined ? [] : [{ ...row, region }]
    }),
  )
  const loneRows = rows.filter((row) => !columns.some((column) => crossing(row, column)))
  const loneColumns = columns.filter((column) => !rows.some((row) => crossing(row, column)))
  return [...crossed, ...loneRows, ...loneColumns]
}

/** Where a row, or a range of it, meets a column of the same item. */
function crossing(row: Alarm, column: Alarm): Region | undefined {
  if (row.item !== column.item || row.region.kind !== 'row' || column.region.kind !== 'column') return undefined
  const [first, last] = row.region.columns ?? [0, Infinity]
  const at = column.region.column
  return at >= first && at < last ? { kind: 'element', row: row.region.row, column: at } : undefined
}
