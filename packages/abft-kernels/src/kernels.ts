// Protected kernels on one engine: the package's front door.
import type { Conv2dOptions, MatmulEngine, MatmulOptions, Tensor } from '@ft/core'
import { FtError } from '@ft/core'
import { calibrate, type CalibrateOptions, type Calibration } from './calibrate.ts'
import { protectedAttention, type AttentionOptions, type AttentionResult } from './attention.ts'
import { createChain, type Chain, type ChainLayer } from './chain.ts'
import {
  assertNames,
  assertPrepared,
  attentionNames,
  calibrateNames,
  conv2dNames,
  kernelsNames,
  matmulNames,
  protectNames,
} from './knownOptions.ts'
import { protectedConv2d } from './protectedConv2d.ts'
import { protectedMatmul, type Protected, type ProtectionOptions } from './protectedMatmul.ts'
import { protectedMatmulInt8 } from './protectedMatmulInt8.ts'
import { protectWeights, type ProtectedWeights, type ProtectOptions } from './weights.ts'

export interface KernelsOptions {
  readonly engine: MatmulEngine
  /** Thresholds fitted to the engine; without it 'hard' bounds, which never alarm falsely and see less. */
  readonly calibration?: Calibration
}

export interface Kernels {
  readonly engine: MatmulEngine
  readonly calibration: Calibration | undefined
  prepare(weights: Tensor, options?: ProtectOptions): Promise<ProtectedWeights>
  matmul(a: Tensor, weights: ProtectedWeights, options?: ProtectionOptions & MatmulOptions): Promise<Protected>
  conv2d(x: Tensor, filter: ProtectedWeights, options?: ProtectionOptions & Conv2dOptions): Promise<Protected>
  /** int8 or uint8 times int8, checked exactly: no thresholds, no false alarms. */
  matmulInt8(
    a: Tensor,
    weights: ProtectedWeights,
    options?: Pick<ProtectionOptions, 'scheme' | 'onFault'> & MatmulOptions,
  ): Promise<Protected>
  /** softmax(scale Q K^T) V of `[batch, tokens, width]`, every part checked: see `protectedAttention`. */
  attention(
    operands: { readonly q: Tensor; readonly k: Tensor; readonly v: Tensor },
    options?: AttentionOptions,
  ): Promise<AttentionResult>
  /** Layers in sequence, each global check predicted from the layer before: see `createChain`. */
  chain(layers: readonly ChainLayer[]): Chain
  /** The same kernels with thresholds calibrated for their engine. */
  calibrated(options?: CalibrateOptions): Promise<Kernels>
}

/**
 * Makes protected kernels.
 *
 * @throws FtError `FINGERPRINT_MISMATCH` for a calibration of another build; these and all calls: `INVALID_ARGUMENT` for an
 * option that there is not
 * @example
 * ```ts
 * import { createReferenceEngine } from '@ft/tensor-core/reference'
 * const kernels = createKernels({ engine: createReferenceEngine() })
 * const weights = await kernels.prepare({ data: Float32Array.of(1, 2, 3, 4), shape: [2, 2], dtype: 'float32' })
 * const { report } = await kernels.matmul({ data: Float32Array.of(1, 1), shape: [1, 2], dtype: 'float32' }, weights)
 * report.status // => 'clean'
 * ```
 */
export function createKernels(options: KernelsOptions): Kernels {
  assertNames(options, kernelsNames, 'createKernels')
  const { engine, calibration } = options
  if (calibration && calibration.build !== engine.build) {
    throw new FtError(
      'FINGERPRINT_MISMATCH',
      `createKernels: the calibration is of ${calibration.build}, the engine is ${engine.build}; calibrate it`,
      {
        expected: engine.build,
        got: calibration.build,
      },
    )
  }
  const context = { engine, calibration }
  // Misuse is told as all errors are: by promises that are rejected.
  const kernels: Kernels = {
    engine,
    calibration,
    async prepare(weights, options) {
      assertNames(options, protectNames, 'prepare')
      return protectWeights(engine, weights, options)
    },
    async matmul(a, weights, options) {
      assertNames(options, matmulNames, 'matmul')
      assertPrepared(weights, 'weights', 'matmul')
      return protectedMatmul(context, { a, weights }, options)
    },
    async conv2d(x, filter, options) {
      assertNames(options, conv2dNames, 'conv2d')
      assertPrepared(filter, 'filter', 'conv2d')
      return protectedConv2d(context, { x, filter }, options)
    },
    async matmulInt8(a, weights, options) {
      assertNames(options, matmulNames, 'matmulInt8')
      assertPrepared(weights, 'weights', 'matmulInt8')
      return protectedMatmulInt8(context, { a, weights }, options)
    },
    async attention(operands, options) {
      assertNames(options, attentionNames, 'attention')
      return protectedAttention(kernels, operands, options)
    },
    chain: (layers) => createChain(context, layers),
    async calibrated(options) {
      assertNames(options, calibrateNames, 'calibrated')
      return createKernels({ engine, calibration: await calibrate(engine, options) })
    },
  }
  return kernels
}
