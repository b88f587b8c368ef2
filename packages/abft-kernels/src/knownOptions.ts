// Names that options may have. A misspelt one would be a default that nobody asked for: it is an error.
import { FtError, invalidArgument, type Conv2dOptions, type MatmulOptions } from '@ft/core'
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

/**
 * Cost: a look-up an option: products of few rows take 50 us.
 *
 * @throws FtError `INVALID_ARGUMENT` for anything but an object, and for a name that is not known, with those that are
 */
export function assertNames(options: unknown, names: Readonly<Record<string, true>>, where: string): void {
  if (options === undefined) return
  if (typeof options !== 'object' || options === null)
    throw invalidArgument({ where, argument: 'options' }, 'an object', options)
  for (const name in options)
    if (!Object.hasOwn(names, name))
      throw new FtError(
        'INVALID_ARGUMENT',
        `${where} has no option ${JSON.stringify(name)}; it has ${Object.keys(names).join(', ')}`,
        { option: name },
      )
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
