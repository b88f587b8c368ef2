// Addition and subtraction, with one or several parities (Parity Models, sections 3.2 and 3.5). The parity model j is
// trained to give the weighted sum of the outputs from the weighted sum of the inputs; decoding solves for the rest.
import { FtError, assertInteger, invalidArgument } from '@ft/core'
import { assertAlike, assertSummable, type NamedTensor, type Quality } from '../named.ts'
import type { Code, Decoded } from './code.ts'
import { invert } from './invert.ts'
import { subsets } from './subsets.ts'

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

/** How the missing outputs come from those that are there. */
interface Plan {
  /** Units whose outputs are used. */
  readonly used: readonly number[]
  /** Each missing output with the weights of the used ones. */
  readonly lost: readonly { readonly slot: number; readonly weights: readonly number[] }[]
}

const MOST_PLANS = 1024

/** A systematic code whose parities' outputs are weighted sums of the queries' outputs, however its inputs are mixed. */
export function weightedCode({ name, k, rows, models, mix = weightedSum }: Parts): Code {
  const n = k + rows.length
  const plans = new Map<number, Plan>()

  /** Known for the patterns that have come before, as far as there are names for them. */
  function planOf(got: ReadonlyMap<number, unknown>): Plan {
    if (n > 32) return makePlan(got)
    let pattern = 0
    for (const unit of got.keys()) pattern |= 1 << unit
    const known = plans.get(pattern)
    if (known) return known
    if (plans.size >= MOST_PLANS) plans.clear()
    const plan = makePlan(got)
    plans.set(pattern, plan)
    return plan
  }

  /** The parities used, restricted to the missing outputs, are solved for them: each is a weighted sum of what came. */
  function makePlan(got: ReadonlyMap<number, unknown>): Plan {
    const known = range(k).filter((slot) => got.has(slot))
    const missing = range(k).filter((slot) => !got.has(slot))
    const parities = range(rows.length)
      .filter((j) => got.has(k + j))
      .slice(0, missing.length)
    if (parities.length < missing.length)
      throw new FtError(
        'UNRECOVERABLE',
        `${name}: decode must have at least ${k} of ${n} outputs, got units ${[...got.keys()].join(', ')}`,
        { k, n, got: [...got.keys()] },
      )
    const weightOf = (j: number, slot: number) => rows[j]?.[slot] as number
    const inverse = missing.length === 0 ? [] : invert(parities.map((j) => missing.map((slot) => weightOf(j, slot))))
    return {
      used: [...parities.map((j) => k + j), ...known],
      lost: missing.map((slot, row) => {
        const solved = inverse[row] as readonly number[]
        const rest = known.map((other) =>
          parities.reduce((sum, j, at) => sum - (solved[at] as number) * weightOf(j, other), 0),
        )
        return { slot, weights: [...solved, ...rest] }
      }),
    }
  }

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
      const { used, lost } = planOf(got)
      const outputs = range(k).map((slot) => [...(got.get(slot) ?? [])])
      const quality = new Array<Quality>(k).fill('exact')
      if (lost.length === 0) return { outputs, quality }
      const came = used.map((unit) => got.get(unit) as readonly NamedTensor[])
      for (const other of came) assertAlike(came[0] as readonly NamedTensor[], other, name)
      for (const { slot, weights } of lost) {
        outputs[slot] = weightedSum(came, weights)
        quality[slot] = 'reconstructed'
      }
      return { outputs, quality }
    },
    parityWeights: (slot) => rows[slot - k] as readonly number[],
    modelFor: (slot) => (slot < k ? 'base' : (models[slot - k] as string)),
  }
}

/** The weighted sum of the members' tensors, added in the order of the members in float64 and rounded once. */
export function weightedSum(group: readonly (readonly NamedTensor[])[], weights: readonly number[]): NamedTensor[] {
  return (group[0] as readonly NamedTensor[]).map((first, t) => {
    const members = group.map((member) => (member[t] as NamedTensor).data)
    const data = new Float32Array(first.data.length)
    addWeighted(data, members, weights)
    return { name: first.name, data, shape: first.shape, dtype: 'float32' }
  })
}

/** Elements at a time whose sums fit the processor's first cache, whatever the tensor's size. */
const BLOCK = 1024
const sums = new Float64Array(BLOCK)

function addWeighted(out: Float32Array, members: readonly ArrayLike<number>[], weights: readonly number[]): void {
  const [a, b] = members
  // Two at a time is what most groups are, and needs no sums kept between members
  if (members.length === 2 && a instanceof Float32Array && b instanceof Float32Array)
    return addTwo(out, { a, b, ofA: weights[0] as number, ofB: weights[1] as number })
  for (let from = 0; from < out.length; from += BLOCK) {
    const length = Math.min(BLOCK, out.length - from)
    for (let i = 0; i < members.length; i++)
      addScaled(members[i] as ArrayLike<number>, { from, length, weight: weights[i] as number, first: i === 0 })
    for (let e = 0; e < length; e++) out[from + e] = sums[e] as number
  }
}

interface Two {
  readonly a: Float32Array
  readonly b: Float32Array
  readonly ofA: number
  readonly ofB: number
}

function addTwo(out: Float32Array, { a, b, ofA, ofB }: Two): void {
  for (let e = 0; e < out.length; e++) out[e] = ofA * (a[e] as number) + ofB * (b[e] as number)
}

interface Span {
  readonly from: number
  readonly length: number
  readonly weight: number
  /** Starts the sums anew. */
  readonly first: boolean
}

/** Almost every tensor is float32: a loop of its own for those stays fast whatever else passes through here. */
function addScaled(data: ArrayLike<number>, { from, length, weight, first }: Span): void {
  if (data instanceof Float32Array) {
    if (first) for (let e = 0; e < length; e++) sums[e] = weight * (data[from + e] as number)
    else for (let e = 0; e < length; e++) sums[e] = (sums[e] as number) + weight * (data[from + e] as number)
    return
  }
  for (let e = 0; e < length; e++) sums[e] = (first ? 0 : (sums[e] as number)) + weight * (data[from + e] as number)
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

const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i)
