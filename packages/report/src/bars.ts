// A small plot for the terminal: horizontal bars.
import { formatNumber } from './format.ts'
import { printable } from './text.ts'

export interface Bar {
  readonly label: string
  readonly value: number
}

/**
 * Horizontal bars, one a line: label, bar, value. Values below 0 and values that are not finite have no bar.
 *
 * @param options.width - columns of the longest bar; default 40
 * @param options.format - of the values; default `formatNumber`
 * @example
 * ```ts
 * const text = bars([{ label: 'row', value: 2 }, { label: 'global', value: 1 }], { width: 4 })
 * text.split('\n') // => ['row     ████ 2', 'global  ██   1']
 * ```
 */
export function bars(
  items: readonly Bar[],
  options: { width?: number; format?: (value: number) => string } = {},
): string {
  const { width = 40, format = (value: number) => formatNumber(value) } = options
  const labels = items.map(({ label }) => printable(label))
  const space = Math.max(0, ...labels.map((label) => label.length))
  const largest = Math.max(0, ...items.map(({ value }) => (Number.isFinite(value) ? value : 0)))
  return items
    .map(({ value }, i) => {
      const eighths = largest > 0 && Number.isFinite(value) ? Math.round((8 * width * Math.max(0, value)) / largest) : 0
      const bar = '█'.repeat(Math.floor(eighths / 8)) + (EIGHTHS[eighths % 8] ?? '')
      return `${(labels[i] ?? '').padEnd(space)}  ${bar.padEnd(width)} ${format(value)}`.trimEnd()
    })
    .join('\n')
}

const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉']
