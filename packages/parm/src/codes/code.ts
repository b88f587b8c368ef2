// The interface of every code, and the ids of a group's units.
import type { NamedTensor, Quality } from '../named.ts'
import type { Preprocessings } from './preprocessed.ts'

/** What decoding gives: one list of output tensors a query, with its mark. */
export interface Decoded {
  readonly outputs: NamedTensor[][]
  readonly quality: Quality[]
  /** Units whose outputs did not fit the others and were left out, by codes that look for such. */
  readonly leftOut?: readonly number[]
}

/**
 * A code over a group of k queries: n units of inputs go to models, any large enough set of their outputs gives all k
 * answers. Units 0 .. k - 1 of a systematic code are the queries themselves.
 *
 * Shapes: a member is the list of a model's input tensors, the same names and shapes for every member.
 */
export interface Code {
  /** For manifests and metrics, such as 'sum'. Codes alike in name, k, n and parities' weights encode alike. */
  readonly name: string
  /** Queries in a group. */
  readonly k: number
  /** Units in a group, parities included. */
  readonly n: number
  readonly systematic: boolean
  /** Whether decoded answers are the model's own, as copies of a query are: never held back, never marked. */
  readonly exact?: boolean
  /** Fingerprint of the deployed model that the code was trained for: behind another its answers are wrong. */
  readonly baseFingerprint?: string
  /** What is made of members before they are encoded, as `withPreprocessing` says it. Absent: nothing. */
  readonly preprocessing?: Preprocessings
  /** What was made of inputs when the code was trained: with another, its answers are wrong. Absent: not known. */
  readonly trainedPreprocessing?: Preprocessings
  /** Inputs of all n units; queries are passed on, not copied. */
  encode(group: readonly (readonly NamedTensor[])[]): NamedTensor[][]
  /** Whether outputs of these units give all k answers. */
  canDecode(got: ReadonlySet<number>): boolean
  /** All k answers from the outputs of enough units. */
  decode(got: ReadonlyMap<number, readonly NamedTensor[]>): Decoded
  /** 'base', or the name of the parity model that runs this unit. */
  modelFor(slot: number): string
  /** What a parity unit's outputs should be: the queries' outputs times these, summed. Parity models are trained to it. */
  parityWeights?(slot: number): readonly number[]
  /** The code for a group of fewer members, when the parity models were trained on those too. */
  shorten?(size: number): Code | undefined
}

/**
 * Dense ids of a group's units: `group * n + slot`. With r = 1 every (k + 1)-th id is the parity's, as in the prototype.
 *
 * @see Parity Models (SOSP'19), section 4 and the artifact's frontend
 * @example
 * ```ts
 * unitId({ n: 3 }, { group: 1, slot: 2 }) // => 5
 * ```
 */
export function unitId(code: { readonly n: number }, unit: { readonly group: number; readonly slot: number }): number {
  return unit.group * code.n + unit.slot
}
