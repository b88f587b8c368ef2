// The one form of "this is not the file it should be".
import { FtError } from '@ft/core'
import { nameOf, type Source } from './source.ts'

export interface Mismatch {
  /** The public function that reads. */
  readonly reader: string
  readonly source: Source
  /** Which part: 'magic number', 'line 12'. */
  readonly where: string
  readonly expected: string
  readonly got: string
}

export function corrupt({ reader, source, where, expected, got }: Mismatch, cause?: unknown): FtError {
  return new FtError(
    'CORRUPT_DATA',
    `${reader}: ${nameOf(source)}, ${where}: expected ${expected}, got ${got}`,
    { source: nameOf(source), where, expected, got },
    { cause },
  )
}
