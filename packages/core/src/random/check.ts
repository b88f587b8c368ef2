// Guards of the generator's arguments. Apart, so that the drawing functions stay small enough to be inlined.
import { FtError } from '../errors.ts'

export function invalid(method: string, argument: string, expected: string, got: unknown): FtError {
  return new FtError('INVALID_ARGUMENT', `random.${method}: \`${argument}\` must be ${expected}, got ${String(got)}`, {
    method,
    argument,
    expected,
    got,
  })
}

function checkFinite(method: string, argument: string, value: number): void {
  if (!Number.isFinite(value)) throw invalid(method, argument, 'a finite number', value)
}

/** Sizes end below 2^32, what a Uint32Array can index and hold. */
export function checkSize(method: string, argument: string, value: number): void {
  if (!Number.isInteger(value) || value < 0 || value > 4294967295) {
    throw invalid(method, argument, 'an integer in [0, 2^32)', value)
  }
}

export function checkProbability(method: string, argument: string, value: number): void {
  if (!(value >= 0 && value <= 1)) throw invalid(method, argument, 'a probability in [0, 1]', value)
}

export function checkRange(method: string, low: number, high: number): void {
  checkFinite(method, 'low', low)
  if (!Number.isFinite(high) || high < low) throw invalid(method, 'high', `a finite number of at least ${low}`, high)
  if (!Number.isFinite(high - low)) throw invalid(method, 'high', `at most the largest number above ${low}`, high)
}

export function checkSpread(method: string, mean: number, standardDeviation: number): void {
  checkFinite(method, 'mean', mean)
  if (!(standardDeviation >= 0 && standardDeviation < Infinity)) {
    throw invalid(method, 'standardDeviation', 'a finite number of at least 0', standardDeviation)
  }
}
