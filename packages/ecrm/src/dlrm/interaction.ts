// The dot interaction of DLRM: products of all pairs of a sample's vectors, z0 and one for each table.

/** Pairs (i, j) with j < i, row by row: the strictly lower triangle. */
export function pairCount(vectors: number): number {
  return (vectors * (vectors - 1)) / 2
}

export interface InteractionSizes {
  readonly batch: number
  /** Vectors a sample: 1 + tables. */
  readonly vectors: number
  readonly d: number
}

/**
 * Writes each sample's z0 and pair products: `[batch, d + pairs]`.
 *
 * @param z0 - output of the bottom network, `[batch, d]`
 * @param embeddings - `[batch, tables, d]`
 */
export function interact(
  { batch, vectors, d }: InteractionSizes,
  { z0, embeddings }: { z0: Float32Array; embeddings: Float32Array },
  out: Float32Array,
): void {
  const width = d + pairCount(vectors)
  const stack = new Float32Array(vectors * d)
  for (let b = 0; b < batch; b++) {
    stack.set(z0.subarray(b * d, (b + 1) * d))
    stack.set(embeddings.subarray(b * (vectors - 1) * d, (b + 1) * (vectors - 1) * d), d)
    let at = b * width
    for (let j = 0; j < d; j++) out[at++] = stack[j]!
    for (let i = 1; i < vectors; i++) {
      for (let other = 0; other < i; other++) {
        let sum = 0
        const [x, y] = [i * d, other * d]
        for (let j = 0; j < d; j++) sum += stack[x + j]! * stack[y + j]!
        out[at++] = sum
      }
    }
  }
}

/**
 * Gradients of z0 and embeddings from those of `interact`'s output.
 *
 * @param gradient - `[batch, d + pairs]`
 */
export function interactBackward(
  { batch, vectors, d }: InteractionSizes,
  { z0, embeddings, gradient }: { z0: Float32Array; embeddings: Float32Array; gradient: Float32Array },
  out: { z0: Float32Array; embeddings: Float32Array },
): void {
  const width = d + pairCount(vectors)
  const stack = new Float32Array(vectors * d)
  const sums = new Float64Array(vectors * d)
  for (let b = 0; b < batch; b++) {
    stack.set(z0.subarray(b * d, (b + 1) * d))
    stack.set(embeddings.subarray(b * (vectors - 1) * d, (b + 1) * (vectors - 1) * d), d)
    let at = b * width
    sums.fill(0)
    for (let j = 0; j < d; j++) sums[j] = gradient[at++]!
    for (let i = 1; i < vectors; i++) {
      for (let other = 0; other < i; other++) {
        const g = gradient[at++]!
        const [x, y] = [i * d, other * d]
        for (let j = 0; j < d; j++) {
          sums[x + j]! += g * stack[y + j]!
          sums[y + j]! += g * stack[x + j]!
        }
      }
    }
    out.z0.set(sums.subarray(0, d), b * d)
    out.embeddings.set(sums.subarray(d), b * (vectors - 1) * d)
  }
}
