// Addition and subtraction, with one or several parities (Parity Models, sections 3.2 and 3.5). The parity model j is
// trained to give the weighted sum of the outputs from the weighted sum of the inputs; decoding solves for the rest.
import { FtError, assertInteger, invalidArgument } from '@ft/core'
import { assertAlike, assertSummable, type NamedTensor } from '../named.ts'
import type { Code, Decoded } from './code.ts'
import { invert } from './invert.ts'

export interface SumOptions {
  /** Queries in a group; at least 2 but for short groups. */
  readonly k: number
  /** Name of the parity model. Default 'parity'. */
  readonly parityModel?: string
  /** Whether that model was trained on groups of 1 .. k - 1 members too. Default false. */
  readonly shortGroups?: boolean
}

export interface WeightedOptions {
  readonly k: number
  /** Parities: as many losses as a group can bear. */
  readonly r: number
  /** Default 'parity-0', 'parity-1', ... */
  readonly parityModels?: readonly string[]
  /** r rows of k weights. Default `(i + 1) ** j`: the first row is all ones. */
  readonly coefficients?: readonly (readonly number[])[]
}

/**
 * The addition code: one parity, the sum of k queries; a lost output is the parity's minus the others.
 *
 * Cost: k additions an input element; k an output element.
 *
 * @see Parity Models (SOSP'19), section 3.2
 * @example
 * ```ts
 * const code = sum({ k: 2 })
 * const query = (...data: number[]) => [{ name: 'x', data: Float32Array.from(data), shape: [1, 2], dtype: 'float32' as const }]
 * const units = code.encode([query(1, 2), query(10, 20)])
 * units[2]?.[0]?.data // => [11, 22]
 * ```
 */
export function sum({ k, parityModel = 'parity', shortGroups = false }: SumOptions): Code {
  assertInteger(k, { where: 'sum', argument: 'k', min: 1, max: 64 })
  const code = weightedCode({ name: 'sum', k, rows: [Array<number>(k).fill(1)], models: [parityModel] })
  if (!shortGroups) return code
  return {
    ...code,
    shorten: (size) => (size >= 1 && size < k ? sum({ k: size, parityModel, shortGroups }) : undefined),
  }
}

/**
 * r weighted sums: any k of the k + r outputs give all answers.
 *
 * Guarantees: every square part of the default weights is invertible (Vandermonde with positive nodes); given weights are
 * checked for it. Rounding grows with their condition: keep k + r small.
 *
 * @throws FtError `INVALID_ARGUMENT` when some k of the k + r outputs would not suffice
 */
export function weighted(options: WeightedOptions): Code {
  const { k, r } = options
  assertInteger(k, { where: 'weighted', argument: 'k', min: 1, max: 16 })
  assertInteger(r, { where: 'weighted', argument: 'r', min: 1, max: 8 })
  const rows =
    options.coefficients ?? Array.from({ length: r }, (_, j) => Array.from({ length: k }, (_, i) => (i + 1) ** j))
  const models = options.parityModels ?? Array.from({ length: r }, (_, j) => `parity-${j}`)
  if (models.length !== r) throw invalidArgument({ where: 'weighted', argument: 'parityModels' }, `${r} names`, models)
  if (rows.length !== r || rows.some((row) => row.length !== k || !row.every(Number.isFinite)))
    throw invalidArgument({ where: 'weighted', argument: 'coefficients' }, `${r} rows of ${k} numbers`, rows)
  assertEveryMinor(rows, k)
  return weightedCode({ name: 'weighted', k, rows, models })
}

interface Parts {
  readonly name: string
  readonly k: number
  readonly rows: readonly (readonly number[])[]
  readonly models: readonly string[]
  /** Differs between codes: how the parity inputs come from the queries. */
  readonly mix?: (group: readonly (readonly NamedTensor[])[], weights: readonly number[]) => NamedTensor[]
}

