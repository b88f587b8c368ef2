// A version of what a trainer must have again, as words: a checksum, a head (text), arrays, and the push that follows.
import { packText, unpackText } from './shard/text.ts'
import { wordsOf } from './shard/words.ts'

/** What a trainer keeps at the shards: what it cannot compute again from its data. */
export interface KeptVersion {
  /** Steps done. */
  readonly step: number
  /** Parameters of the dense network and their optimizer state. */
  readonly arrays: readonly Float32Array[]
  /** What the trainer wants to know of the run besides. */
  readonly about?: string
  /**
   * The push that makes the rows those of the step, written ahead: it must be the next one that is sent. Whoever takes the version up
   * has it applied, once. Rows that move to another number of servers take with them what was pushed alone.
   */
  readonly push?: { readonly ids: Uint32Array; readonly gradients: Float32Array }
}

/** With the numbers that each server's latest push had before. */
interface Numbered extends KeptVersion {
  readonly numbers: readonly number[]
}

interface Head {
  readonly step: number
  readonly about: string
  readonly lengths: readonly number[]
  /** Of the push's ids; -1: no push. */
  readonly ids: number
  readonly numbers: readonly number[]
}

/** @param d - values of a gradient */
export function packVersion({ step, arrays, about = '', push }: KeptVersion, d: number, numbers: readonly number[]) {
  const lengths = arrays.map(({ length }) => length)
  const head: Head = { step, about, lengths, ids: push?.ids.length ?? -1, numbers }
  const text = packText(JSON.stringify(head))
  const total = lengths.reduce((sum, length) => sum + length, 2 + text.length) + (push?.ids.length ?? 0) * (1 + d)
  const words = new Uint32Array(total)
  words[1] = text.length
  words.set(text, 2)
  let at = 2 + text.length
  for (const array of [...arrays.map(wordsOf), ...(push ? [push.ids, wordsOf(push.gradients)] : [])]) {
    words.set(array, at)
    at += array.length
  }
  words[0] = checksum(words)
  return words
}

/** Undefined when a word has changed. */
export function unpackVersion(words: Uint32Array, d: number): Numbered | undefined {
  if (words.length < 2 || words[0] !== checksum(words)) return undefined
  let at = 2 + words[1]!
  const { step, about, lengths, ids, numbers } = JSON.parse(unpackText(words.subarray(2, at))) as Head
  const take = (length: number): Uint32Array<ArrayBuffer> => words.slice(at, (at += length))
  const floats = (length: number): Float32Array => new Float32Array(take(length).buffer)
  const arrays = lengths.map(floats)
  const push = ids < 0 ? {} : { push: { ids: take(ids), gradients: floats(ids * d) } }
  return { step, about, arrays, numbers, ...push }
}

/**
 * Of all words but the first. Each word's step is a bijection of the sum so far: a change of any one word changes the result.
 * Source: the mixing steps of MurmurHash3 (Appleby, public domain).
 */
function checksum(words: Uint32Array): number {
  let sum = words.length
  for (let i = 1; i < words.length; i++) {
    let word = Math.imul(words[i]!, 0xcc9e2d51)
    word = Math.imul((word << 15) | (word >>> 17), 0x1b873593)
    sum ^= word
    sum = (Math.imul((sum << 13) | (sum >>> 19), 5) + 0xe6546b64) | 0
  }
  return sum >>> 0
}
