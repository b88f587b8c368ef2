// Errors between threads: a clone of an error forgets its class.
import { FtError, isFtError } from '@ft/core'
import type { Failure } from './protocol.ts'

export function packFailure(error: unknown): Failure {
  if (isFtError(error)) return { code: error.code, message: error.message, details: error.details }
  return { code: 'UNRECOVERABLE', message: `train: a worker failed: ${String(error)}`, details: {} }
}

export const unpackFailure = ({ code, message, details }: Failure): FtError => new FtError(code, message, details)
