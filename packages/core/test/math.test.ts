// exp, log and log1p against mpmath (see golden/MAKER.md).
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { exp, log, log1p } from '../src/math.ts'

type Row = [x: string, head: string, rest: string]
const path = new URL('./golden/elementary.json', import.meta.url)
const golden = JSON.parse(readFileSync(path, 'utf8')) as Record<'exp' | 'expSubnormal' | 'log' | 'log1p', Row[]>

const number = (hex: string) => Buffer.from(hex, 'hex').readDoubleBE()

/** The unit in the last place of a number: the distance to the next one away from zero. */
function ulp(value: number): number {
  const view = new DataView(new ArrayBuffer(8))
  view.setFloat64(0, Math.abs(value))
  view.setBigUint64(0, view.getBigUint64(0) + 1n)
  return view.getFloat64(0) - Math.abs(value)
}

/** The largest error in ulps of the true value. */
function worst(f: (x: number) => number, rows: Row[]): { error: number; x: number } {
  let worstRow = { error: 0, x: NaN }
  for (const [x, head, rest] of rows) {
    const near = number(head)
    // got - near is exact for neighbours of the true value (Sterbenz), so only `rest` and the division round
    const error = Math.abs(f(number(x)) - near - number(rest)) / ulp(near)
    if (!(error <= worstRow.error)) worstRow = { error, x: number(x) }
  }
  return worstRow
}

describe('elementary functions', () => {
  // The documented bounds. Over 60,000 other arguments each the worst were 0.76, 0.78 and 2.1 ulp.
  it.each([
    ['exp', exp, golden.exp, 1],
    ['exp with subnormal results', exp, golden.expSubnormal, 1.5],
    ['log', log, golden.log, 1],
    ['log1p', log1p, golden.log1p, 3],
  ] as const)('%s stays within its documented error', (_, f, rows, bound) => {
    expect(rows.length).toBeGreaterThanOrEqual(100)
    const { error, x } = worst(f, rows)
    expect(error, `at ${x}`).toBeLessThan(bound)
  })

  it('have the exact values and limits that their definitions give', () => {
    expect([exp(0), exp(-0), exp(-Infinity), exp(Infinity), exp(710), exp(-746)]).toEqual([
      1,
      1,
      0,
      Infinity,
      Infinity,
      0,
    ])
    expect(exp(709.782712893384)).toBeLessThan(Infinity)
    expect([log(1), log(0), log(-0), log(Infinity)]).toEqual([0, -Infinity, -Infinity, Infinity])
    expect([log1p(0), log1p(-1), log1p(Infinity)]).toEqual([0, -Infinity, Infinity])
    expect(Object.is(log1p(-0), -0)).toBe(true)
    expect([exp(NaN), log(NaN), log(-1), log1p(NaN), log1p(-2), log(-Infinity)].every(Number.isNaN)).toBe(true)
  })

  it('give exact powers of two their logarithm to within one rounding', () => {
    // log(2^k) = k ln 2: one rounding of k * LN2_HIGH + k * LN2_LOW, whose parts are exact and below 2^-85 k
    for (let k = -1074; k <= 1023; k++) {
      const expected = k * Math.LN2
      expect(Math.abs(log(2 ** k) - expected)).toBeLessThanOrEqual(2 ** -52 * Math.abs(expected))
    }
  })
})
