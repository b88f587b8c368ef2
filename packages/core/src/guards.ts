// Guards of arguments with one wording: function and argument, what was expected, what was given.
import { FtError } from './errors.ts'

/** Names the argument in the message: `${where}: \`${argument}\` must be ...`. */
export interface Argument {
  /** The function, such as 'matmul'. */
  readonly where: string
  readonly argument: string
}

/** The error of a wrong argument; throw it. */
export function invalidArgument(at: Argument, expected: string, got: unknown): FtError {
  return new FtError('INVALID_ARGUMENT', `${at.where}: \`${at.argument}\` must be ${expected}, got ${show(got)}`, {
    ...at,
    expected,
    got,
  })
}

/** @throws FtError `INVALID_ARGUMENT` unless the value is an integer in [min, max] */
export function assertInteger(value: unknown, at: Argument & { min?: number; max?: number }): asserts value is number {
  const { min = Number.MIN_SAFE_INTEGER, max = Number.MAX_SAFE_INTEGER } = at
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return
  throw invalidArgument(at, `an integer${range(at)}`, value)
}

/** @throws FtError `INVALID_ARGUMENT` unless the value is a finite number in [min, max] */
export function assertNumber(value: unknown, at: Argument & { min?: number; max?: number }): asserts value is number {
  const { min = -Infinity, max = Infinity } = at
  if (typeof value === 'number' && Number.isFinite(value) && value >= min && value <= max) return
  throw invalidArgument(at, `a finite number${range(at)}`, value)
}

/** @throws FtError `INVALID_ARGUMENT` unless the value is one of `values` */
export function assertOneOf<const T>(value: unknown, at: Argument & { values: readonly T[] }): asserts value is T {
  if ((at.values as readonly unknown[]).includes(value)) return
  throw invalidArgument(at, `one of ${at.values.map(show).join(', ')}`, value)
}

/**
 * A misspelt option would be a default that nobody asked for: it is an error.
 *
 * Cost: a look-up an option.
 *
 * @throws FtError `INVALID_ARGUMENT` for anything but an object, and for a name that is not among `names`, with those that are
 */
export function assertOptionNames(options: unknown, names: Readonly<Record<string, true>>, where: string): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options))
    throw invalidArgument({ where, argument: 'options' }, 'an object', options)
  for (const name of Object.keys(options)) {
    if (Object.hasOwn(names, name)) continue
    const known = Object.keys(names).join(', ')
    throw new FtError('INVALID_ARGUMENT', `${where} has no option ${JSON.stringify(name)}; it has ${known}`, {
      option: name,
    })
  }
}

function range({ min, max }: { min?: number; max?: number }): string {
  if (min !== undefined && max !== undefined) return ` in [${min}, ${max}]`
  if (min !== undefined) return ` of at least ${min}`
  return max === undefined ? '' : ` of at most ${max}`
}

/** A short text of any value for messages. */
function show(value: unknown): string {
  if (typeof value === 'string') return `'${value.length > 60 ? `${value.slice(0, 57)}...` : value}'`
  if (Array.isArray(value)) {
    const shown = value.slice(0, 8).map(show).join(', ')
    return `[${shown}${value.length > 8 ? `, ... ${value.length} in all` : ''}]`
  }
  if (ArrayBuffer.isView(value)) return value.constructor.name
  if (typeof value === 'object' && value !== null) return 'an object'
  return typeof value === 'function' ? 'a function' : String(value)
}
