// Rebuilding one row of a stripe from the others (the decode of ECRM), at versions that fit each other.
import type { ErasureCode, Unit } from '../codes/code.ts'
import type { Delta } from './messages.ts'
import type { Tag } from './tags.ts'

/** A row of a stripe as its server sent it; `words` undefined when the server has lost it too. */
export interface Member {
  readonly position: number
  readonly words: Uint32Array | undefined
  /** Of a data row. */
  readonly version: number
  /** Of a parity row: the version of each data row that it contains. */
  readonly seen: Uint32Array
}

/** All that was heard about a stripe. */
export interface StripeView {
  readonly members: readonly Member[]
  readonly deltas: readonly Delta[]
  readonly tags: readonly Tag[]
}

export type Rebuilt =
  /** The row, with its version (data) or the versions it contains (parity). */
  | {
      readonly kind: 'row'
      readonly words: Uint32Array
      readonly version: number
      readonly seen: readonly number[]
      /** Differences of this row that a parity still lacks, in order: whoever installs the row sends them again. */
      readonly lacking: readonly { readonly parity: number; readonly delta: Delta }[]
      /** Parities that lack some which nobody has: they must be encoded anew. */
      readonly stale: readonly number[]
    }
  /** The members were read at versions that no known difference connects: read again. */
  | { readonly kind: 'again' }
  /** A parity row is encoded from its data rows, and one of them is lost: it comes back first. */
  | { readonly kind: 'wait' }
  /** More rows are lost than the code can give back. `version` is one that no parity contains. */
  | { readonly kind: 'unrecoverable'; readonly version: number }

/**
 * Rebuilds the row at `position`.
 *
 * A parity row contains each data row at some version. Differences on their way are added to the copy of the parity row
 * until it contains every living row at the version read, and every lost row at the latest version that any parity has
 * (hazards H3 and H4 of the system): then, and only then, the code's equations hold.
 *
 * @param checkVersions - false decodes what was read as it is: for the test that shows what the check prevents
 */
export function rebuild(
  code: ErasureCode,
  view: StripeView,
  { position, checkVersions }: { position: number; checkVersions: boolean },
): Rebuilt {
  const { k } = code
  const data = view.members.filter((member) => member.position < k && member.words !== undefined)
  if (position >= k) return encode(code, data, position)
  const parities = view.members.filter((member) => member.position >= k && member.words !== undefined)
  const lostData = Array.from({ length: k }, (_, i) => i).filter((i) => !data.some((member) => member.position === i))

  const target = Array.from({ length: k }, (_, i) => {
    const living = data.find((member) => member.position === i)
    return living?.version ?? Math.max(0, ...parities.map((parity) => parity.seen[i]!))
  })
  if (lostData.length > parities.length) return { kind: 'unrecoverable', version: (target[position] ?? 0) + 1 }

  const units: Unit[] = new Array<Unit>(k + code.r).fill(undefined)
  for (const member of data) units[member.position] = member.words
  let fit = 0
  for (const parity of parities) {
    const copy = parity.words!.slice()
    if (checkVersions && !bringTo(target, { parity, copy, code, deltas: view.deltas })) continue
    units[parity.position] = copy
    fit++
  }
  if (fit < lostData.length) return { kind: 'again' }

  const lacking: { parity: number; delta: Delta }[] = []
  const stale: number[] = []
  for (const parity of parities) {
    const [from, to] = [parity.seen[position]!, target[position]!]
    const steps = chain(view.deltas, position, { from, to })
    if ((steps.at(-1)?.version ?? from) !== to) stale.push(parity.position)
    else lacking.push(...steps.map((delta) => ({ parity: parity.position, delta })))
  }
  return { kind: 'row', words: code.reconstruct(units, position), version: target[position]!, seen: [], lacking, stale }
}

/**
 * The common case of a decode, in place: nothing is in flight, one data row is lost, and all that live agree on versions.
 *
 * @param row - where the row's words go
 * @returns its version, or -1 when the case is not so plain and nothing was written
 */
export function decodeInto(
  code: ErasureCode,
  { members }: StripeView,
  { position, row }: { position: number; row: Uint32Array },
): number {
  const { k } = code
  let first: Member | undefined
  let living = 0
  for (const member of members) {
    if (member.words === undefined) continue
    if (member.position < k) living++
    else if (first === undefined || member.position < first.position) first = member
  }
  if (first === undefined || living !== k - 1) return -1
  for (const member of members) {
    if (member.words === undefined) continue
    if (member.position < k) {
      if (first.seen[member.position] !== member.version) return -1
    } else for (let i = 0; i < k; i++) if (member.seen[i] !== first.seen[i]) return -1
  }
  const parity = first.position - k
  row.set(first.words!)
  for (const member of members)
    if (member.words !== undefined && member.position < k)
      code.accumulate(row, member.words, { parity, position: member.position })
  code.divide(row, { parity, position })
  return first.seen[position]!
}

/**
 * A parity row from its data rows. Were it made with a row that is itself decoded at this moment, the two could settle on
 * different versions of it.
 */
function encode(code: ErasureCode, data: readonly Member[], position: number): Rebuilt {
  const { k } = code
  if (data.length < k) return { kind: 'wait' }
  const words = new Uint32Array(data[0]!.words!.length)
  const seen = new Array<number>(k).fill(0)
  for (const member of data) {
    code.accumulate(words, member.words!, { parity: position - k, position: member.position })
    seen[member.position] = member.version
  }
  return { kind: 'row', words, version: 0, seen, lacking: [], stale: [] }
}

/** Adds differences to a copy of a parity row until it contains the target versions; false when they do not lead there. */
function bringTo(
  target: readonly number[],
  o: { parity: Member; copy: Uint32Array; code: ErasureCode; deltas: readonly Delta[] },
): boolean {
  return target.every((version, i) => {
    const from = o.parity.seen[i]!
    const steps = chain(o.deltas, i, { from, to: version })
    for (const delta of steps)
      o.code.accumulate(o.copy, delta.words, { parity: o.parity.position - o.code.k, position: i })
    return (steps.at(-1)?.version ?? from) === version
  })
}

/** Differences of a data row that lead from one version towards another. */
function chain(deltas: readonly Delta[], position: number, { from, to }: { from: number; to: number }): Delta[] {
  const steps: Delta[] = []
  let at = from
  while (at < to) {
    const step = deltas.find((delta) => delta.position === position && delta.base === at && delta.version > at)
    if (step === undefined || step.version > to) break
    steps.push(step)
    at = step.version
  }
  return steps
}
