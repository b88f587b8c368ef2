// The one error class of the project. Codes are a closed set; details are plain data; the brand survives two copies.

export type FtErrorCode =
  | 'INVALID_ARGUMENT'
  | 'SHAPE_MISMATCH'
  | 'UNSUPPORTED'
  | 'MISSING_PEER'
  | 'ENGINE_UNAVAILABLE'
  | 'CORRUPT_DATA'
  | 'CHECKSUM_MISMATCH'
  | 'VERSION_UNSUPPORTED'
  | 'FINGERPRINT_MISMATCH'
  | 'OVERLOADED'
  | 'DEADLINE_EXCEEDED'
  | 'ABORTED'
  | 'UNRECOVERABLE'
  | 'FAULT_DETECTED'
  | 'IO'

const brand = Symbol.for('ft.error')

/**
 * An error of any @ft package.
 *
 * Message pattern: function and argument, what was expected, what was given, what to do next.
 *
 * @example
 * ```ts
 * const error = new FtError('SHAPE_MISMATCH', 'matmul: `b` must have 4 rows, got 3', { expected: 4, got: 3 })
 * error.code // => 'SHAPE_MISMATCH'
 * isFtError(error) // => true
 * ```
 */
export class FtError extends Error {
  override readonly name = 'FtError'
  readonly code: FtErrorCode
  /** Plain data about the mistake: names, shapes, indices, sizes. */
  readonly details: Readonly<Record<string, unknown>>
  readonly [brand] = true

  constructor(
    code: FtErrorCode,
    message: string,
    details: Readonly<Record<string, unknown>> = {},
    options: { cause?: unknown } = {},
  ) {
    super(message, options)
    this.code = code
    this.details = Object.freeze({ ...details })
  }
}

/**
 * Tells whether a value is an `FtError`, of this copy of the package or of another (ESM beside CommonJS).
 *
 * @param code - when given, also whether it carries this code
 */
export function isFtError(value: unknown, code?: FtErrorCode): value is FtError {
  if (typeof value !== 'object' || value === null || !(brand in value)) return false
  return code === undefined || (value as FtError).code === code
}

/** Throws `ABORTED` when the signal has fired; `what` names the interrupted work. */
export function throwIfAborted(signal: AbortSignal | undefined, what: string): void {
  if (signal?.aborted) throw new FtError('ABORTED', `${what}: aborted by its signal`, {}, { cause: signal.reason })
}

/**
 * Runs what reads something that has a name, as a file has: an `FtError` that it throws begins with that name in place of the
 * function's.
 *
 * @example
 * ```ts
 * const read = () => {
 *   throw new FtError('CORRUPT_DATA', 'readCsv: no header line')
 * }
 * let message = ''
 * try {
 *   inFile('flats.csv', read)
 * } catch (error) {
 *   message = (error as Error).message
 * }
 * message // => 'flats.csv: no header line'
 * ```
 */
export function inFile<T>(path: string, read: () => T): T {
  try {
    return read()
  } catch (cause) {
    if (!isFtError(cause)) throw cause
    const message = cause.message.replace(/^[\w-]+: /, '')
    throw new FtError(cause.code, `${path}: ${message}`, { ...cause.details, path }, { cause })
  }
}
