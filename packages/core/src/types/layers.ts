// Linear layers, protection plans and runners: what intensity-guide and abft-kernels agree on.
import type { DType, HWIO, NHWC, Pair, TBLR } from './tensor.ts'
import type { Interval } from './common.ts'

/**
 * How a product is checked (Kosaian and Rashmi, SC'21, section 4; abft-kernels' README has the algebra).
 * `thread` is the register tile of the engine's kernel.
 */
export type ProtectionScheme =
  'none' | 'global' | 'row' | 'column' | 'row-column' | 'thread-one-sided' | 'thread-two-sided' | 'replication'

/**
 * A matrix product of a model: `C[m,n] = A[m,k] B[k,n]`.
 *
 * A convolution is the implicit product with m = batch x output pixels, n = all output channels and
 * k = kernel pixels x input channels of one group, so that 2 m n k is its exact number of FLOPs for any `groups`.
 * A batched matmul does `op.batch` such products with distinct operands in one call. The model makes `count` calls.
 */
export interface LinearLayer {
  /** In an ONNX model: the name of the layer's first output tensor. */
  readonly id: string
  readonly m: number
  readonly n: number
  readonly k: number
  readonly count: number
  readonly dtype: DType
  readonly op:
    | { readonly kind: 'matmul'; readonly batch: number }
    | {
        readonly kind: 'conv2d'
        readonly x: NHWC
        readonly filter: HWIO
        readonly stride: Pair
        readonly pad: TBLR
        readonly dilation: Pair
        readonly groups: number
      }
  readonly activation?: string
  /** Id of the layer whose activation checksum this one can emit. */
  readonly next?: string
}

/** Measures and describes protected layers on one engine of one machine. */
export interface LayerRunner {
  readonly device: string
  /** Engine and variant; thresholds and measurements belong to it. */
  readonly build: string
  schemes(layer: LinearLayer): ProtectionScheme[]
  prepare(
    layer: LinearLayer,
    scheme: ProtectionScheme,
    options: { seed: number; chained: boolean },
  ): Promise<{ run(): Promise<void>; release(): void }>
  /** Smallest single error, as a share of the output's root mean square, that the check surely finds. */
  smallestDetectable(layer: LinearLayer, scheme: ProtectionScheme): number
}

export type PlanTarget = 'wasm' | 'webgpu' | 'gpujs' | 'onnx' | 'tfjs'

export interface PlannedLayer {
  readonly id: string
  readonly layer: LinearLayer
  readonly scheme: ProtectionScheme
  /** FLOP per byte by the paper's rule. */
  readonly intensity: number
  readonly bound: 'compute' | 'memory' | 'measure'
  /** Extra time as a share of the unprotected layer's time. */
  readonly predictedOverhead: number
  readonly measured?: Interval
  readonly smallestDetectable: number
  readonly alternatives: readonly { readonly scheme: ProtectionScheme; readonly overhead: number }[]
}

/** Which scheme protects each layer of a model on a device. */
export interface ProtectionPlan {
  readonly schema: 'ft.plan'
  readonly version: 1
  readonly target: PlanTarget
  readonly model: { readonly name: string; readonly fingerprint: string }
  readonly device: string
  readonly layers: readonly PlannedLayer[]
}
