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
  /** What `make` made for `value` under this name before: values that several layers' checks need are computed once. */
  once(what: string, value: string, make: () => string): string
  /** Residuals of convolutions checked so far that are one number an image, by output. */
  readonly pairs: Map<string, string>
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

/**
 * A check of one number an image: difference and scale side by side, `[images, 2]` or `[images, 2, 1, 1]`. Such checks of
 * layers that follow each other are judged together.
 */
export interface PairedResiduals {
  readonly pair: string
  readonly rank: number
  /** Layers with equal text here have equally many images; undefined where that is not known. */
  readonly images: string | undefined
  readonly bound: number
}

/** The residuals of a site, or why it has none. */
export type Built = Residuals | PairedResiduals | { readonly reason: string }

/** Inputs of products whose accumulator stays inside, by place. */
export const quantisedInputs = {
  QLinearConv: { weights: 3, weightsZero: 5, outputZero: 7, bias: 8 },
  QLinearMatMul: { weights: 3, weightsZero: 5, outputZero: 7, bias: 8 },
} as const

/** Attributes that say where a convolution reads. */
export const GEOMETRY: ReadonlySet<string> = new Set(['strides', 'pads', 'dilations', 'auto_pad'])

/** Elements along dimensions that shape inference could not tell; a bound for more would be looser still. */
export const UNKNOWN_SIZE = 65_536

/**
 * gamma_n of float32 (Higham 2002, 3.1), with the margin that the computed scale's own rounding needs: a scale that is the
 * difference of two sums is off by at most three times gamma_n.
 */
export function roundingBound(terms: number): number {
  const u = 2 ** -24
  const gamma = terms * u < 0.5 ? (terms * u) / (1 - terms * u) : Infinity
  return gamma * (1.01 + 3 * gamma)
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

/** Pixels of a convolution's output, for bounds. */
export function outputPixels(y: string, { shapes }: SiteContext): number {
  const spatial = shapes.values.get(y)?.shape?.slice(2)
  return spatial?.every((size): size is number => typeof size === 'number')
    ? spatial.reduce((all, size) => all * size, 1)
    : UNKNOWN_SIZE
}
