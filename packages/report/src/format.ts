// Numbers as people read them: enough digits, units that fit, intervals with as many digits as they are worth.
import type { Interval } from '@ft/core'

const grouped = new Intl.NumberFormat('en-US', { maximumFractionDigits: 20 })

/**
 * A number with four significant digits (or `digits`), but no fewer than its integer part has; integers below 10^15 in
 * full. Commas between thousands.
 *
 * @example
 * ```ts
 * formatNumber(3000000) // => '3,000,000'
 * formatNumber(0.123456) // => '0.1235'
 * formatNumber(1.5e-7) // => '1.5e-7'
 * ```
 */
export function formatNumber(value: number, { digits = 4 }: { digits?: number } = {}): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'NaN' : value > 0 ? '∞' : '-∞'
  if (Number.isInteger(value) && Math.abs(value) < 1e15) return grouped.format(value)
  const whole = Math.abs(value) >= 10 ** digits && Math.abs(value) < 1e15
  const rounded = whole ? Math.round(value) : Number(value.toPrecision(digits))
  const magnitude = Math.abs(rounded)
  if (magnitude !== 0 && (magnitude < 1e-4 || magnitude >= 1e15)) return rounded.toExponential().replace('e+', 'e')
  return grouped.format(rounded)
}

/** A share as a percentage: 0.0123 is '1.23 %'. */
export function formatPercent(share: number, { digits = 3 }: { digits?: number } = {}): string {
  return `${formatNumber(Number((100 * share).toPrecision(digits)), { digits })} %`
}

/** Bytes in decimal units: 1500 is '1.5 kB'. */
export function formatBytes(bytes: number, options: { digits?: number } = {}): string {
  return scaled(bytes, { units: ['B', 'kB', 'MB', 'GB', 'TB', 'PB'], ...options })
}

/** A count with a decimal prefix, for rates and FLOPs: 2.5e9 is '2.5 G'. */
export function formatCount(count: number, options: { digits?: number } = {}): string {
  return scaled(count, { units: ['', 'k', 'M', 'G', 'T', 'P'], ...options }).trimEnd()
}

function scaled(value: number, options: { units: readonly string[]; digits?: number }): string {
  const { units, digits = 3 } = options
  let size = value
  let unit = 0
  // Compared after rounding, so that 999,999 is 1 M and not 1,000 k
  while (Math.abs(Number(size.toPrecision(digits))) >= 1000 && unit < units.length - 1 && Number.isFinite(size)) {
    size /= 1000
    unit += 1
  }
  return `${formatNumber(Number(size.toPrecision(digits)), { digits })} ${units[unit] ?? ''}`
}

/**
 * A time span given in milliseconds: '850 µs', '12.3 ms', '4.2 s', '3 min 20 s', '2 h 5 min'.
 *
 * @example
 * ```ts
 * formatDuration(200_000) // => '3 min 20 s'
 * ```
 */
export function formatDuration(milliseconds: number): string {
  if (!Number.isFinite(milliseconds)) return formatNumber(milliseconds)
  if (milliseconds < 0) return `-${formatDuration(-milliseconds)}`
  const short = (value: number) => formatNumber(Number(value.toPrecision(3)))
  if (milliseconds === 0) return '0 s'
  if (milliseconds < 0.9995) return `${short(milliseconds * 1000)} µs`
  if (milliseconds < 999.5) return `${short(milliseconds)} ms`
  if (milliseconds < 59_950) return `${short(milliseconds / 1000)} s`
  const seconds = Math.round(milliseconds / 1000)
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`
  const minutes = Math.round(seconds / 60)
  return `${grouped.format(Math.floor(minutes / 60))} h ${minutes % 60} min`
}

/**
 * An interval as `1.03 [1.01, 1.05]`, with so many decimals that half its width shows one or two digits.
 *
 * @param options.scale - factor before formatting: 100 shows shares as percentages; default 1
 * @example
 * ```ts
 * formatInterval({ value: 1.0312, low: 1.0119, high: 1.0522, confidence: 0.95, n: 20 }) // => '1.03 [1.01, 1.05]'
 * ```
 */
export function formatInterval(interval: Interval, options: { digits?: number; scale?: number } = {}): string {
  const { scale = 1, digits } = options
  const [value, low, high] = [interval.value * scale, interval.low * scale, interval.high * scale]
  const half = Math.abs(high - low) / 2
  const decimals = half > 0 && half < Infinity ? Math.max(0, Math.ceil(-Math.log10(half) + 1e-9)) : undefined
  const show = (x: number) => {
    if (!Number.isFinite(x) || digits !== undefined || decimals === undefined || decimals > 12) {
      return formatNumber(x, digits === undefined ? {} : { digits })
    }
    // 'negative' shows no minus before what rounds to nothing.
    return x.toLocaleString('en-US', {
      minimumFractionDigits: decimals,
      maximumFractionDigits: decimals,
      signDisplay: 'negative',
    })
  }
  return `${show(value)} [${show(low)}, ${show(high)}]`
}

export function isInterval(value: unknown): value is Interval {
  if (typeof value !== 'object' || value === null) return false
  const { value: centre, low, high } = value as Partial<Interval>
  return typeof centre === 'number' && typeof low === 'number' && typeof high === 'number'
}