/** A systematic code whose parities' outputs are weighted sums of the queries' outputs, however its inputs are mixed. */
export function weightedCode({ name, k, rows, models, mix = weightedSum }: Parts): Code {
  const n = k + rows.length
  const missingOf = (has: (slot: number) => boolean) => range(k).filter((slot) => !has(slot))
  const paritiesOf = (has: (slot: number) => boolean) => range(rows.length).filter((j) => has(k + j))
  return {
    name,
    k,
    n,
    systematic: true,
    encode(group) {
      if (group.length !== k) throw invalidArgument({ where: name, argument: 'group' }, `${k} members`, group.length)
      const first = group[0] as readonly NamedTensor[]
      for (const member of group) {
        assertAlike(first, member, name)
        assertSummable(member, name)
      }
      return [...group.map((member) => [...member]), ...rows.map((weights) => mix(group, weights))]
    },
    canDecode(got) {
      let spare = 0
      for (let slot = 0; slot < k; slot++) if (!got.has(slot)) spare--
      for (let slot = k; slot < n; slot++) if (got.has(slot)) spare++
      return spare >= 0
    },
    decode(got): Decoded {
      const has = (slot: number) => got.has(slot)
      const missing = missingOf(has)
      const parities = paritiesOf(has).slice(0, missing.length)
      if (parities.length < missing.length)
        throw new FtError(
          'UNRECOVERABLE',
          `${name}: decode must have at least ${k} of ${n} outputs, got units ${[...got.keys()].join(', ')}`,
          { k, n, got: [...got.keys()] },
        )
      const outputs = range(k).map((slot) => [...(got.get(slot) ?? [])])
      const quality = range(k).map((slot) => (has(slot) ? ('exact' as const) : ('reconstructed' as const)))
      if (missing.length === 0) return { outputs, quality }

      // What each parity says about the missing outputs together, then the system restricted to them
      const weightsOf = (j: number) => rows[j] as readonly number[]
      const rest = parities.map((j) => subtractKnown({ got, k, weights: weightsOf(j), parity: k + j, where: name }))
      const inverse = invert(parities.map((j) => missing.map((slot) => weightsOf(j)[slot] as number)))
      missing.forEach((slot, row) => {
        outputs[slot] = combine(rest, inverse[row] as readonly number[], got.get(k + (parities[0] as number)) ?? [])
      })
      return { outputs, quality }
    },
    parityWeights: (slot) => rows[slot - k] as readonly number[],
    modelFor: (slot) => (slot < k ? 'base' : (models[slot - k] as string)),
  }
}

/** The weighted sum of the members' tensors, added in the order of the members in float64 and rounded once. */
export function weightedSum(group: readonly (readonly NamedTensor[])[], weights: readonly number[]): NamedTensor[] {
  return (group[0] as readonly NamedTensor[]).map((first, t) => {
    const sums = zeros(first.data.length)
    group.forEach((member, i) =>
      addScaled(sums, { data: (member[t] as NamedTensor).data, weight: weights[i] as number }),
    )
    return { name: first.name, data: new Float32Array(sums), shape: first.shape, dtype: 'float32' }
  })
}

let kept = new Float64Array(1024)

/** Room for sums, good until the next call: one of its own for each parity keeps the garbage collector busy. */
function zeros(length: number): Float64Array {
  if (length > MOST_KEPT) return new Float64Array(length)
  if (kept.length < length) kept = new Float64Array(length)
  return kept.subarray(0, length).fill(0)
}

const MOST_KEPT = 1 << 16

/** Almost every tensor is float32: a loop of its own for those stays fast whatever else passes through here. */
function addScaled(sums: Float64Array, { data, weight }: { data: ArrayLike<number>; weight: number }): void {
  if (data instanceof Float32Array) {
    for (let e = 0; e < sums.length; e++) sums[e] = (sums[e] as number) + weight * (data[e] as number)
    return
  }
  for (let e = 0; e < sums.length; e++) sums[e] = (sums[e] as number) + weight * (data[e] as number)
}

interface Known {
  readonly got: ReadonlyMap<number, readonly NamedTensor[]>
  readonly k: number
  readonly weights: readonly number[]
  readonly parity: number
  readonly where: string
}

function subtractKnown({ got, k, weights, parity, where }: Known): Float64Array[] {
  const sums = got.get(parity) as readonly NamedTensor[]
  const rest = sums.map(({ data }) => new Float64Array(data))
  for (let slot = 0; slot < k; slot++) {
    const known = got.get(slot)
    if (!known) continue
    assertAlike(sums, known, where)
    const weight = weights[slot] as number
    known.forEach(({ data }, t) => addScaled(rest[t] as Float64Array, { data, weight: -weight }))
  }
  return rest
}

function combine(
  rest: readonly Float64Array[][],
  weights: readonly number[],
  like: readonly NamedTensor[],
): NamedTensor[] {
  return like.map(({ name, shape }, t) => {
    const data = new Float32Array((rest[0]?.[t] as Float64Array).length)
    for (let e = 0; e < data.length; e++) {
      let value = 0
      for (let j = 0; j < rest.length; j++) value += (weights[j] as number) * (rest[j]?.[t]?.[e] as number)
      data[e] = value
    }
    return { name, data, shape, dtype: 'float32' }
  })
}

function assertEveryMinor(rows: readonly (readonly number[])[], k: number): void {
  for (let size = 1; size <= Math.min(rows.length, k); size++)
    for (const chosen of subsets(rows.length, size))
      for (const columns of subsets(k, size)) {
        try {
          invert(chosen.map((j) => columns.map((i) => rows[j]?.[i] as number)))
        } catch (cause) {
          const message = `weighted: \`coefficients\` must have only invertible square parts, got a singular one at rows ${chosen.join(', ')} and columns ${columns.join(', ')}`
          throw new FtError('INVALID_ARGUMENT', message, { rows: chosen, columns }, { cause })
        }
      }
}

function* subsets(n: number, size: number, from = 0): Generator<number[]> {
  if (size === 0) {
    yield []
    return
  }
  for (let first = from; first <= n - size; first++)
    for (const rest of subsets(n, size - 1, first + 1)) yield [first, ...rest]
}

const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i)
