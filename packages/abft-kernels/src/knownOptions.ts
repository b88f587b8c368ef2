// Names that options may have. A misspelt one would be a default that nobody asked for: it is an error.
import { assertOptionNames, FtError, type Conv2dOptions, type MatmulOptions } from '@ft/core'
import type { AttentionOptions } from './attention.ts'
import type { CalibrateOptions } from './calibrate.ts'
import type { ChainOptions } from './chain.ts'
import type { KernelsOptions } from './kernels.ts'
import type { ProtectionOptions } from './protectedMatmul.ts'
import type { ProtectedWeights, ProtectOptions } from './weights.ts'

type Names<T> = Readonly<Record<keyof T, true>>

export const kernelsNames: Names<KernelsOptions> = { engine: true, calibration: true }
export const protectNames: Names<ProtectOptions> = { kind: true, groups: true, checksumWeights: true, seed: true }
export const matmulNames: Names<ProtectionOptions & MatmulOptions> = {
  ...{ scheme: true, onFault: true, falseAlarmProbability: true, activationChecksum: true, checksumWeights: true },
  ...{ thresholdFault: true, bias: true, activation: true, out: true, transposeA: true, transposeB: true },
  ...{ emit: true, faults: true },
}
export const conv2dNames: Names<ProtectionOptions & Conv2dOptions> = {
  ...matmulNames,
  ...{ stride: true, pad: true, dilation: true, groups: true, format: true },
}
export const attentionNames: Names<AttentionOptions> = {
  ...{ scheme: true, onFault: true, falseAlarmProbability: true, scale: true, faults: true, onProbabilities: true },
}
export const chainNames: Names<ChainOptions> = {
  ...{ onFault: true, falseAlarmProbability: true, faults: true, thresholdFault: true, onActivation: true },
}
export const calibrateNames: Names<CalibrateOptions> = {
  ...{ lengths: true, trials: true, seed: true, signal: true, onProgress: true },
}

/** Options that may be left out: see `assertOptionNames`. */
export function assertNames(options: unknown, names: Readonly<Record<string, true>>, where: string): void {
  if (options !== undefined) assertOptionNames(options, names, where)
}

/** @throws FtError `INVALID_ARGUMENT` for a plain tensor in the place of weights with checksums */
export function assertPrepared(weights: ProtectedWeights, argument: string, where: string): void {
  if ((weights as Partial<ProtectedWeights> | null | undefined)?.prepared === undefined)
    throw new FtError(
      'INVALID_ARGUMENT',
      `${where}: \`${argument}\` must come from kernels.prepare(), which makes its checksums`,
      { argument },
    )
}
