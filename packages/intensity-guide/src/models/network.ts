// What reading a model gives, whatever its format.
import { FtError } from '@ft/core'
import type { Network } from '../zoo/index.ts'

export interface ReadNetwork extends Network {
  /** Identity of the model that a plan is tied to; where it is missing the shapes stand for it. */
  readonly fingerprint?: string
  /** Products that the model has and the analysis leaves out, with the reason. */
  readonly skipped: readonly { readonly id: string; readonly opType: string; readonly reason: string }[]
  /** Kinds of operators that are not known; what follows from them may be missing. */
  readonly unsupported: readonly string[]
  /** Share of the model's operators that are of such kinds. */
  readonly unknownShare: number
}

/** Texts of models above it are refused before they are parsed: no model's topology is near it. */
const LARGEST_TEXT = 64 * 2 ** 20

/** @throws FtError `CORRUPT_DATA` for what is no JSON or too large to be a description of a model */
export function parseJson(text: string, where: string): unknown {
  if (text.length > LARGEST_TEXT) {
    const message = `${where}: ${text.length} characters are no description of a model; give the JSON file, not the weights`
    throw new FtError('CORRUPT_DATA', message, { length: text.length, limit: LARGEST_TEXT })
  }
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new FtError('CORRUPT_DATA', `${where}: not JSON`, {}, { cause })
  }
}

export type Json = Readonly<Record<string, unknown>>

export function isRecord(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Counts operators and those of unknown kinds. */
export function unknownOperators(
  all: number,
  unknown: readonly string[],
): Pick<ReadNetwork, 'unsupported' | 'unknownShare'> {
  return { unsupported: [...new Set(unknown)].sort(), unknownShare: all === 0 ? 0 : unknown.length / all }
}
