// What of a chart's data can be shown: finite values, positive ones on log axes. The rest is counted and said.
import { assertInteger, assertNumber, assertOneOf, invalidArgument } from '@ft/core'
import { printable } from '../text.ts'
import type { Axis, ChartSpec, Point, Series } from './spec.ts'

export type ScaleKind = 'linear' | 'log' | 'category'

/** A series whose points can all be placed; `gaps` keeps the places of those that cannot, for lines. */
export interface PreparedSeries {
  readonly name: string
  readonly kind: Series['kind']
  /** Its look, by default its position in the chart: colour, dash and symbol follow it. */
  readonly index: number
  readonly points: readonly Point[]
  /** Points with NaN where a value cannot be shown. */
  readonly withGaps: readonly Point[]
  /** Values of a histogram. */
  readonly values: Float64Array
}

export interface PreparedChart {
  readonly x: ScaleKind
  readonly y: ScaleKind
  readonly series: readonly PreparedSeries[]
  /** Categories of x in order of first appearance. */
  readonly categories: readonly string[]
  /** Values that are not finite, or not positive on a log axis. */
  readonly hidden: number
}

/**
 * @throws FtError `INVALID_ARGUMENT` for an unknown kind, a size or domain that is no range, a category axis for y, or
 * histograms beside other kinds
 */
export function prepare(spec: ChartSpec): PreparedChart {
  checkSpec(spec)
  const bars = spec.series.some(({ kind }) => kind === 'bars')
  const texts = spec.series.some((series) => 'points' in series && series.points.some(({ x }) => typeof x === 'string'))
  const x: ScaleKind = bars || texts ? 'category' : (spec.x.scale ?? 'linear')
  const y: ScaleKind = spec.y.scale ?? 'linear'
  const categories = new Set<string>()
  let hidden = 0
  const series = spec.series.map((each, place): PreparedSeries => {
    const { name, kind, look: index = place } = each
    if (each.kind === 'histogram') {
      const values = Float64Array.from(each.values).filter((value) => placeable(value, x))
      hidden += each.values.length - values.length
      return { name, kind, index, points: [], withGaps: [], values }
    }
    const withGaps = each.points.map((point): Point => {
      if (x === 'category') categories.add(String(point.x))
      if (placeable(point.y, y) && (x === 'category' || placeable(point.x as number, x)))
        return cleaned(point, { x, y })
      hidden += 1
      return { x: x === 'category' ? String(point.x) : point.x, y: NaN }
    })
    const points = withGaps.filter((point) => !Number.isNaN(point.y))
    return { name, kind, index, points, withGaps, values: new Float64Array(0) }
  })
  for (const { axis, value } of spec.marks ?? []) {
    if (axis === 'x' && x === 'category') {
      throw invalidArgument({ where: 'chart', argument: 'marks' }, 'of the y axis when x has categories', axis)
    }
    if (!placeable(value, axis === 'x' ? x : y)) {
      throw invalidArgument({ where: 'chart', argument: 'marks' }, `at values that the ${axis} axis has`, value)
    }
  }
  return { x, y, series, categories: [...categories], hidden }
}

/** The spec with texts that XML can hold: control characters become '?', line ends spaces. */
export function printableSpec(spec: ChartSpec): ChartSpec {
  const axis = (given: Axis): Axis => ({
    ...given,
    label: printable(given.label),
    ...(given.unit !== undefined && { unit: printable(given.unit) }),
  })
  const point = (given: Point): Point => (typeof given.x === 'string' ? { ...given, x: printable(given.x) } : given)
  const { subtitle, marks } = spec
  return {
    ...spec,
    title: printable(spec.title),
    ...(subtitle !== undefined && { subtitle: printable(subtitle) }),
    x: axis(spec.x),
    y: axis(spec.y),
    ...(marks !== undefined && { marks: marks.map((mark) => ({ ...mark, label: printable(mark.label) })) }),
    series: spec.series.map((each) => {
      const name = printable(each.name)
      return each.kind === 'histogram' ? { ...each, name } : { ...each, name, points: each.points.map(point) }
    }),
  }
}

/** A point whose interval ends are usable: an end that cannot be placed is cut to the value itself. */
function cleaned(point: Point, scales: { x: ScaleKind; y: ScaleKind }): Point {
  const x = scales.x === 'category' ? String(point.x) : point.x
  const { y, low, high } = point
  if (low === undefined && high === undefined) return { x, y }
  const end = (value: number | undefined) => (value !== undefined && placeable(value, scales.y) ? value : y)
  return { x, y, low: end(low), high: end(high) }
}

function placeable(value: number, scale: ScaleKind): boolean {
  return Number.isFinite(value) && (scale !== 'log' || value > 0)
}

function checkSpec(spec: ChartSpec): void {
  const where = 'chart'
  const { width = 680, height = 340, bins = 30, series } = spec
  assertInteger(width, { where, argument: 'width', min: 200, max: 10_000 })
  assertInteger(height, { where, argument: 'height', min: 100, max: 10_000 })
  assertInteger(bins, { where, argument: 'bins', min: 1, max: 1000 })
  checkAxis(spec.x, 'x')
  checkAxis(spec.y, 'y')
  if (spec.y.scale === 'category') throw invalidArgument({ where, argument: 'y.scale' }, 'linear or log', 'category')
  for (const { kind, look = 0 } of series) {
    assertInteger(look, { where, argument: 'series.look', min: 0, max: 1000 })
    assertOneOf(kind, { where, argument: 'series.kind', values: ['line', 'points', 'bars', 'histogram'] })
  }
  for (const exclusive of ['histogram', 'bars'] as const) {
    const count = series.filter(({ kind }) => kind === exclusive).length
    if (count > 0 && count < series.length) {
      throw invalidArgument(
        { where, argument: 'series' },
        `only ${exclusive} when one is`,
        series.map(({ kind }) => kind),
      )
    }
  }
}

function checkAxis({ scale = 'linear', domain }: Axis, name: 'x' | 'y'): void {
  const where = 'chart'
  assertOneOf(scale, { where, argument: `${name}.scale`, values: ['linear', 'log', 'category'] })
  if (domain === undefined) return
  const [low, high] = domain
  assertNumber(low, { where, argument: `${name}.domain[0]` })
  assertNumber(high, { where, argument: `${name}.domain[1]`, min: low })
  if (low === high || (scale === 'log' && low <= 0)) {
    throw invalidArgument({ where, argument: `${name}.domain` }, 'a range, positive on log axes', domain)
  }
}
