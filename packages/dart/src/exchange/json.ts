// Reading fields of JSON that somebody else wrote.
import { FtError } from '@ft/core'

/** A place in a document, for messages. */
export interface Field {
  readonly value: unknown
  readonly path: string
  readonly where: string
}

export function fail(field: Field, expected: string): FtError {
  const got = field.value === undefined ? 'nothing' : JSON.stringify(field.value).slice(0, 40)
  return new FtError('CORRUPT_DATA', `${field.where}: ${field.path}: expected ${expected}, got ${got}`, {
    path: field.path,
  })
}

/** JSON, and beyond it the bare NaN (read as null) and Infinity that C++ programs write. */
export function parseJson(text: string, where: string): Field {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    const plain = text.replace(/"(?:[^"\\]|\\.)*"|NaN|Infinity/g, (found) =>
      found.startsWith('"') ? found : found === 'NaN' ? 'null' : '1e999',
    )
    try {
      value = JSON.parse(plain)
    } catch {
      throw new FtError('CORRUPT_DATA', `${where}: not JSON: ${(cause as Error).message}`, {}, { cause })
    }
  }
  return { value, path: '$', where }
}

/** A member that may be absent. */
export function member(field: Field, name: string): Field {
  const { value, path, where } = field
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw fail(field, 'an object')
  const own = Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined
  return { value: own, path: `${path}.${name}`, where }
}

export function text(field: Field): string {
  if (typeof field.value !== 'string') throw fail(field, 'text')
  return field.value
}

/** A number, also where it stands as text. */
export function number(field: Field): number {
  const { value } = field
  const got = typeof value === 'string' && value.trim() !== '' ? Number(value) : value
  if (typeof got !== 'number' || !Number.isFinite(got)) throw fail(field, 'a number')
  return got
}

export function whole(field: Field, low: number, high: number): number {
  const value = number(field)
  if (!Number.isInteger(value) || value < low || value > high)
    throw fail(field, `a whole number from ${low} to ${high}`)
  return value
}

export function list(field: Field): Field[] {
  if (!Array.isArray(field.value)) throw fail(field, 'a list')
  return field.value.map((value, i) => ({ value: value as unknown, path: `${field.path}[${i}]`, where: field.where }))
}

/** A list of numbers of a given length; booleans count 0 and 1. */
export function numbers(field: Field, length?: number): number[] {
  const { value } = field
  if (!Array.isArray(value)) throw fail(field, 'a list of numbers')
  if (length !== undefined && value.length !== length) throw fail(field, `${length} numbers`)
  return value.map((each: unknown, i) => {
    if (typeof each === 'number' && Number.isFinite(each)) return each
    if (typeof each === 'boolean') return Number(each)
    throw fail({ ...field, value: each, path: `${field.path}[${i}]` }, 'a number')
  })
}
