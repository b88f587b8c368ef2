// Guards that the statistics share.
import { assertNumber, invalidArgument } from '../guards.ts'

/** @throws FtError `INVALID_ARGUMENT` unless the confidence is in (0, 1) */
export function checkConfidence(confidence: number, where: string): void {
  assertNumber(confidence, { where, argument: 'confidence', min: 2 ** -53, max: 1 - 2 ** -53 })
}

/** @throws FtError `INVALID_ARGUMENT` when there are fewer than `min` values or one is not finite */
export function checkSample(
  values: ArrayLike<number>,
  options: { where: string; argument?: string; min?: number },
): void {
  const { where, argument = 'values', min = 1 } = options
  if (!(values.length >= min)) {
    throw invalidArgument({ where, argument }, `at least ${min} number${min === 1 ? '' : 's'}`, values.length)
  }
  for (let i = 0; i < values.length; i++) {
    if (!Number.isFinite(values[i]))
      throw invalidArgument({ where, argument: `${argument}[${i}]` }, 'finite', values[i])
  }
}
