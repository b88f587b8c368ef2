// What an owner leaves on nodes so that its death loses nothing: with every update the differences that it makes and the push
// it is of, beside the rows; with every batch of differences which rows' they are, beside the parity. An owner that takes over
// sends differences again, which count once, and knows which rows contain the latest push. With the push after that it takes the
// notes of those before it away: they were of one that was answered.

/** A part of an update that is in the rows. */
export interface PushNote {
  /** The trainer's number of it. */
  readonly push: number
  readonly locals: readonly number[]
  readonly bases: readonly number[]
  readonly versions: readonly number[]
  /** `[locals.length, width]`: bits before XOR bits after; empty where there is no parity. */
  readonly deltas: Uint32Array
}

/** Rows of a server whose differences of a push were given to the parity here. */
export interface ParityNote {
  readonly server: number
  readonly push: number
  readonly locals: readonly number[]
}

const fixed = 2

export function packPushNote({ push, locals, bases, versions, deltas }: PushNote): Uint32Array {
  const count = locals.length
  const out = new Uint32Array(fixed + 3 * count + deltas.length)
  out.set([push, count])
  out.set(locals, fixed)
  out.set(bases, fixed + count)
  out.set(versions, fixed + 2 * count)
  out.set(deltas, fixed + 3 * count)
  return out
}

export function unpackPushNote(words: Uint32Array): PushNote {
  const [push, count] = [words[0]!, words[1]!]
  const list = (i: number): number[] => Array.from(words.subarray(fixed + i * count, fixed + (i + 1) * count))
  return { push, locals: list(0), bases: list(1), versions: list(2), deltas: words.slice(fixed + 3 * count) }
}

export const packParityNote = ({ server, push, locals }: ParityNote): Uint32Array =>
  Uint32Array.of(server, push, ...locals)

export function unpackParityNote(words: Uint32Array): ParityNote {
  return { server: words[0]!, push: words[1]!, locals: Array.from(words.subarray(2)) }
}

/** The notes of the latest push among some; none of earlier ones: those were answered. */
export function latestOf<T extends { readonly push: number }>(notes: readonly T[]): T[] {
  const latest = notes.reduce((most, { push }) => Math.max(most, push), 0)
  return notes.filter(({ push }) => push === latest)
}
