// From ids of a batch to rows and back: every row is pulled and pushed once, however often the batch names it, and the rows of a
// bag become one embedding.
import { doublesOf, freshArray, type Scratch } from './scratch.ts'
import { rowsAt, wordsOf } from '../shard/words.ts'

export interface LookUp {
  /** Distinct ids in order of first mention. */
  readonly ids: Uint32Array
  /** For each mention, where its id is in `ids`. */
  readonly at: Uint32Array
}

/** How mentions make up bags: mention i of bag b, `offsets[b] <= i < offsets[b + 1]`, counts `scales[i]` times, left out once. */
export interface Bags {
  /** Bags and one more, from 0 to the number of mentions. */
  readonly offsets: Uint32Array
  readonly scales?: Float32Array | undefined
}

/** Of embeddings: their width, and which mentions each is made of. */
export interface Pooling {
  readonly d: number
  readonly bags?: Bags | undefined
}

/** @param scratch - for the table that finds ids again */
export function distinct(mentions: Uint32Array, scratch: Scratch = freshArray): LookUp {
  const at = new Uint32Array(mentions.length)
  const ids = new Uint32Array(mentions.length)
  let count = 0
  // A table with open addressing, at most half full: place + 1 of the id that was put there, 0 where none was.
  const bits = Math.max(4, 33 - Math.clz32(mentions.length))
  const places = wordsOf(scratch('places', 2 ** bits)).fill(0)
  const mask = places.length - 1
  for (let i = 0; i < mentions.length; i++) {
    const id = mentions[i]!
    // Multiplicative hashing by the golden section (Knuth 1973, section 6.4).
    let slot = Math.imul(id, 0x9e3779b1) >>> (32 - bits)
    let place = places[slot]!
    while (place !== 0 && ids[place - 1] !== id) place = places[(slot = (slot + 1) & mask)]!
    if (place === 0) {
      ids[count] = id
      places[slot] = place = ++count
    }
    at[i] = place - 1
  }
  return { ids: ids.slice(0, count), at }
}

/**
 * Rows `[ids, d]` summed to embeddings `[bags, d]`, zeros for an empty bag; without bags every mention is one of its own. Sums are
 * float64, in order of mention: the same bits every time, and of one mention that counts once the row's own. With a scratch they are
 * good until the next call.
 */
export function pool(
  rows: Float32Array,
  { at }: LookUp,
  { d, bags }: Pooling,
  scratch: Scratch = freshArray,
): Float32Array {
  if (bags === undefined) return rowsAt(rows, at, d, scratch('embeddings', at.length * d))
  const { offsets, scales } = bags
  const count = offsets.length - 1
  const out = scratch('embeddings', count * d)
  const sums = new Float64Array(d)
  for (let bag = 0; bag < count; bag++) {
    const [start, end] = [offsets[bag]!, offsets[bag + 1]!]
    sums.fill(0)
    for (let i = start; i < end; i++) {
      const from = at[i]! * d
      const scale = scales === undefined ? 1 : scales[i]!
      for (let j = 0; j < d; j++) sums[j]! += scale * rows[from + j]!
    }
    for (let j = 0; j < d; j++) out[bag * d + j] = sums[j]!
  }
  return out
}

/**
 * Gradients of embeddings `[bags, d]` summed to gradients of rows `[ids, d]`: the transpose of `pool`. Sums are float64, in order of
 * mention: the same bits every time, however often a bag or a batch repeats an id. With a scratch they are good until the next call.
 */
export function scatterSum(
  gradients: Float32Array,
  { ids, at }: LookUp,
  { d, bags }: Pooling,
  scratch: Scratch = freshArray,
): Float32Array {
  const sums = doublesOf(scratch, 'sums', ids.length * d).fill(0)
  if (bags === undefined) {
    for (let i = 0; i < at.length; i++) addRow(sums, at[i]! * d, gradients, i * d, d)
    return singles(sums, scratch)
  }
  const { offsets, scales } = bags
  for (let bag = 0; bag + 1 < offsets.length; bag++) {
    const end = offsets[bag + 1]!
    for (let i = offsets[bag]!; i < end; i++) {
      const to = at[i]! * d
      const scale = scales === undefined ? 1 : scales[i]!
      for (let j = 0; j < d; j++) sums[to + j]! += scale * gradients[bag * d + j]!
    }
  }
  return singles(sums, scratch)
}

function singles(sums: Float64Array, scratch: Scratch): Float32Array {
  const out = scratch('rows.gradient', sums.length)
  out.set(sums)
  return out
}

/** Four values a turn, as in shard/words.ts. */
function addRow(sums: Float64Array, to: number, values: Float32Array, from: number, d: number): void {
  const whole = d - (d % 4)
  let j = 0
  for (; j < whole; j += 4) {
    sums[to + j]! += values[from + j]!
    sums[to + j + 1]! += values[from + j + 1]!
    sums[to + j + 2]! += values[from + j + 2]!
    sums[to + j + 3]! += values[from + j + 3]!
  }
  for (; j < d; j++) sums[to + j]! += values[from + j]!
}
