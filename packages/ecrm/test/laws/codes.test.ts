// Every erasure pattern of every small code gives back the bits; the field's laws hold for all bytes.
import { describe, expect, it } from 'vitest'
import { isFtError } from '@ft/core'
import { createRandom } from '@ft/core/random'
import { createCode, type Unit } from '../../src/codes/code.ts'
import { addProduct, generatorPower, invert, multiply } from '../../src/codes/gf256.ts'

/** The product by shift and reduce, bit by bit. */
function slowProduct(a: number, b: number): number {
  let product = 0
  for (let bit = 0; bit < 8; bit++) if ((b >> bit) & 1) product ^= a << bit
  for (let bit = 15; bit >= 8; bit--) if ((product >> bit) & 1) product ^= 0x11d << (bit - 8)
  return product
}

describe('GF(2^8)', () => {
  it('multiplies as polynomials modulo 0x11d, all 65,536 pairs, in packed words too', () => {
    for (let a = 0; a < 256; a++) {
      const words = Uint32Array.from(
        { length: 64 },
        (_, i) => (i * 4) | ((i * 4 + 1) << 8) | ((i * 4 + 2) << 16) | ((i * 4 + 3) << 24),
      )
      const out = new Uint32Array(64)
      addProduct(out, words, a)
      const bytes = new Uint8Array(out.buffer)
      for (let b = 0; b < 256; b++) {
        const expected = slowProduct(a, b)
        if (multiply(a, b) !== expected || bytes[b] !== expected) expect([a, b]).toBe('equal')
      }
    }
  })

  it('inverts every byte but 0 and has 255 distinct powers', () => {
    for (let a = 1; a < 256; a++) expect(multiply(a, invert(a))).toBe(1)
    expect(new Set(Array.from({ length: 255 }, (_, i) => generatorPower(i))).size).toBe(255)
  })
})

const shapes = [1, 2, 3, 4, 8].flatMap((k) => [1, 2, 3, 4, 5].map((r) => [k, r] as const))

describe.each(shapes)('k = %i, r = %i', (k, r) => {
  const code = createCode({ k, r })
  const random = createRandom(k * 10 + r)
  const data = Array.from({ length: k }, () => Uint32Array.from({ length: 33 }, () => random.uint32()))
  const parity = Array.from({ length: r }, (_, j) => {
    const sum = new Uint32Array(33)
    data.forEach((unit, i) => code.accumulate(sum, unit, { parity: j, position: i }))
    return sum
  })
  const units: Unit[] = [...data, ...parity]

  it('rebuilds every data unit under every pattern of at most r erasures, and refuses every other', () => {
    for (let mask = 0; mask < 1 << (k + r); mask++) {
      const left = units.map((unit, i) => ((mask >> i) & 1 ? undefined : unit))
      const lostData = left.slice(0, k).filter((unit) => unit === undefined).length
      const paritiesLeft = left.slice(k).filter((unit) => unit !== undefined).length
      for (let i = 0; i < k; i++) {
        if (left[i] !== undefined || lostData <= paritiesLeft) expect(code.reconstruct(left, i)).toEqual(data[i])
        else expect(() => code.reconstruct(left, i)).toThrow(expect.toSatisfy((e) => isFtError(e, 'UNRECOVERABLE')))
      }
    }
  })

  it('takes differences in any order', () => {
    const next = data.map((unit) => unit.map((word, i) => (i % 3 ? word : random.uint32())))
    const sums = parity.map((p) => p.slice())
    for (const i of random.permutation(k)) {
      const delta = data[i]!.map((word, at) => word ^ next[i]![at]!)
      sums.forEach((sum, j) => code.accumulate(sum, delta, { parity: j, position: i }))
    }
    const whole: Unit[] = [...next, ...sums]
    whole[0] = undefined
    expect(code.reconstruct(whole, 0)).toEqual(next[0])
  })
})

it.each([
  [253, 3],
  [200, 8],
  [128, 128],
  [10, 246],
])('k = %i, r = %i: data units lost at random, as many as there are parities, come back', (k, r) => {
  const code = createCode({ k, r })
  const random = createRandom(k)
  const data = Array.from({ length: k }, () => Uint32Array.of(random.uint32()))
  const parity = Array.from({ length: r }, (_, j) => {
    const sum = new Uint32Array(1)
    data.forEach((unit, i) => code.accumulate(sum, unit, { parity: j, position: i }))
    return sum
  })
  for (let trial = 0; trial < 30; trial++) {
    const units: Unit[] = [...data, ...parity]
    const lost = random.sample(k + r, random.integer(1, r))
    for (const i of lost) units[i] = undefined
    for (const i of lost.slice(0, 8)) if (i < k) expect(code.reconstruct(units, i)).toEqual(data[i])
  }
})

it('every square of three or four of the Cauchy factors can be inverted, and the first parity is the XOR', () => {
  const { factor } = createCode({ k: 12, r: 4 })
  for (let i = 0; i < 12; i++) expect(factor(0, i)).toBe(1)
  const squares = (n: number, of: number): number[][] =>
    n === 0
      ? [[]]
      : Array.from({ length: of }, (_, i) => i).flatMap((i) => squares(n - 1, i).map((less) => [...less, i]))
  for (let n = 1; n <= 4; n++)
    for (const rows of squares(n, 4))
      for (const columns of squares(n, 12)) {
        const matrix = rows.map((j) => columns.map((i) => factor(j, i)))
        if (determinant(matrix) === 0) expect({ rows, columns }).toBe('regular')
      }
})

/** By expansion along the first row; signs do not matter where -1 is 1. */
function determinant([first, ...rest]: number[][]): number {
  if (first === undefined) return 1
  return first.reduce(
    (sum, factor, at) => sum ^ multiply(factor, determinant(rest.map((row) => row.filter((_, i) => i !== at)))),
    0,
  )
}

it.each([
  { k: 0, r: 1 },
  { k: 256, r: 1 },
  { k: 4, r: 0 },
  { k: 4, r: 253 },
  { k: 254, r: 3 },
])('refuses %j', (sizes) => {
  expect(() => createCode(sizes)).toThrow(expect.toSatisfy((e) => isFtError(e, 'INVALID_ARGUMENT')))
})
