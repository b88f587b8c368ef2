// GF(2^8) with the polynomial x^8 + x^4 + x^3 + x^2 + 1 (0x11d), whose generator is 2: the field of RAID-6.

const polynomial = 0x11d

/** Powers of the generator, twice over so that sums of two logarithms need no reduction. */
const power = new Uint8Array(510)
const logarithm = new Uint8Array(256)

for (let exponent = 0, value = 1; exponent < 255; exponent++) {
  power[exponent] = power[exponent + 255] = value
  logarithm[value] = exponent
  value <<= 1
  if (value > 255) value ^= polynomial
}

/** The generator to an exponent of 0 .. 254. */
export function generatorPower(exponent: number): number {
  return power[exponent]!
}

/** The product of two bytes. */
export function multiply(a: number, b: number): number {
  return a === 0 || b === 0 ? 0 : power[logarithm[a]! + logarithm[b]!]!
}

/** The inverse of a byte other than 0. */
export function invert(a: number): number {
  return power[255 - logarithm[a]!]!
}

const tables = new Map<number, Uint8Array>()

/** Products of a factor with every byte: 256 bytes, made once. */
export function productTable(factor: number): Uint8Array {
  let table = tables.get(factor)
  if (table === undefined) tables.set(factor, (table = Uint8Array.from({ length: 256 }, (_, x) => multiply(factor, x))))
  return table
}

/** Parts of two arrays: `length` words of the first from `to`, of the second from `from`. */
export interface Part {
  to: number
  from: number
  length: number
}

/** `target ^= factor * words`, each byte of the packed words an element of the field. */
export function addProduct(
  target: Uint32Array,
  words: Uint32Array,
  factor: number,
  { to, from, length }: Part = { to: 0, from: 0, length: words.length },
): void {
  if (factor === 1) {
    for (let i = 0; i < length; i++) target[to + i]! ^= words[from + i]!
    return
  }
  const table = productTable(factor)
  for (let i = 0; i < length; i++) {
    const word = words[from + i]!
    target[to + i]! ^=
      table[word & 255]! |
      (table[(word >>> 8) & 255]! << 8) |
      (table[(word >>> 16) & 255]! << 16) |
      (table[word >>> 24]! << 24)
  }
}
