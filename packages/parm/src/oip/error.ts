// Failures as the Open Inference Protocol reports them: a status and `{ "error": text }`.
import { isFtError, type FtErrorCode } from '@ft/core'

/** A failure that a client is told about. */
export class OipError extends Error {
  override readonly name = 'OipError'
  readonly status: number
  /** Seconds after which trying again may help. */
  readonly retryAfter: number | undefined

  constructor(status: number, message: string, options: { retryAfter?: number; cause?: unknown } = {}) {
    super(message, options)
    this.status = status
    this.retryAfter = options.retryAfter
  }
}

const statuses: Partial<Record<FtErrorCode, number>> = {
  INVALID_ARGUMENT: 400,
  SHAPE_MISMATCH: 400,
  CORRUPT_DATA: 400,
  UNSUPPORTED: 400,
  OVERLOADED: 429,
  DEADLINE_EXCEEDED: 504,
  ABORTED: 499,
}

/**
 * Whether an instance that answers so says that the request is wrong: its tensors (400, 422), or that it is too long (413,
 * 431). Any other refusal than those and 429 is about the instance: what it is asked for is the gateway's choice.
 */
export function blamesRequest(status: number): boolean {
  return status === 400 || status === 413 || status === 422 || status === 431
}

/**
 * How instances failed a query, as its client is told: their own refusal where it is about the query or a failure of the
 * model's, 429 when none was free in time, 502 for answers that cannot be used, 503 when none could be reached.
 */
export function fromInstance(error: unknown): OipError {
  if (error instanceof OipError) {
    const { status, message, retryAfter = 1 } = error
    const busy = status === 429 || status === 503
    // Such as 401 or 404: the gateway's credentials and its instances' models are no business of the client's
    if (status < 500 && !busy && !blamesRequest(status))
      return new OipError(502, `an instance refused to answer (status ${status})`, { cause: error })
    return busy ? new OipError(status, message, { retryAfter, cause: error }) : error
  }
  if (isFtError(error, 'OVERLOADED')) return new OipError(429, error.message, { retryAfter: 1, cause: error })
  if (isFtError(error, 'IO') || isFtError(error, 'ABORTED'))
    return new OipError(503, 'no instance could answer', { retryAfter: 1, cause: error })
  if (isFtError(error, 'CORRUPT_DATA') || isFtError(error, 'SHAPE_MISMATCH'))
    return new OipError(502, 'an instance gave an answer that cannot be used', { cause: error })
  return toOipError(error)
}

/** Any failure as one that a client may see: what is not meant for it becomes 500 without its text. */
export function toOipError(error: unknown): OipError {
  if (error instanceof OipError) return error
  if (isFtError(error)) return new OipError(statuses[error.code] ?? 500, error.message, { cause: error })
  return new OipError(500, 'internal error', { cause: error })
}
