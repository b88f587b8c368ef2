// Reading a saved state: outside data, so every field is checked before it is used.
import { FtError } from '../errors.ts'
import type { Key } from './hash.ts'

export function parseState(state: unknown): { key: Key; words: readonly number[]; spare: number | null } {
  if (typeof state !== 'object' || state === null) throw corrupt('', 'an object', state)
  const { schema, version, key, state: words, spare } = state as Record<string, unknown>
  if (schema !== 'ft.random') throw corrupt('schema', "'ft.random'", schema)
  if (version !== 1) {
    throw new FtError('VERSION_UNSUPPORTED', `restoreRandom: version 1 is known, got ${String(version)}`, { version })
  }
  if (!isWords(key)) throw corrupt('key', 'four unsigned 32-bit integers', key)
  if (!isWords(words) || words.every((word) => word === 0)) {
    throw corrupt('state', 'four unsigned 32-bit integers, not all zero', words)
  }
  if (spare !== null && !Number.isFinite(spare)) throw corrupt('spare', 'null or a finite number', spare)
  const [a, b, c, d] = key as [number, number, number, number]
  return { key: [a | 0, b | 0, c | 0, d | 0], words: words.map((word) => word | 0), spare: spare as number | null }
}

function isWords(value: unknown): value is number[] {
  return (
    Array.isArray(value) &&
    value.length === 4 &&
    value.every((word) => Number.isInteger(word) && word >= 0 && word <= 0xffffffff)
  )
}

function corrupt(field: string, expected: string, got: unknown): FtError {
  const where = field === '' ? 'the state' : `\`${field}\` of the state`
  const shown = JSON.stringify(got) ?? String(got)
  return new FtError('CORRUPT_DATA', `restoreRandom: ${where} must be ${expected}, got ${shown}`, { field, expected })
}
