// Ticks of numeric axes: domains that hold the data, round values, few enough labels.
import { formatCount, formatNumber } from '../format.ts'
import type { ScaleKind } from './data.ts'

export interface NumericAxis {
  readonly domain: readonly [number, number]
  /** Labelled values. */
  readonly ticks: readonly number[]
}

/**
 * The domain and ticks of an axis.
 *
 * @param values - what must be inside; may be empty
 * @param options.zero - include 0 on a linear axis
 * @param options.domain - overrides the data
 * @param options.tight - ends at the data instead of the next round values
 */
export function numericAxis(
  values: Iterable<number>,
  options: { scale: ScaleKind; zero?: boolean; domain?: readonly [number, number]; tight?: boolean; count?: number },
): NumericAxis {
  const { scale, zero = false, count = 6 } = options
  const [low, high] = options.domain ?? extent(values, { scale, zero })
  if (scale === 'log') return { domain: [low, high], ticks: logTicks(low, high) }
  const step = roundStep((high - low) / count)
  if (options.domain || options.tight === true)
    return { domain: [low, high], ticks: multiples(Math.ceil(low / step), Math.floor(high / step), step) }
  const [first, last] = [Math.floor(low / step + 1e-9), Math.ceil(high / step - 1e-9)]
  return { domain: [first * step, last * step], ticks: multiples(first, last, step) }
}

/** How the ticks of one axis are written: all plain, or with prefixes (500k, 2M), or tiny ones with exponents. */
export function tickFormat(ticks: readonly number[]): (value: number) => string {
  const largest = Math.max(0, ...ticks.map(Math.abs))
  if (largest >= 1e6) {
    return (value) => (Math.abs(value) < 1e18 ? formatCount(value, { digits: 4 }).replace(' ', '') : exponential(value))
  }
  return (value) => {
    const magnitude = Math.abs(value)
    return magnitude > 0 && magnitude < 1e-3
      ? exponential(value)
      : formatNumber(Number(value.toPrecision(10)), { digits: 10 })
  }
}

function exponential(value: number): string {
  return Number(value.toPrecision(6)).toExponential().replace('e+', 'e')
}

function extent(values: Iterable<number>, { scale, zero }: { scale: ScaleKind; zero: boolean }): [number, number] {
  let low = Infinity
  let high = -Infinity
  for (const value of values) {
    low = Math.min(low, value)
    high = Math.max(high, value)
  }
  if (low > high) return scale === 'log' ? [1, 10] : [0, 1]
  if (scale === 'log') return low === high ? [low / 2, high * 2] : [low, high]
  if (zero) [low, high] = [Math.min(low, 0), Math.max(high, 0)]
  if (low < high) return [low, high]
  const room = Math.abs(low) > 0 ? Math.abs(low) / 2 : 0.5
  return [low - room, high + room]
}

/** The round step (1, 2 or 5 times a power of ten) nearest above a rough one. */
function roundStep(rough: number): number {
  const power = 10 ** Math.floor(Math.log10(rough))
  for (const factor of [1, 2, 5]) if (rough <= factor * power * (1 + 1e-9)) return factor * power
  return 10 * power
}

function multiples(first: number, last: number, step: number): number[] {
  const count = Math.min(Math.max(0, last - first + 1), 100)
  return Array.from({ length: count }, (_, i) => Number(((first + i) * step).toPrecision(12)))
}

/** Powers of ten; with less than two decades 1, 2 and 5; with less than half a decade round steps. */
function logTicks(low: number, high: number): number[] {
  const decades = Math.log10(high / low)
  if (decades < 0.5) {
    const step = roundStep((high - low) / 5)
    return multiples(Math.ceil(low / step - 1e-9), Math.floor(high / step + 1e-9), step)
  }
  const every = Math.max(1, Math.ceil(decades / 10))
  const ticks: number[] = []
  for (let exponent = Math.floor(Math.log10(low)); exponent <= Math.ceil(Math.log10(high)); exponent++) {
    for (const factor of decades < 2 ? [1, 2, 5] : [1]) {
      const tick = Number(`${factor}e${exponent}`)
      const inside = tick >= low * (1 - 1e-9) && tick <= high * (1 + 1e-9)
      if (inside && exponent % every === 0) ticks.push(tick)
    }
  }
  return ticks
}
