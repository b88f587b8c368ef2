// Values of several kinds, told apart before they are read: a union tries every kind, and cannot say what is wrong with the one
// that was meant.
import { z } from 'zod'

/**
 * A value that is read by the schema picked for it.
 *
 * @param pick - the schema, or what is wrong with a value that is of no kind
 */
export function choose<T extends z.ZodType>(pick: (value: unknown) => T | string) {
  return z.unknown().transform((value, context): z.output<T> => {
    const picked = pick(value)
    if (typeof picked === 'string') {
      context.addIssue({ code: 'custom', message: picked })
      return z.NEVER
    }
    const read = picked.safeParse(value)
    if (read.success) return read.data
    for (const { path, message } of read.error.issues)
      context.addIssue({ code: 'custom', message, path: [...path] as (string | number)[] })
    return z.NEVER
  })
}

/** Kinds of objects, each known by a key that it alone has. */
export function byKey<T extends z.ZodType>(kinds: Readonly<Record<string, T>>) {
  return choose<T>((value) => {
    const given = isRecord(value) ? Object.keys(value) : []
    const [kind, ...more] = given.filter((key) => Object.hasOwn(kinds, key))
    if (kind !== undefined && more.length === 0) return kinds[kind] as T
    const got = kind === undefined ? given : [kind, ...more]
    return `must be an object with one of the keys ${Object.keys(kinds).join(', ')}, got ${got.join(', ') || 'none'}`
  })
}

export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
