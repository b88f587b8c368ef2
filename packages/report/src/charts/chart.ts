// A chart in steps: what can be shown, axes, marks, the plot, and around it title, legend and theme.
import * as Plot from '@observablehq/plot'
import { histogramBins } from './bins.ts'
import { prepare, printableSpec, type PreparedChart } from './data.ts'
import { frame } from './frame.ts'
import { barMarks, histogramMarks, referenceMarks, seriesMarks } from './marks.ts'
import type { Axis, ChartSpec } from './spec.ts'
import { createDocument } from './document.ts'
import { layoutNames, shortened, type NameLayout } from './names.ts'
import { numericAxis, tickFormat, type NumericAxis } from './ticks.ts'

/**
 * Draws a chart as one self-contained SVG text: no script, no font, no outside resource; colours follow the reader's
 * dark or light setting and are light on paper; lines have dashes and points shapes, so that paper without colour
 * works. Text from outside is escaped.
 *
 * Values that are not finite (or not positive on a log axis) are left out and counted under the chart.
 *
 * Cost: some milliseconds a chart and 60 bytes a point.
 *
 * @throws FtError `INVALID_ARGUMENT` for a spec that cannot be drawn: see `ChartSpec`
 */
export function chart(given: ChartSpec): string {
  const spec = printableSpec(given)
  const prepared = prepare(spec)
  const { width = 680 } = spec
  const names = layoutNames(prepared.categories, width)
  const height = (spec.height ?? 340) + names.height
  const document = createDocument()
  const y = yAxis(spec, prepared)
  const x = prepared.x === 'category' ? undefined : xAxis(spec, prepared)
  const longest = Math.max(1, ...y.ticks.map(tickFormat(y.ticks)).map(({ length }) => length))
  const plot = Plot.plot({
    document,
    width,
    height,
    marginLeft: Math.max(34 + 7 * longest, names.left),
    marginBottom: 46 + names.height,
    marginTop: 12,
    marginRight: 18,
    style: { fontSize: '12px', color: 'var(--ft-text)' },
    y: numericScale(spec.y, y),
    x: xOptions(spec, { chart: prepared, axis: x, names }),
    marks: marksOf(spec, { chart: prepared, x, y }),
  })
  return frame(spec, { document, plot, chart: prepared, width, height })
}

function marksOf(
  spec: ChartSpec,
  { chart: prepared, x, y }: { chart: PreparedChart; x: NumericAxis | undefined; y: NumericAxis },
): Plot.Markish[] {
  const [bottom, top] = y.domain
  const foot = prepared.y === 'log' ? bottom : Math.min(Math.max(0, bottom), top)
  const [first] = prepared.series
  const data =
    first?.kind === 'bars'
      ? barMarks(prepared, foot)
      : first?.kind === 'histogram'
        ? histogramMarks(prepared, { foot, ...(spec.bins !== undefined && { bins: spec.bins }) })
        : prepared.series.flatMap(seriesMarks)
  const empty = prepared.series.every(({ points, values }) => points.length === 0 && values.length === 0)
  const note = empty ? [Plot.text(['no data'], { frameAnchor: 'middle', fill: 'var(--ft-muted)', fontSize: 14 })] : []
  return [
    Plot.ruleY(y.ticks, { stroke: 'var(--ft-grid)' }),
    Plot.ruleY([first?.kind === 'bars' ? foot : bottom], { stroke: 'var(--ft-muted)' }),
    ...data,
    ...referenceMarks(spec.marks ?? [], x),
    ...note,
  ]
}

function yAxis(spec: ChartSpec, prepared: PreparedChart): NumericAxis {
  const values: number[] = []
  for (const { points } of prepared.series) {
    for (const { y, low = y, high = y } of points) values.push(y, low, high)
  }
  const counts = histogramBins(prepared, spec).flatMap(({ bins }) => bins.map(({ count }) => count))
  values.push(...counts.filter((count) => count > 0))
  if (prepared.y === 'log' && counts.length > 0) values.push(0.8) // so that a count of 1 is visible
  for (const { axis, value } of spec.marks ?? []) if (axis === 'y') values.push(value)
  if (prepared.y === 'log' && prepared.series[0]?.kind === 'bars') values.push(...values.map((value) => value / 2))
  const zero = prepared.series.some(({ kind }) => kind === 'bars' || kind === 'histogram')
  return numericAxis(values, axisOptions(spec.y, { scale: prepared.y, zero }))
}

function xAxis(spec: ChartSpec, prepared: PreparedChart): NumericAxis {
  const values: number[] = []
  for (const { points } of prepared.series) for (const { x } of points) values.push(x as number)
  for (const { bins } of histogramBins(prepared, spec)) for (const { low, high } of bins) values.push(low, high)
  for (const { axis, value } of spec.marks ?? []) if (axis === 'x') values.push(value)
  return numericAxis(values, { ...axisOptions(spec.x, { scale: prepared.x, zero: false }), tight: true })
}

function axisOptions(axis: Axis, options: { scale: PreparedChart['x']; zero: boolean }) {
  return axis.domain === undefined ? options : { ...options, domain: axis.domain }
}

/** The x scale: numbers, categories, or categories at whole numbers with bars around them. */
function xOptions(
  spec: ChartSpec,
  { chart: prepared, axis, names }: { chart: PreparedChart; axis: NumericAxis | undefined; names: NameLayout },
): Plot.ScaleOptions {
  if (axis) return numericScale(spec.x, axis)
  const { categories } = prepared
  const shown = Array.from(categories.keys()).filter((i) => i % names.every === 0)
  const common = { tickRotate: names.rotate, ...labelled(spec.x) }
  if (prepared.series[0]?.kind !== 'bars') {
    const ticks = shown.map((i) => categories[i] ?? '')
    return { type: 'point', ...common, domain: [...categories], ticks, tickFormat: shortened }
  }
  const domain = [-0.5, Math.max(0, categories.length - 1) + 0.5]
  const tickFormat = (position: number) => shortened(categories[position] ?? '')
  return { type: 'linear', ...common, domain, ticks: shown, tickFormat, tickSize: 0 }
}

function numericScale(axis: Axis, { domain, ticks }: NumericAxis): Plot.ScaleOptions {
  return {
    type: axis.scale === 'log' ? 'log' : 'linear',
    domain: [...domain],
    ticks: [...ticks],
    tickFormat: tickFormat(ticks),
    clamp: axis.domain !== undefined,
    ...labelled(axis),
  }
}

function labelled({ label, unit }: Axis): Plot.ScaleOptions {
  return { label: unit === undefined ? label : `${label} [${unit}]`, labelArrow: 'none', labelAnchor: 'center' }
}
