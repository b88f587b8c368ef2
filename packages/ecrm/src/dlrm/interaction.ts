// The dot interaction of DLRM: products of all pairs of a sample's vectors, z0 and one for each table. Computed by
// assembly/interaction.ts.
import { throughMemory } from './kernelMemory.ts'

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
 * Writes each sample's z0 and pair products: `[batch, d + pairs]`. Sums are float32, in an order that depends on d alone.
 *
 * @param z0 - output of the bottom network, `[batch, d]`
 * @param embeddings - `[batch, tables, d]`
 */
export function interact(
  { batch, vectors, d }: InteractionSizes,
  { z0, embeddings }: { z0: Float32Array; embeddings: Float32Array },
  out: Float32Array,
): void {
  throughMemory('interact', [batch, vectors, d], { inputs: [z0, embeddings], outputs: [out] })
}

/**
 * Gradients of z0 and embeddings from those of `interact`'s output: of a vector the sum of all others, each times the gradient of the
 * pair, in the order of the vectors.
 *
 * @param gradient - `[batch, d + pairs]`
 */
export function interactBackward(
  { batch, vectors, d }: InteractionSizes,
  { z0, embeddings, gradient }: { z0: Float32Array; embeddings: Float32Array; gradient: Float32Array },
  out: { z0: Float32Array; embeddings: Float32Array },
): void {
  const inputs = [z0, embeddings, gradient]
  throughMemory('interactBackward', [batch, vectors, d], { inputs, outputs: [out.z0, out.embeddings] })
}
