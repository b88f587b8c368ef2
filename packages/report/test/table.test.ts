import { describe, expect, it } from 'vitest'
import { bars, formatTable, table, type Column } from '../src/index.ts'

interface Row {
  name: string
  ms?: number | null
  ratio?: { value: number; low: number; high: number; confidence: number; n: number }
  ok?: boolean
}

const columns: Column<Row>[] = [
  { header: 'scheme', value: (row) => row.name },
  { header: 'time', unit: 'ms', value: (row) => row.ms },
  { header: 'ratio', value: (row) => row.ratio },
  { header: 'ok', value: (row) => row.ok },
]
const rows: Row[] = [
  { name: 'none', ms: null },
  { name: 'row', ms: 1234.5, ratio: { value: 1.0312, low: 1.0119, high: 1.0522, confidence: 0.95, n: 9 }, ok: true },
  { name: 'longest of all', ms: NaN, ok: false },
]

describe('a table', () => {
  it('aligns numbers right, has units in the header, shows intervals and what is missing', () => {
    expect(table(rows, columns).split('\n')).toEqual([
      'scheme          time [ms]              ratio  ok',
      '--------------  ---------  -----------------  ---',
      'none                    -                  -  -',
      'row                 1,235  1.03 [1.01, 1.05]  yes',
      'longest of all        NaN                  -  no',
    ])
  })

  it('is stacked where it is wider than the line, bold headers not counted', () => {
    for (const colour of [false, true]) {
      expect(table(rows, columns, { columns: 51, colour })).toBe(table(rows, columns, { colour }))
    }
    expect(table(rows.slice(0, 2), columns, { columns: 40 }).split('\n')).toEqual([
      'scheme     none',
      'time [ms]  -',
      'ratio      -',
      'ok         -',
      '',
      'scheme     row',
      'time [ms]  1,235',
      'ratio      1.03 [1.01, 1.05]',
      'ok         yes',
    ])
    expect(table([], columns, { columns: 5 })).toBe(table([], columns))
  })

  it('formats by column: percent, bytes, duration, count, plain, own function, digits', () => {
    const value = () => 0.01234
    const formats: Column<null>[] = [
      { header: 'a', value, format: 'percent' },
      { header: 'b', value: () => 2_000_000, format: 'bytes' },
      { header: 'c', value: () => 90_000, format: 'duration' },
      { header: 'd', value: () => 5e9, format: 'count' },
      { header: 'e', value, format: 'plain' },
      { header: 'f', value, format: (cell) => `<${String(cell)}>` },
      { header: 'g', value, digits: 1 },
      { header: 'h', value: () => ({ value: 0.5, low: 0.4, high: 0.6, confidence: 0.95, n: 3 }), format: 'percent' },
    ]
    expect(formatTable([null], formats).rows).toEqual([
      ['1.23 %', '2 MB', '1 min 30 s', '5 G', '0.01234', '<0.01234>', '0.01', '50 [40, 60] %'],
    ])
  })

  it('without rows has its header, and without columns is empty', () => {
    expect(table([], columns).split('\n')[0]).toBe('scheme  time [ms]  ratio  ok')
    expect(table(rows, [])).toBe('')
    expect(formatTable([], columns)).toEqual({
      headers: [
        { text: 'scheme', align: 'left' },
        { text: 'time [ms]', align: 'left' },
        { text: 'ratio', align: 'left' },
        { text: 'ok', align: 'left' },
      ],
      rows: [],
    })
  })

  it('keeps wide characters in their columns', () => {
    const lines = table(
      [{ name: '日本' }, { name: 'abcd' }],
      [
        { header: 'x', value: (row: Row) => row.name },
        { header: 'y', value: () => 1 },
      ],
    ).split('\n')
    expect(lines.slice(2)).toEqual(['日本  1', 'abcd  1'])
  })

  it('lets no outside text command the terminal or break a line', () => {
    const text = table(
      [{ name: '\u001b[31mred\u0007\nnext\r\tline\u009b2J' }],
      [{ header: '\u001b]0;title\u0007', value: (row: Row) => row.name }],
    )

    expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/)
    expect(text.split('\n').length).toBe(3)
  })

  it('has bold headers when colour is on, in the same places', () => {
    const plain = table(rows, columns)
    const coloured = table(rows, columns, { colour: true })
    expect(coloured).toContain('\u001b[1mscheme\u001b[22m')

    expect(coloured.replace(/\u001b\[\d+m/g, '')).toBe(plain)
  })
})

describe('bars', () => {
  it('are as long as their values, with eighths', () => {
    const lines = bars(
      [
        { label: 'a', value: 8 },
        { label: 'bb', value: 1 },
        { label: 'c', value: 0 },
      ],
      { width: 1 },
    ).split('\n')
    expect(lines).toEqual(['a   █ 8', 'bb  ▏ 1', 'c     0'])
  })

  it('have no length for values below 0 or not finite, and survive nothing at all', () => {
    const odd = [-1, NaN, Infinity, 2].map((value) => ({ label: 'x', value }))
    expect(bars(odd, { width: 2 }).split('\n')).toEqual(['x     -1', 'x     NaN', 'x     ∞', 'x  ██ 2'])
    expect(bars([])).toBe('')
    expect(bars([{ label: 'zero', value: 0 }], { width: 3 })).toBe('zero      0')
  })
})
