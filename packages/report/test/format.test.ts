import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatBytes, formatCount, formatDuration, formatInterval, formatNumber, formatPercent } from '../src/index.ts'

describe('numbers', () => {
  it.each<[number, string]>([
    [0, '0'],
    [-0, '-0'],
    [3_000_000, '3,000,000'],
    [-1234, '-1,234'],
    [0.123456, '0.1235'],
    [12345.678, '12,346'],
    [9999.7, '10,000'],
    [99999.5, '100,000'],
    [1.5e-7, '1.5e-7'],
    [-2.34567e-9, '-2.346e-9'],
    [1e21, '1e21'],
    [NaN, 'NaN'],
    [Infinity, '∞'],
    [-Infinity, '-∞'],
  ])('%d reads %s', (value, text) => {
    expect(formatNumber(value)).toBe(text)
  })

  it('keep the value to half a unit of their fourth digit', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e15, max: 1e15 }), (value) => {
        const read = Number(formatNumber(value).replaceAll(',', ''))
        // toPrecision(4) is within 0.5 of the fourth digit: at most 5e-4 relative; the smallest numbers are subnormal
        return Math.abs(read - value) <= 5.0001e-4 * Math.abs(value) + 5e-324
      }),
    )
  })

  it('take the digits that they are asked for', () => {
    expect(formatNumber(Math.PI, { digits: 2 })).toBe('3.1')
    expect(formatPercent(0.012345)).toBe('1.23 %')
    expect(formatPercent(1)).toBe('100 %')
  })
})

describe('units', () => {
  it.each<[number, string]>([
    [0, '0 B'],
    [999, '999 B'],
    [999_499, '999 kB'],
    [999_500, '1 MB'],
    [1_500, '1.5 kB'],
    [-2_000_000, '-2 MB'],
    [1e18, '1,000 PB'],
    [NaN, 'NaN B'],
    [Infinity, '∞ B'],
  ])('%d bytes read %s', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text)
  })

  it('of counts are prefixes', () => {
    expect([formatCount(999), formatCount(2.5e9), formatCount(12_345)]).toEqual(['999', '2.5 G', '12.3 k'])
  })

  it.each<[number, string]>([
    [0, '0 s'],
    [0.00085, '0.85 µs'],
    [0.85, '850 µs'],
    [12.34, '12.3 ms'],
    [999.6, '1 s'],
    [4200, '4.2 s'],
    [59_960, '1 min 0 s'],
    [200_000, '3 min 20 s'],
    [3_599_600, '1 h 0 min'],
    [7_500_000, '2 h 5 min'],
    [-4200, '-4.2 s'],
    [Infinity, '∞'],
  ])('%d ms reads %s', (milliseconds, text) => {
    expect(formatDuration(milliseconds)).toBe(text)
  })
})

describe('intervals', () => {
  const interval = (value: number, low: number, high: number) => ({ value, low, high, confidence: 0.95, n: 9 })

  it('show as many decimals as half their width is worth', () => {
    expect(formatInterval(interval(1.0312, 1.0119, 1.0522))).toBe('1.03 [1.01, 1.05]')
    expect(formatInterval(interval(0.7634, 0.759, 0.7678))).toBe('0.763 [0.759, 0.768]')
    expect(formatInterval(interval(12345, 12000, 12700))).toBe('12,345 [12,000, 12,700]')
    expect(formatInterval(interval(0.0123, 0.0101, 0.0151), { scale: 100 })).toBe('1.2 [1.0, 1.5]')
  })

  it('stay readable when they are points or endless', () => {
    expect(formatInterval(interval(2, 2, 2))).toBe('2 [2, 2]')
    expect(formatInterval(interval(2, -Infinity, Infinity))).toBe('2 [-∞, ∞]')
    expect(formatInterval(interval(NaN, NaN, NaN))).toBe('NaN [NaN, NaN]')
    expect(formatInterval(interval(1, 1 - 1e-15, 1 + 1e-15))).toBe('1 [1, 1]')
    expect(formatInterval(interval(-0.3, -4, 3))).toBe('0 [-4, 3]')
  })

  it('never show both ends equal to the value when they differ by more than rounding', () => {
    fc.assert(
      fc.property(
        fc.double({ min: -1e6, max: 1e6, noNaN: true }),
        fc.double({ min: 1e-9, max: 1e5, noNaN: true }),
        (value, half) => {
          const text = formatInterval(interval(value, value - half, value + half))
          const [low, high] = /\[(.*), (.*)\]/.exec(text)?.slice(1) ?? []
          return low !== high
        },
      ),
    )
  })
})
