// JSON with numbers that JavaScript does not hold or that JSON does not have: 64-bit integers beyond 2^53, whose digits
// `JSON.parse` rounds away, and NaN and infinities, which Triton and clients in Python write as they are.
import { randomBytes } from 'node:crypto'

export interface JsonSource {
  readonly value: unknown
  /** Whether NaN, Infinity or -Infinity was written somewhere: they are numbers of these values. */
  readonly nonFinite: boolean
  /** The value read again, with every integer of more than 15 digits as a text that `integerOf` knows. Cost: a second reading. */
  exact(): unknown
}

/** Nobody outside can write a text that begins so. */
const MARK = `\0${randomBytes(9).toString('base64')}:`

/** @throws SyntaxError for what is no JSON, these three words apart */
export function readJson(text: string): JsonSource {
  let exact: unknown
  const { value, nonFinite } = parse(text)
  return { value, nonFinite, exact: () => (exact ??= JSON.parse(marked(text), nonFinite ? numbersBack : undefined)) }
}

function parse(text: string): { readonly value: unknown; readonly nonFinite: boolean } {
  try {
    return { value: JSON.parse(text), nonFinite: false }
  } catch (error) {
    if (!/NaN|Infinity/.test(text)) throw error
    return { value: JSON.parse(marked(text), (key, value: unknown) => numbersBack(key, value, true)), nonFinite: true }
  }
}

/** Digits and sign of the widest integer. */
const LONGEST = 20

/** The integer that an element of an exact reading is; undefined for anything else. */
export function integerOf(element: unknown): bigint | undefined {
  if (typeof element === 'number') return Number.isSafeInteger(element) ? BigInt(element) : undefined
  if (typeof element !== 'string' || !element.startsWith(MARK)) return undefined
  const digits = element.slice(MARK.length)
  // JSON has no leading zeros: so long a number is outside all types, and millions of digits would take seconds to read
  if (digits.length > LONGEST) return digits.startsWith('-') ? -(1n << 64n) : 1n << 64n
  return BigInt(digits)
}

/** Marked words, and with `all` marked integers too, as numbers. */
function numbersBack(_key: string, value: unknown, all?: unknown): unknown {
  if (typeof value !== 'string' || !value.startsWith(MARK)) return value
  const number = Number(value.slice(MARK.length))
  return all === true || !Number.isFinite(number) ? number : value
}

const token = /-?(?:NaN|Infinity|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)/y
const special = /^-?(?:NaN|Infinity|\d{16,})$/

/** The same text with such numbers as strings, what is within strings left alone. */
function marked(text: string): string {
  let out = ''
  let copied = 0
  for (let at = 0; at < text.length;) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) at = afterString(text, at + 1)
    else if (!beginsNumber(code)) at++
    else {
      token.lastIndex = at
      const found = token.exec(text)?.[0] ?? ''
      if (special.test(found)) {
        out += `${text.slice(copied, at)}"${MARK.replace('\0', '\\u0000')}${found}"`
        copied = at + found.length
      }
      at += Math.max(1, found.length)
    }
  }
  return out + text.slice(copied)
}

const [QUOTE, BACKSLASH, MINUS, ZERO, NINE, CAPITAL_I, CAPITAL_N] = [0x22, 0x5c, 0x2d, 0x30, 0x39, 0x49, 0x4e]

const beginsNumber = (code: number) =>
  code === MINUS || (code >= ZERO && code <= NINE) || code === CAPITAL_I || code === CAPITAL_N

/** After the quote that ends a string, the first that no odd number of backslashes precedes. */
function afterString(text: string, from: number): number {
  for (let end = text.indexOf('"', from); end >= 0; end = text.indexOf('"', end + 1)) {
    let slashes = 0
    while (text.charCodeAt(end - 1 - slashes) === BACKSLASH) slashes++
    if (slashes % 2 === 0) return end + 1
  }
  return text.length
}
