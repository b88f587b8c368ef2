// Damaged input: what a reader must refuse, and how.
import { isFtError, type FtErrorCode } from '@ft/core'

/** 'none' when the promise keeps, the code of its FtError, or the text of any other error. */
export async function outcome(work: Promise<unknown>): Promise<FtErrorCode | 'none' | string> {
  try {
    await work
    return 'none'
  } catch (error) {
    return isFtError(error) ? error.code : `not an FtError: ${String(error)}`
  }
}

/** The message of the error, '' when there is none. */
export async function messageOf(work: Promise<unknown>): Promise<string> {
  try {
    await work
    return ''
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

/** Outcomes for every prefix of the bytes that is shorter than the whole, as a set. */
export async function outcomesOfCuts(
  bytes: Uint8Array,
  read: (cut: Uint8Array) => Promise<unknown>,
): Promise<Set<string>> {
  const outcomes = new Set<string>()
  for (let length = 0; length < bytes.length; length++) outcomes.add(await outcome(read(bytes.slice(0, length))))
  return outcomes
}

export const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)
