// What to encode, what to replicate, what to leave: the first decision of erasure-coded training.
import { FtError, assertInteger, assertNumber } from '@ft/core'
import { largestR } from '../codes/code.ts'
import { rowOptimizer, type OptimizerOptions } from '../shard/optimizers.ts'

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
  /** Most memory that replicas of a table may take, in multiples of what parity of the same table would; default 4. */
  readonly replicaAllowance?: number
}

export type Protection = 'encode' | 'replicate' | 'leave'

export interface ProtectedPart {
  readonly name: string
  readonly protection: Protection
  /** Bytes of the part itself, and of what protects it, counters included. */
  readonly bytes: number
  readonly redundantBytes: number
  /** Bytes that protecting it sends a step. */
  readonly trafficBytes: number
  readonly reason: string
}

export interface ProtectionChoice {
  readonly parts: readonly ProtectedPart[]
  readonly bytes: number
  readonly redundantBytes: number
  readonly trafficBytes: number
}

/** Words of a difference's head, and counters of a row. */
const headWords = 6

/**
 * Chooses how to protect each table and the dense network, and predicts memory and traffic.
 *
 * Encoding costs r / k of the memory and, of every updated row, r differences of all its words. A replica costs r times the
 * memory, and less travels for each update: the gradient, applied by each replica. Traffic alone would replicate everything and
 * memory alone nothing, so a table is replicated when at least half of its rows are updated a step and its replicas take at
 * most `replicaAllowance` times what its parity would; the dense network, of which every value changes every step, always.
 *
 * Source: the hybrid of coding and replication is ECRec's (PVLDB 16, 2023). Differs: tables are chosen by how hot they are and by
 * predicted memory instead of by kind of parameter; traffic is predicted, not weighed.
 *
 * @throws FtError `INVALID_ARGUMENT`
 * @example
 * ```ts
 * const { parts } = chooseProtection(
 *   [
 *     { name: 'users', rows: 1_000_000, d: 16, updates: 2_000 },
 *     { name: 'weekday', rows: 7, d: 16, updates: 7 },
 *   ],
 *   { k: 4, r: 1, servers: 5, dense: { parameters: 20_000 } },
 * )
 * parts.map(({ protection }) => protection) // => ['encode', 'replicate', 'replicate']
 * ```
 */
export function chooseProtection(tables: readonly ProtectableTable[], options: ChooseOptions): ProtectionChoice {
  const where = 'chooseProtection'
  const { k, r, servers, dense, replicaAllowance = 4 } = options
  assertInteger(k, { where, argument: 'k', min: 1, max: 255 })
  assertInteger(r, { where, argument: 'r', min: 1, max: largestR(k) })
  assertInteger(servers, { where, argument: 'servers', min: 1, max: 1024 })
  assertNumber(replicaAllowance, { where, argument: 'replicaAllowance', min: 0 })
  if (k + r > servers) {
    throw new FtError('INVALID_ARGUMENT', `${where}: k + r = ${k + r} needs as many servers, got ${servers}`, { k, r })
  }
  const optimizer = rowOptimizer(options.optimizer ?? { name: 'adagrad', learningRate: 0.01 })
  const parts = tables.map((table, i): ProtectedPart => {
    const at = (field: string) => ({ where, argument: `tables[${i}].${field}`, min: 0 })
    assertInteger(table.rows, { ...at('rows'), min: 1 })
    assertInteger(table.d, { ...at('d'), min: 1 })
    assertNumber(table.updates, at('updates'))
    const { name = `table ${i}`, rows, d, updates, expendable = false } = table
    const width = d + optimizer.stateWords(d)
    const bytes = rows * (width + 1) * 4
    if (expendable)
      return { name, protection: 'leave', bytes, redundantBytes: 0, trafficBytes: 0, reason: 'expendable' }
    const encoded = {
      redundantBytes: Math.ceil(rows / k) * r * (width + k) * 4,
      trafficBytes: updates * r * (width + headWords) * 4,
    }
    const replicated = { redundantBytes: r * bytes, trafficBytes: updates * r * (d + 1) * 4 }
    const affordable = replicated.redundantBytes <= replicaAllowance * encoded.redundantBytes
    const hot = updates >= rows / 2
    return affordable && hot
      ? {
          name,
          protection: 'replicate',
          bytes,
          ...replicated,
          reason: 'hot and affordable: half of its rows or more change every step',
        }
      : {
          name,
          protection: 'encode',
          bytes,
          ...encoded,
          reason: hot
            ? 'replicas would take too much memory'
            : 'few rows change a step: parity takes r / k of its memory',
        }
  })
  if (dense !== undefined) {
    assertInteger(dense.parameters, { where, argument: 'dense.parameters', min: 0 })
    const bytes = dense.parameters * (1 + (dense.stateValues ?? 1)) * 4
    parts.push({
      name: 'dense network',
      protection: 'replicate',
      bytes,
      redundantBytes: r * bytes,
      trafficBytes: r * dense.parameters * 4,
      reason: 'every value changes every step: parity would send as much and still have to be decoded',
    })
  }
  const total = (of: (part: ProtectedPart) => number): number => parts.reduce((sum, part) => sum + of(part), 0)
  return {
    parts,
    bytes: total(({ bytes }) => bytes),
    redundantBytes: total(({ redundantBytes }) => redundantBytes),
    trafficBytes: total(({ trafficBytes }) => trafficBytes),
  }
}
