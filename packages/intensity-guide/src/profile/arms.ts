// What the two ways of profiling share: which shapes there are, which arms each has, and how arms are drawn.
import type { LayerRunner, LinearLayer, ProtectionScheme } from '@ft/core'
import { bytesPerElement } from '@ft/core/formats'
import type { Random } from '@ft/core/random'
import { shapeKey, type Arm } from './profile.ts'

/** Whether each layer gets its activation checksum from the layer before. */
export function chaining(
  layers: readonly LinearLayer[],
  chained?: (layer: LinearLayer) => boolean,
): (layer: LinearLayer) => boolean {
  if (chained) return chained
  const followers = new Set(layers.flatMap(({ next }) => (next === undefined ? [] : [next])))
  return ({ id }) => followers.has(id)
}

export function distinctShapes(
  layers: readonly LinearLayer[],
  options: { readonly chained?: (layer: LinearLayer) => boolean },
): Map<string, { layer: LinearLayer; chained: boolean }> {
  const isChained = chaining(layers, options.chained)
  const distinct = new Map<string, { layer: LinearLayer; chained: boolean }>()
  for (const layer of layers) {
    const chained = isChained(layer)
    const key = shapeKey(layer, { chained })
    if (!distinct.has(key)) distinct.set(key, { layer, chained })
  }
  return distinct
}

export function armsOf(
  layer: LinearLayer,
  { runner, schemes }: { readonly runner: LayerRunner; readonly schemes?: readonly ProtectionScheme[] },
): Arm[] {
  const able = runner.schemes(layer).filter((scheme) => scheme !== 'none')
  return ['none', 'control', ...(schemes ? able.filter((scheme) => schemes.includes(scheme)) : able)]
}

/** An arm's activations, weights twice (as given and as the engine packs them) and outputs. */
export function operandBytes({ m, n, k, op, dtype }: LinearLayer): number {
  const inputs = op.kind === 'conv2d' ? op.x.reduce((all, size) => all * size, 1) : op.batch * m * k
  const batch = op.kind === 'matmul' ? op.batch : 1
  return Math.max(4, bytesPerElement(dtype)) * (inputs + batch * (2 * k * n + m * n))
}

/**
 * Rounds between two placements. Where an arm's operands lie in memory changes its time by as much as a percent, the control's
 * as well; arms are therefore prepared anew, in another order, so that placements are drawn as rounds are.
 */
export const PLACEMENT_ROUNDS = 24

/** A millionth of a millisecond: a clock too coarse for the work must not give 0, which no ratio takes. */
export const SHORTEST = 1e-6

export function shuffled<T>(items: readonly T[], random: Random): T[] {
  return Array.from(random.permutation(items.length), (i) => items[i] as T)
}
