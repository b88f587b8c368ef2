// What to encode, what to replicate, what to leave: the first decision of erasure-coded training.
import { FtError, assertInteger, assertNumber } from '@ft/core'
import { largestR } from '../codes/code.ts'
import { rowOptimizer, type OptimizerOptions } from '../shard/optimizers.ts'
import type { Protection } from '../tables/places.ts'

export interface ProtectableTable {
  readonly name?: string
  readonly rows: number
  /** Values a row. */
  readonly d: number
  /** Rows of this table updated a step, distinct ones. */
  readonly updates: number
  /** Whether losing it does no harm: it can be computed again. Default false. */
  readonly expendable?: boolean
}

export interface ChooseOptions {
  readonly k: number
  readonly r: number
  readonly servers: number
  /** Of the rows; default Adagrad. */
  readonly optimizer?: OptimizerOptions
  /** Parameters of the dense network, each updated every step, and optimizer state values a parameter; default 0 and 1. */
  readonly dense?: { readonly parameters: number; readonly stateValues?: number }
  /** Steps between versions that r + 1 servers keep, as `replicateEvery` of `train`; 0: none, where trainer and shards share their fate. Default 1. */
  readonly replicateEvery?: number
  /** Most bytes of replicated tables, state included, at the trainer and at each server that keeps versions; default 4 MiB. */
  readonly replicaBytes?: number
}

export interface ProtectedPart {
  readonly name: string
  readonly protection: Protection
  /** Bytes of the part itself, and of what protects it at the servers, counters included. */
  readonly bytes: number
  readonly redundantBytes: number
  /** Bytes that protecting it sends a step. */
  readonly trafficBytes: number
  readonly reason: string
}

export interface ProtectionChoice {
  readonly parts: readonly ProtectedPart[]
  /** The tables as `openShards` takes them, in order. */
  readonly tables: readonly { readonly rows: number; readonly protection: Protection }[]
  readonly bytes: number
  readonly redundantBytes: number
  readonly trafficBytes: number
}

/** Words of a difference's head. */
const headWords = 6

/**
 * Chooses how to protect each table and the dense network, and predicts memory and traffic.
 *
 * Encoding costs r / k of the memory and, of every updated row, r differences of all its words; the row is pulled and its gradient pushed
 * besides. A replicated table is whole at the trainer: its rows travel nowhere, but every version that r + 1 servers keep has all of it. So
 * small tables are replicated, smallest first up to `replicaBytes`, where no more bytes travel than by encoding: with a version a step
 * those of which nearly every row changes, without versions all. The largest table is always encoded; the dense network, of which
 * every value changes every step, never.
 *
 * Source: the hybrid of coding and replication is ECRec's (PVLDB 16, 2023). Differs: tables are chosen by predicted traffic and memory
 * instead of by kind of parameter, and replicas are copies of the trainer's, not servers that apply gradients.
 *
 * @throws FtError `INVALID_ARGUMENT`
 * @example
 * ```ts
 * const { parts, tables } = chooseProtection(
 *   [
 *     { name: 'users', rows: 1_000_000, d: 16, updates: 2_000 },
 *     { name: 'weekday', rows: 7, d: 16, updates: 7 },
 *   ],
 *   { k: 4, r: 1, servers: 5, dense: { parameters: 20_000 } },
 * )
 * parts.map(({ protection }) => protection) // => ['encode', 'replicate', 'replicate']
 * tables[1] // => { rows: 7, protection: 'replicate' }
 * ```
 */
