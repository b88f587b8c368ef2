// Tables of results: columns are described once and shown as text on a terminal or as HTML in a report.
import Table from 'cli-table3'
import type { Interval } from '@ft/core'
import {
  formatBytes,
  formatCount,
  formatDuration,
  formatInterval,
  formatNumber,
  formatPercent,
  isInterval,
} from './format.ts'
import { printable } from './text.ts'

/** What a cell can hold; nothing is shown as '-'. */
export type Cell = number | string | boolean | Interval | null | undefined

/** How numbers of a column are shown; 'duration' takes milliseconds, 'percent' shares. Default 'number'. */
export type CellFormat = 'number' | 'percent' | 'bytes' | 'duration' | 'count' | 'plain'

export interface Column<Row> {
  readonly header: string
  /** Shown in the header: 'time [ms]'. */
  readonly unit?: string
  readonly value: (row: Row) => Cell
  readonly format?: CellFormat | ((cell: Cell) => string)
  /** Significant digits; default as the formats have them. */
  readonly digits?: number
  /** Default: right when the column's first cell that is there is a number or an interval. */
  readonly align?: 'left' | 'right'
}

/** A table whose cells are text already: what `table` prints and `htmlReport` shows. */
export interface FormattedTable {
  readonly headers: readonly { readonly text: string; readonly align: 'left' | 'right' }[]
  readonly rows: readonly (readonly string[])[]
}

/** Formats every cell. Columns with numbers are aligned right. */
export function formatTable<Row>(rows: readonly Row[], columns: readonly Column<Row>[]): FormattedTable {
  const cells = rows.map((row) => columns.map((column) => column.value(row)))
  const headers = columns.map(({ header, unit, align }, i) => {
    const first = cells.map((row) => row[i]).find((cell) => cell !== null && cell !== undefined)
    const numeric = typeof first === 'number' || isInterval(first)
    return { text: unit === undefined ? header : `${header} [${unit}]`, align: align ?? (numeric ? 'right' : 'left') }
  })
  return { headers, rows: cells.map((row) => row.map((cell, i) => formatCell(cell, columns[i] ?? {}))) }
}

/**
 * A table as text for a terminal.
 *
 * Numbers are aligned right and have units in the header; intervals read `1.03 [1.01, 1.05]`; control characters of
 * outside text are shown as '?', so that a name cannot command the terminal.
 *
 * @param options.colour - bold headers; default false
 * @param options.columns - characters a line holds; a wider table is stacked: a line a cell, `header  value`, and an
 *   empty line between rows. Default without limit
 * @example
 * ```ts
 * const text = table([{ name: 'row', ms: 1.25 }], [
 *   { header: 'scheme', value: (row) => row.name },
 *   { header: 'time', unit: 'ms', value: (row) => row.ms },
 * ])
 * text.split('\n') // => ['scheme  time [ms]', '------  ---------', 'row          1.25']
 * ```
 */
export function table<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  options: { colour?: boolean; columns?: number } = {},
): string {
  const { headers, rows: cells } = formatTable(rows, columns)
  const paint = (text: string) => (options.colour === true ? `\u001b[1m${text}\u001b[22m` : text)
  const made = new Table({
    head: headers.map(({ text }) => paint(printable(text))),
    colAligns: headers.map(({ align }) => align),
    chars: bare,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0, compact: true },
  })
  made.push(...cells.map((row) => row.map(printable)))
  const lines = made
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
  // The rule under the header is as wide as the table, and has no colour codes.
  const width = lines[1]?.length ?? 0
  return width > (options.columns ?? Infinity) && cells.length > 0 ? stacked(headers, cells, paint) : lines.join('\n')
}

/** A row as lines of `header  value`: for terminals that would break its one line. */
function stacked(
  headers: FormattedTable['headers'],
  cells: FormattedTable['rows'],
  paint: (text: string) => string,
): string {
  const names = headers.map(({ text }) => printable(text))
  const width = Math.max(...names.map((name) => name.length))
  const line = (cell: string, i: number): string => {
    const name = names[i] ?? ''
    return `${paint(name)}${' '.repeat(width - name.length)}  ${printable(cell)}`.trimEnd()
  }
  return cells.map((row) => row.map(line).join('\n')).join('\n\n')
}

/** No frame: two spaces between columns, a rule under the header (and, being compact, nowhere else). */
const bare = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '-',
  'mid-mid': '  ',
  right: '',
  'right-mid': '',
  middle: '  ',
}

function formatCell(cell: Cell, column: Pick<Column<never>, 'format' | 'digits'>): string {
  const { format = 'number', digits } = column
  if (typeof format === 'function') return format(cell)
  if (cell === null || cell === undefined) return '-'
  if (typeof cell === 'string') return cell
  if (typeof cell === 'boolean') return cell ? 'yes' : 'no'
  const options = digits === undefined ? {} : { digits }
  if (isInterval(cell)) {
    if (format === 'percent') return `${formatInterval(cell, { ...options, scale: 100 })} %`
    return formatInterval(cell, options)
  }
  switch (format) {
    case 'percent':
      return formatPercent(cell, options)
    case 'bytes':
      return formatBytes(cell, options)
    case 'duration':
      return formatDuration(cell)
    case 'count':
      return formatCount(cell, options)
    case 'plain':
      return String(cell)
    case 'number':
      return formatNumber(cell, options)
  }
}
