// What the check builders know of a product, and what they give back.
import type { GraphIndex, NodeProto, ShapeInference } from '@ft/onnx'
import type { Emitter } from './emitter.ts'

/** Schemes that an ONNX graph can carry. */
export type OnnxScheme = 'global' | 'row' | 'replication'

export interface Site {
  readonly id: string
  readonly node: NodeProto
  readonly scheme: OnnxScheme
}

export interface SiteContext {
  readonly emit: Emitter
  /** Look-ups on the graph before the checks. */
  readonly index: GraphIndex
  readonly shapes: ShapeInference
  /** Whether a value cannot be negative, whatever the inputs: then sums of |x| are sums of x. */
  nonNegative(value: string): boolean
  /** Means over a value's pixels, `[batch, channels, 1, 1]`: made once, however many layers read the value. */
  mean(value: string): string
  /** Bounds of the channels' absolute sums, `[batch, 1, 1, 1]`, of convolutions checked so far, by output. */
  readonly scales: Map<string, string>
  /** Additions whose sum one convolution's check reads already. */
  readonly claimed: Set<NodeProto>
}

/** Two sides of a check: the residuals, and the sums of absolute terms that their rounding errors are relative to. */
export interface Residuals {
  readonly difference: string
  /** Absent where any difference is a fault. */
  readonly scale: string | undefined
  /** Largest |difference| / scale that rounding alone can make. */
  readonly bound: number
}

/** The residuals of a site, or why it has none. */
export type Built = Residuals | { readonly reason: string }

/** Elements along dimensions that shape inference could not tell; a bound for more would be looser still. */
export const UNKNOWN_SIZE = 65_536

/** gamma_n of float32, with the margin that the computed scale's own rounding needs. */
export function roundingBound(terms: number): number {
  const u = 2 ** -24
  return terms * u < 0.5 ? (1.01 * terms * u) / (1 - terms * u) : Infinity
}

/** Sum and sum of absolute values of a bias. */
export function biasSums(bias: Float32Array | undefined): [sum: number, absolute: number] {
  let [sum, absolute] = [0, 0]
  for (const value of bias ?? []) {
    sum += value
    absolute += Math.abs(value)
  }
  return [sum, absolute]
}