export function chooseProtection(tables: readonly ProtectableTable[], options: ChooseOptions): ProtectionChoice {
  const where = 'chooseProtection'
  const { k, r, servers, dense, replicateEvery = 1, replicaBytes = 4 * 2 ** 20 } = options
  assertInteger(k, { where, argument: 'k', min: 1, max: 255 })
  assertInteger(r, { where, argument: 'r', min: 1, max: largestR(k) })
  assertInteger(servers, { where, argument: 'servers', min: 1, max: 1024 })
  assertInteger(replicateEvery, { where, argument: 'replicateEvery', min: 0 })
  assertNumber(replicaBytes, { where, argument: 'replicaBytes', min: 0 })
  if (k + r > servers) {
    throw new FtError('INVALID_ARGUMENT', `${where}: k + r = ${k + r} needs as many servers, got ${servers}`, { k, r })
  }
  tables.forEach(checkTable)
  const optimizer = rowOptimizer(options.optimizer ?? { name: 'adagrad', learningRate: 0.01 })
  const copies = replicateEvery === 0 ? 0 : r + 1
  const versionsAStep = replicateEvery === 0 ? 0 : 1 / replicateEvery
  const costs = tables.map(({ rows, d, updates }) => {
    const width = d + optimizer.stateWords(d)
    const bytes = rows * (width + 1) * 4
    const gradients = updates * (d + 1) * 4
    // With a version a step the push that follows is in it, whichever table its rows are of.
    const ahead = replicateEvery === 1 ? copies * gradients : 0
    const parity = { bytes: Math.ceil(rows / k) * r * (width + k) * 4, traffic: updates * r * (width + headWords) * 4 }
    const encode = { redundantBytes: parity.bytes + ahead, trafficBytes: parity.traffic + ahead }
    const whole = copies * bytes
    const replicate = { redundantBytes: whole + ahead, trafficBytes: whole * versionsAStep + ahead }
    // An encoded row is pulled and pushed besides.
    const saves = replicate.trafficBytes <= encode.trafficBytes + 2 * gradients
    return { bytes, encode, replicate, leave: { redundantBytes: ahead, trafficBytes: ahead }, saves }
  })
  const expendable = (i: number): boolean => tables[i]!.expendable === true
  /** Of those that are to be kept. */
  const largest = costs.reduce(
    (at, { bytes }, i) => (expendable(i) || (at >= 0 && bytes <= costs[at]!.bytes) ? at : i),
    -1,
  )
  const replicated = new Set<number>()
  let left = replicaBytes
  for (const i of costs.map((_, i) => i).toSorted((a, b) => costs[a]!.bytes - costs[b]!.bytes)) {
    const { bytes, saves } = costs[i]!
    if (i === largest || expendable(i) || !saves || bytes > left) continue
    replicated.add(i)
    left -= bytes
  }
  const parts = tables.map(({ name }, i): ProtectedPart => {
    const { bytes, encode, replicate, leave, saves } = costs[i]!
    const part = { name: name ?? `table ${i}`, bytes }
    if (expendable(i)) return { ...part, protection: 'leave', ...leave, reason: 'expendable' }
    if (replicated.has(i))
      return { ...part, protection: 'replicate', ...replicate, reason: 'small, and less travels than by encoding' }
    const reason =
      i === largest
        ? 'the largest table'
        : saves
          ? 'too large for a copy beside those of smaller ones'
          : 'few rows change a step: versions of the whole table would send more'
    return { ...part, protection: 'encode', ...encode, reason }
  })
  const held = parts.map(({ protection }, i) => ({ rows: tables[i]!.rows, protection }))
  if (dense !== undefined) {
    assertInteger(dense.parameters, { where, argument: 'dense.parameters', min: 0 })
    const bytes = dense.parameters * (1 + (dense.stateValues ?? 1)) * 4
    parts.push({
      name: 'dense network',
      protection: 'replicate',
      bytes,
      redundantBytes: copies * bytes,
      trafficBytes: copies * bytes * versionsAStep,
      reason: 'every value changes every step: parity would send as much and still have to be decoded',
    })
  }
  const total = (of: (part: ProtectedPart) => number): number => parts.reduce((sum, part) => sum + of(part), 0)
  return {
    parts,
    tables: held,
    bytes: total(({ bytes }) => bytes),
    redundantBytes: total(({ redundantBytes }) => redundantBytes),
    trafficBytes: total(({ trafficBytes }) => trafficBytes),
  }
}

function checkTable({ rows, d, updates }: ProtectableTable, i: number): void {
  const at = (field: string) => ({ where: 'chooseProtection', argument: `tables[${i}].${field}`, min: 0 })
  assertInteger(rows, { ...at('rows'), min: 1 })
  assertInteger(d, { ...at('d'), min: 1 })
  assertNumber(updates, at('updates'))
}
