// From ids of a batch to rows and back: every row is pulled and pushed once, however often the batch names it.

export interface LookUp {
  /** Distinct ids in order of first mention. */
  readonly ids: Uint32Array
  /** For each mention, where its id is in `ids`. */
  readonly at: Uint32Array
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

/** Rows `[ids, d]` spread to mentions `[mentions, d]`. */
export function gather(rows: Float32Array, { at }: LookUp, d: number): Float32Array {
  const out = new Float32Array(at.length * d)
  for (let i = 0; i < at.length; i++) {
    const from = at[i]! * d
    for (let j = 0; j < d; j++) out[i * d + j] = rows[from + j]!
  }
  return out
}

/** Gradients of mentions summed to gradients of rows. Sums are float64, in order of mention: the same bits every time. */
export function scatterSum(gradients: Float32Array, { ids, at }: LookUp, d: number): Float32Array {
  const sums = new Float64Array(ids.length * d)
  for (let i = 0; i < at.length; i++) {
    const to = at[i]! * d
    for (let j = 0; j < d; j++) sums[to + j]! += gradients[i * d + j]!
  }
  return Float32Array.from(sums)
}
