// Marks of Observable Plot for each kind of series.
import * as Plot from '@observablehq/plot'
import { histogramBins } from './bins.ts'
import type { PreparedChart, PreparedSeries } from './data.ts'
import type { Mark, Point } from './spec.ts'
import type { NumericAxis } from './ticks.ts'
import { seriesColour, seriesDash, seriesSymbol } from './theme.ts'

/** Marks of one series of lines or points, back to front. */
export function seriesMarks(series: PreparedSeries): Plot.Markish[] {
  return series.kind === 'line' ? lineMarks(series) : pointMarks(series)
}

function lineMarks({ points, withGaps, index }: PreparedSeries): Plot.Markish[] {
  const colour = seriesColour(index)
  const channels = { x: 'x', stroke: colour, strokeDasharray: seriesDash(index) }
  const marks: Plot.Markish[] = []
  if (points.some(hasInterval)) {
    const band = withGaps.map((point) => ({ x: point.x, low: point.low ?? point.y, high: point.high ?? point.y }))
    marks.push(Plot.areaY(band, { x: 'x', y1: 'low', y2: 'high', fill: colour, fillOpacity: 0.18 }))
  }
  marks.push(Plot.lineY(withGaps, { ...channels, y: 'y', strokeWidth: 2, strokeLinejoin: 'round' }))
  // A single point, or one between two gaps, has no line: a dot shows it
  const lonely = withGaps.filter((point, i) => !isGap(point) && isGap(withGaps[i - 1]) && isGap(withGaps[i + 1]))
  if (lonely.length > 0) marks.push(Plot.dot(lonely, { x: 'x', y: 'y', fill: colour, r: 3 }))
  return marks
}

function pointMarks({ points, index }: PreparedSeries): Plot.Markish[] {
  const colour = seriesColour(index)
  const dots = Plot.dot(points, {
    x: 'x',
    y: 'y',
    symbol: seriesSymbol(index),
    stroke: colour,
    fill: colour,
    fillOpacity: points.length > 200 ? 0.3 : 0.7,
    r: points.length > 200 ? 2 : 3.5,
  })
  const bars = Plot.ruleX(points.filter(hasInterval), {
    x: 'x',
    y1: 'low',
    y2: 'high',
    stroke: colour,
    strokeWidth: 1.5,
  })
  return [bars, dots]
}

/** Bars of all series, beside each other around the whole number of their category. */
export function barMarks({ series, categories }: PreparedChart, foot: number): Plot.Markish[] {
  const positions = new Map(categories.map((name, i) => [name, i]))
  const width = 0.8 / series.length
  return series.flatMap(({ points, index }, place) => {
    const rows = points.map((point) => {
      const left = (positions.get(String(point.x)) ?? 0) - 0.4 + place * width
      return { ...point, foot, left, middle: left + width / 2, right: left + width }
    })
    const across = { x1: 'left', x2: 'right', insetLeft: 1, insetRight: 1 }
    return [
      Plot.rect(rows, { ...across, y1: 'foot', y2: 'y', fill: seriesColour(index) }),
      Plot.ruleX(rows.filter(hasInterval), {
        x: 'middle',
        y1: 'low',
        y2: 'high',
        stroke: 'var(--ft-text)',
        strokeWidth: 1.2,
      }),
    ]
  })
}

/** Histograms of all series over common edges. */
export function histogramMarks(chart: PreparedChart, options: { bins?: number; foot: number }): Plot.Markish[] {
  const counts = histogramBins(chart, options)
  const overlay = chart.series.length > 1
  return counts.map(({ index, bins }) =>
    Plot.rect(
      bins.filter(({ count }) => count > 0).map((bin) => ({ ...bin, foot: options.foot })),
      {
        x1: 'low',
        x2: 'high',
        y1: 'foot',
        y2: 'count',
        fill: seriesColour(index),
        fillOpacity: overlay ? 0.45 : 0.8,
        stroke: seriesColour(index),
        strokeWidth: overlay ? 1 : 0,
        inset: overlay ? 0 : 0.5,
      },
    ),
  )
}

/** Reference lines with their labels, which stay inside the frame. */
export function referenceMarks(marks: readonly Mark[], x: NumericAxis | undefined): Plot.Markish[] {
  const style = { stroke: 'var(--ft-muted)', strokeDasharray: '4 3' }
  return marks.flatMap((mark) => {
    const halo = { stroke: 'var(--ft-background)', strokeWidth: 4 }
    const label = { text: [mark.label], fill: 'var(--ft-muted)', ...halo }
    if (mark.axis === 'y') {
      return [
        Plot.ruleY([mark.value], style),
        Plot.text([mark.value], { ...label, y: [mark.value], frameAnchor: 'right', textAnchor: 'end', dy: -7 }),
      ]
    }
    const [low, high] = x?.domain ?? [0, 1]
    const late = mark.value > (low > 0 ? Math.sqrt(low * high) : (low + high) / 2)
    const side = late ? { textAnchor: 'end' as const, dx: -5 } : { textAnchor: 'start' as const, dx: 5 }
    return [
      Plot.ruleX([mark.value], style),
      Plot.text([mark.value], { ...label, ...side, x: [mark.value], frameAnchor: 'top', dy: 6 }),
    ]
  })
}

function hasInterval(point: Point): boolean {
  return point.low !== undefined && point.high !== undefined
}

function isGap(point: Point | undefined): boolean {
  return point === undefined || Number.isNaN(point.y)
}
