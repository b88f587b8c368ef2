// From ids of a batch to rows and back: every row is pulled and pushed once, however often the batch names it, and the rows of a
// bag become one embedding.

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

export function distinct(mentions: Uint32Array): LookUp {
  const places = new Map<number, number>()
  const at = new Uint32Array(mentions.length)
  for (let i = 0; i < mentions.length; i++) {
    const id = mentions[i]!
    let place = places.get(id)
    if (place === undefined) places.set(id, (place = places.size))
    at[i] = place
  }
  return { ids: Uint32Array.from(places.keys()), at }
}

/**
 * Rows `[ids, d]` summed to embeddings `[bags, d]`, zeros for an empty bag; without bags every mention is one of its own. Sums are
 * float64, in order of mention: the same bits every time, and of one mention that counts once the row's own.
 */
export function pool(rows: Float32Array, { at }: LookUp, { d, bags }: Pooling): Float32Array {
  if (bags === undefined) return gather(rows, at, d)
  const { offsets, scales } = bags
  const count = offsets.length - 1
  const out = new Float32Array(count * d)
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
 * mention: the same bits every time, however often a bag or a batch repeats an id.
 */
export function scatterSum(gradients: Float32Array, { ids, at }: LookUp, { d, bags }: Pooling): Float32Array {
  const sums = new Float64Array(ids.length * d)
  if (bags === undefined) {
    for (let i = 0; i < at.length; i++) {
      const to = at[i]! * d
      for (let j = 0; j < d; j++) sums[to + j]! += gradients[i * d + j]!
    }
    return Float32Array.from(sums)
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
  return Float32Array.from(sums)
}

function gather(rows: Float32Array, at: Uint32Array, d: number): Float32Array {
  const out = new Float32Array(at.length * d)
  for (let i = 0; i < at.length; i++) {
    const from = at[i]! * d
    for (let j = 0; j < d; j++) out[i * d + j] = rows[from + j]!
  }
  return out
}
