import { parseHTML } from 'linkedom'
import { describe, expect, it } from 'vitest'
import { chart, type ChartSpec, type Series } from '../src/charts.ts'

const axes = { x: { label: 'size' }, y: { label: 'time', unit: 'ms' } }
const line = (ys: number[], name = 'a'): Series => ({ kind: 'line', name, points: ys.map((y, x) => ({ x, y })) })
const draw = (spec: Partial<ChartSpec>) => parse(chart({ title: 'T', ...axes, series: [], ...spec }))

function parse(svg: string): Element {
  return parseHTML(`<!doctype html><body>${svg}</body>`).document.querySelector('svg') as unknown as Element
}

const texts = (svg: Element) => Array.from(svg.querySelectorAll('text'), (node) => node.textContent)
const count = (svg: Element, selector: string) => svg.querySelectorAll(selector).length
const pathOf = (svg: Element, label: string) =>
  svg.querySelector(`[aria-label="${label}"] path`)?.getAttribute('d') ?? ''

/** Bars and bins are rectangles of the plot; the legend's squares are outside it. */
const rectangles = (svg: Element) => Array.from(svg.querySelectorAll('[aria-label="rect"] rect'))
const size = (rect: Element, side: 'width' | 'height') => Number(rect.getAttribute(side))

describe('a chart', () => {
  it('has title, subtitle, axis labels with units, and a description for readers that do not see', () => {
    const svg = draw({ subtitle: 'seed 7', series: [line([1, 2, 3])] })
    expect(texts(svg)).toEqual(expect.arrayContaining(['T', 'seed 7', 'size', 'time [ms]']))
    expect(svg.getAttribute('role')).toBe('img')
    expect(svg.querySelector('title')?.textContent).toBe('T')
    expect(svg.querySelector('desc')?.textContent).toBe('time against size. a. seed 7')
  })

  it('has a legend only when there is something to tell apart', () => {
    expect(texts(draw({ series: [line([1, 2], 'only')] }))).not.toContain('only')
    const svg = draw({ series: [line([1, 2], 'first'), line([2, 1], 'second')] })
    expect(texts(svg)).toEqual(expect.arrayContaining(['first', 'second']))
  })

  it('tells series apart by colour and by dash', () => {
    const svg = draw({ series: Array.from({ length: 10 }, (_, i) => line([i, i + 1], `s${i}`)) })
    const styles = Array.from(svg.querySelectorAll('[aria-label="line"]'), (g) => {
      return `${g.getAttribute('stroke')} ${g.getAttribute('stroke-dasharray')}`
    })
    expect(new Set(styles).size).toBe(10)
  })

  it('gives one thing the same look in several charts', () => {
    const stroke = (svg: Element, at: number) => {
      const g = svg.querySelectorAll('[aria-label="line"]')[at]
      return `${g?.getAttribute('stroke')} ${g?.getAttribute('stroke-dasharray')}`
    }
    const b: Series = { ...line([1, 2], 'b'), look: 1 }
    expect(stroke(draw({ series: [b] }), 0)).toBe(stroke(draw({ series: [line([1, 2], 'a'), line([1, 2], 'b')] }), 1))
    expect(() => draw({ series: [{ ...b, look: -1 }] })).toThrow(/`series\.look` must be an integer/)
  })

  it('needs nothing from outside and no script', () => {
    const svg = chart({ title: 'T', ...axes, series: [line([1, 2])] })
    expect(svg).not.toMatch(/<script|href=|url\(|@import|src=/)
    expect(svg.match(/https?:\/\/[^"]*/g)).toEqual(['http://www.w3.org/2000/svg'])
    for (const query of ['prefers-color-scheme:dark', '@media print']) expect(svg).toContain(query)
  })

  it('shows hostile text as text', () => {
    const hostile = '</text></svg><script>alert(1)</script><img src=x onerror="alert(2)">&amp;\u0000'
    const spec: ChartSpec = {
      title: hostile,
      subtitle: hostile,
      x: { label: hostile, unit: hostile },
      y: { label: hostile },
      series: [
        { kind: 'bars', name: hostile, points: [{ x: hostile, y: 1 }] },
        { kind: 'bars', name: `${hostile} 2`, points: [{ x: 'b', y: 1 }] },
      ],
      marks: [{ axis: 'y', value: 1, label: hostile }],
    }
    const { document } = parseHTML(`<!doctype html><body>${chart(spec)}</body>`)
    expect(document.querySelectorAll('script, img').length).toBe(0)
    expect(document.querySelectorAll('body > *').length).toBe(1)
    const shown = Array.from(document.querySelectorAll('text'), (node) => node.textContent ?? '')
    expect(shown.filter((text) => text.startsWith('</text></svg><script>')).length).toBeGreaterThanOrEqual(5)
  })
})

describe('lines', () => {
  it('have a place for each point, also a thousand and more', () => {
    const svg = draw({ series: [line(Array.from({ length: 1000 }, (_, i) => Math.sin(i / 50)))] })
    expect(pathOf(svg, 'line').split(/[ML]/).length - 1).toBe(1000)
  })

  it('break where a value cannot be shown, which is counted', () => {
    const svg = draw({ series: [line([1, 2, NaN, 3, 4, Infinity, 5])] })
    expect(pathOf(svg, 'line').match(/M/g)?.length).toBe(3)
    expect(texts(svg)).toContain('2 values that cannot be shown (not finite, or not positive on a log axis)')
    expect(svg.outerHTML).not.toContain('NaN')
  })

  it('show a point that stands alone', () => {
    expect(count(draw({ series: [line([1, NaN, 3])] }), '[aria-label="dot"] circle')).toBe(2)
    expect(count(draw({ series: [line([1, 2, 3])] }), '[aria-label="dot"] circle')).toBe(0)
  })

  it('have bands where points have intervals', () => {
    const points = [1, 2, 3].map((x) => ({ x, y: x, low: x - 0.5, high: x + 0.5 }))
    expect(count(draw({ series: [{ kind: 'line', name: 'a', points }] }), '[aria-label="area"] path')).toBe(1)
    expect(count(draw({ series: [line([1, 2])] }), '[aria-label="area"] path')).toBe(0)
  })

  it('go up where values go up', () => {
    const [first, second] = pathOf(draw({ series: [line([1, 2])] }), 'line')
      .slice(1)
      .split('L')
      .map((pair) => pair.split(',').map(Number))
    expect((second?.[0] ?? 0) > (first?.[0] ?? 0)).toBe(true)
    expect((second?.[1] ?? 0) < (first?.[1] ?? 0)).toBe(true) // pixels count downwards
  })
})

describe('log axes', () => {
  it('are even in ratios and leave out what is not positive', () => {
    const svg = draw({ y: { label: 'y', scale: 'log' }, series: [line([1, 10, 100, 0, -5])] })
    const heights = pathOf(svg, 'line')
      .slice(1)
      .split('L')
      .map((pair) => Number(pair.split(',')[1]))
    // Coordinates are rounded to a thousandth of a pixel
    expect(Math.abs(heights[0]! - heights[1]! - (heights[1]! - heights[2]!))).toBeLessThan(0.01)
    expect(texts(svg)).toEqual(expect.arrayContaining(['1', '10', '100']))
    expect(texts(svg).some((text) => text?.startsWith('2 values that cannot be shown'))).toBe(true)
  })

  it.each([
    [[1e-9, 1e12], 6],
    [[3, 4], 3],
    [[1, 30], 4],
    [[7, 7], 2],
  ])('from %j have some labels, and no more than fit', (ys, least) => {
    const svg = draw({ y: { label: 'y', scale: 'log' }, series: [line(ys)] })
    const labels = count(svg, '[aria-label="y-axis tick label"] text')
    expect(labels).toBeGreaterThanOrEqual(least)
    expect(labels).toBeLessThanOrEqual(14)
  })
})

describe('points', () => {
  it('are as many as can be shown, each with its error bar', () => {
    const points = [
      { x: 1, y: 1, low: 0, high: 2 },
      { x: 2, y: 2 },
      { x: 3, y: NaN },
      { x: 4, y: 4, low: NaN, high: 5 },
    ]
    const svg = draw({ series: [{ kind: 'points', name: 'a', points }] })
    expect(count(svg, '[aria-label="dot"] path, [aria-label="dot"] circle')).toBe(3)
    expect(count(svg, '[aria-label="rule"][stroke="var(--ft-series-1)"] line')).toBe(2)
  })
})

describe('bars', () => {
  const series: Series[] = ['a', 'b'].map((name, i) => ({
    kind: 'bars',
    name,
    points: [
      { x: 'conv', y: 2 + i, low: 1, high: 4 },
      { x: 'fc', y: 4 },
    ],
  }))

  it('stand beside each other in each category, as high as their values', () => {
    const rects = rectangles(draw({ series }))
    expect(rects.length).toBe(4)
    const [a1, a2, b1] = rects.map((rect) => ({ x: Number(rect.getAttribute('x')), height: size(rect, 'height') }))
    expect(a1!.x < b1!.x && b1!.x < a2!.x).toBe(true)
    // Heights are differences of coordinates that are rounded to a thousandth of a pixel
    expect(Math.abs(a2!.height / a1!.height - 2)).toBeLessThan(0.001)
    expect(Math.abs(b1!.height / a1!.height - 1.5)).toBeLessThan(0.001)
    expect(texts(draw({ series }))).toEqual(expect.arrayContaining(['conv', 'fc']))
  })

  it('go down from 0 for negative values, and stand on the foot of a log axis', () => {
    const down = rectangles(
      draw({
        series: [
          {
            kind: 'bars',
            name: 'a',
            points: [
              { x: 'p', y: -1 },
              { x: 'q', y: 1 },
            ],
          },
        ],
      }),
    )
    const [below, above] = down.map((rect) => Number(rect.getAttribute('y')))
    expect(below).toBeCloseTo(above! + size(down[1]!, 'height'), 2)
    const log = rectangles(
      draw({
        y: { label: 'y', scale: 'log' },
        series: [
          {
            kind: 'bars',
            name: 'a',
            points: [
              { x: 'p', y: 1 },
              { x: 'q', y: 100 },
            ],
          },
        ],
      }),
    )
    expect(log.every((rect) => size(rect, 'height') > 5)).toBe(true)
  })

  it('have their names slanted, shortened and thinned out when there are many', () => {
    const points = Array.from({ length: 200 }, (_, i) => ({ x: `layer number ${i} with a very long name`, y: i }))
    const svg = draw({ series: [{ kind: 'bars', name: 'a', points }] })
    const labels = Array.from(svg.querySelectorAll('[aria-label="x-axis tick label"] text'))
    expect(labels.length).toBeLessThan(50)
    expect(labels[0]?.textContent).toBe('layer numbe…ry long name')
    expect(svg.outerHTML).toContain('rotate(-35)')
    expect(rectangles(svg).length).toBe(200)
  })
})

describe('histograms', () => {
  const values = Array.from({ length: 1000 }, (_, i) => i / 100)

  it('count every finite value once', () => {
    const svg = draw({ series: [{ kind: 'histogram', name: 'a', values: [...values, NaN, Infinity] }], bins: 4 })
    const rects = rectangles(svg)
    expect(rects.length).toBe(4)
    expect(new Set(rects.map((rect) => Math.round(size(rect, 'height')))).size).toBe(1) // 250 each
    expect(texts(svg).some((text) => text?.startsWith('2 values'))).toBe(true)
  })

  it('share edges between series, and are drawn for one value and for none', () => {
    const two = draw({
      series: [1, 2].map((scale) => ({ kind: 'histogram', name: `${scale}`, values: values.map((x) => x * scale) })),
    })
    const places = rectangles(two).map((rect) => rect.getAttribute('x'))
    expect(new Set(places).size).toBeLessThan(places.length)
    expect(rectangles(draw({ series: [{ kind: 'histogram', name: 'a', values: [3] }] })).length).toBe(1)
    expect(texts(draw({ series: [{ kind: 'histogram', name: 'a', values: [] }] }))).toContain('no data')
  })

  it('have bins of equal ratio on a log axis', () => {
    const svg = draw({
      x: { label: 'x', scale: 'log' },
      series: [{ kind: 'histogram', name: 'a', values: [1, 3, 30, 300, 1000, -1] }],
      bins: 3,
    })
    const widths = rectangles(svg).map((rect) => size(rect, 'width'))
    expect(widths.length).toBe(3)
    expect(Math.max(...widths) - Math.min(...widths)).toBeLessThan(0.01) // rounding of coordinates
  })
})

describe('empty and odd data', () => {
  it.each<[string, Partial<ChartSpec>]>([
    ['no series', { series: [] }],
    ['a series without points', { series: [line([])] }],
    ['only NaN', { series: [line([NaN, NaN])] }],
    ['only zeros on a log axis', { y: { label: 'y', scale: 'log' }, series: [line([0, 0])] }],
    ['bars without points', { series: [{ kind: 'bars', name: 'a', points: [] }] }],
  ])('%s says that there is no data', (_, spec) => {
    const svg = draw(spec)
    expect(texts(svg)).toContain('no data')
    expect(svg.outerHTML).not.toMatch(/NaN|Infinity|undefined/)
  })

  it.each<[string, number[]]>([
    ['a constant', [5, 5, 5]],
    ['zeros', [0, 0]],
    ['huge values', [1e300, -1e300]],
    ['tiny values', [1e-300, 2e-300]],
    ['neighbours', [1, 1 + Number.EPSILON]],
  ])('%s are drawn', (_, ys) => {
    const svg = draw({ series: [line(ys)] })
    expect(pathOf(svg, 'line').length).toBeGreaterThan(5)
    expect(svg.outerHTML).not.toMatch(/NaN|Infinity|undefined/)
  })

  it('marks are lines with labels at their values', () => {
    const svg = draw({
      series: [line([0, 10])],
      marks: [
        { axis: 'y', value: 20, label: 'target' },
        { axis: 'x', value: 0.5, label: 'half' },
      ],
    })
    expect(texts(svg)).toEqual(expect.arrayContaining(['target', 'half']))
    expect(count(svg, '[stroke-dasharray="4 3"] line')).toBe(2)
  })
})

describe('a chart that cannot be drawn', () => {
  const bars: Series = { kind: 'bars', name: 'b', points: [{ x: 'p', y: 1 }] }
  it.each<[string, Partial<ChartSpec>]>([
    ['an unknown kind', { series: [{ kind: 'pie', name: 'a', points: [] } as unknown as Series] }],
    ['bars beside lines', { series: [bars, line([1])] }],
    ['a histogram beside points', { series: [{ kind: 'histogram', name: 'h', values: [] }, line([1])] }],
    ['categories up the side', { y: { label: 'y', scale: 'category' } }],
    ['a domain of one value', { x: { label: 'x', domain: [1, 1] } }],
    ['a domain backwards', { x: { label: 'x', domain: [2, 1] } }],
    ['a log domain from 0', { y: { label: 'y', scale: 'log', domain: [0, 1] } }],
    ['a width of NaN', { width: NaN }],
    ['no bins', { bins: 0 }],
    ['a mark at NaN', { marks: [{ axis: 'y', value: NaN, label: '' }] }],
    ['a mark at 0 of a log axis', { y: { label: 'y', scale: 'log' }, marks: [{ axis: 'y', value: 0, label: '' }] }],
    ['a mark at a number among categories', { series: [bars], marks: [{ axis: 'x', value: 1, label: '' }] }],
  ])('by %s is refused', (_, spec) => {
    expect(() => draw(spec)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }) as Error)
  })
})
