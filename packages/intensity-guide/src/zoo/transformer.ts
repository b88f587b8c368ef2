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
  /** Mixture of experts: how many feed-forward blocks there are, and how many each token visits. Default one block. */
  readonly experts?: { readonly count: number; readonly perToken: number }
  /** Whether every token is wanted and none is decoded (BERT): no logits. Default false. */
  readonly encoder?: boolean
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
  const dense: Dense = (id, n, k, { m = batch * tokens, count = 1 } = {}) =>
    void layers.push({ id, m, n, k, count, dtype, op: { kind: 'matmul', batch: 1 } })
  const perHead = (id: string, n: number, k: number) =>
    layers.push({ id, m: tokens, n, k, count: 1, dtype, op: { kind: 'matmul', batch: batch * shape.heads } })
  for (let layer = 0; layer < shape.layers; layer++) {
    const id = (part: string) => `layer${layer}.${part}`
    dense(id('qkv'), shape.heads * head + 2 * keyValue, shape.hidden)
    perHead(id('scores'), context, head)
    perHead(id('values'), head, context)
    dense(id('out'), shape.hidden, shape.heads * head)
    feedForward(id, dense, { shape, tokens: batch * tokens })
  }
  // Only the last token's logits are wanted, in prefill too.
  if (!shape.encoder) dense('logits', shape.vocabulary, shape.hidden, { m: batch })
  return layers
}

type Dense = (id: string, n: number, k: number, rows?: { m?: number; count?: number }) => void

/** Experts share the tokens evenly, as they are trained to; with fewer visits than experts the others stand idle. */
function feedForward(
  id: (part: string) => string,
  dense: Dense,
  { shape, tokens }: { shape: TransformerShape; tokens: number },
): void {
  const { hidden, intermediate, gated = false, experts } = shape
  const visits = tokens * (experts?.perToken ?? 1)
  const count = Math.min(experts?.count ?? 1, visits)
  const rows = { m: Math.ceil(visits / count), count }
  if (experts) dense(id('router'), experts.count, hidden)
  dense(id('up'), (gated ? 2 : 1) * intermediate, hidden, rows)
  dense(id('down'), hidden, intermediate, rows)
}
