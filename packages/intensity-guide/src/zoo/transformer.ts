// Decoder-only transformers as lists of products. Prefill works on the whole prompt, decoding on one token that
// attends to all before it: the same network on the two sides of most devices' ridge.
import type { DType, LinearLayer } from '@ft/core'

export interface TransformerShape {
  readonly hidden: number
  readonly layers: number
  readonly heads: number
  /** Key and value heads; fewer than `heads` under grouped-query attention. Default `heads`. */
  readonly keyValueHeads?: number
  readonly intermediate: number
  readonly vocabulary: number
  /** Width of one head. Default `hidden / heads`. */
  readonly headWidth?: number
  /** Whether the feed-forward block has a gate beside its up-projection (SwiGLU). Default false. */
  readonly gated?: boolean
}

/** A transformer of GPT-2's smallest shape. */
export const smallTransformer: TransformerShape = {
  hidden: 768,
  layers: 12,
  heads: 12,
  intermediate: 3072,
  vocabulary: 50_257,
}

/**
 * Lists the products of one forward pass.
 *
 * @param options.tokens - tokens worked on per sequence: the prompt's length for prefill, 1 for decoding
 * @param options.context - tokens attended to; default `tokens`
 */
export function transformerLayers(
  shape: TransformerShape,
  options: { batch: number; tokens: number; context?: number; dtype: DType },
): LinearLayer[] {
  const { batch, tokens, dtype, context = tokens } = options
  const head = shape.headWidth ?? shape.hidden / shape.heads
  const keyValue = (shape.keyValueHeads ?? shape.heads) * head
  const layers: LinearLayer[] = []
  const dense = (id: string, n: number, k: number, m = batch * tokens) =>
    layers.push({ id, m, n, k, count: 1, dtype, op: { kind: 'matmul', batch: 1 } })
  const perHead = (id: string, n: number, k: number) =>
    layers.push({ id, m: tokens, n, k, count: 1, dtype, op: { kind: 'matmul', batch: batch * shape.heads } })
  for (let layer = 0; layer < shape.layers; layer++) {
    const id = (part: string) => `layer${layer}.${part}`
    dense(id('qkv'), shape.heads * head + 2 * keyValue, shape.hidden)
    perHead(id('scores'), context, head)
    perHead(id('values'), head, context)
    dense(id('out'), shape.hidden, shape.heads * head)
    dense(id('up'), (shape.gated ? 2 : 1) * shape.intermediate, shape.hidden)
    dense(id('down'), shape.hidden, shape.intermediate)
  }
  // Only the last token's logits are wanted, in prefill too.
  dense('logits', shape.vocabulary, shape.hidden, batch)
  return layers
}
