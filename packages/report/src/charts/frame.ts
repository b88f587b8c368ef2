// What surrounds a plot: title, subtitle, legend, theme and a note of what is not shown.
import type { PreparedChart, PreparedSeries } from './data.ts'
import type { ChartSpec } from './spec.ts'
import { seriesColour, seriesDash, seriesSymbol, symbolPath, themeCss } from './theme.ts'

const SVG = 'http://www.w3.org/2000/svg'
/** Pixels a character of 12 px text takes at most, on average: enough to lay out a legend without measuring. */
const CHARACTER = 7.2
const LINE = 20

interface Parts {
  readonly document: Document
  readonly plot: Element
  readonly chart: PreparedChart
  readonly width: number
  readonly height: number
}

/** The finished SVG as text. */
export function frame(spec: ChartSpec, parts: Parts): string {
  const { document, plot, chart, width, height } = parts
  const add = creator(document)
  const root = add('svg', { xmlns: SVG, class: 'ft-chart', role: 'img', 'font-family': 'system-ui, sans-serif' })
  add('title', {}, { parent: root, text: spec.title })
  add('desc', {}, { parent: root, text: description(spec) })
  add(
    'style',
    {},
    {
      parent: root,
      text: `${themeCss('.ft-chart')}.ft-chart{background:var(--ft-background);max-width:100%;height:auto}`,
    },
  )
  let top = 24
  const text = { x: '12', fill: 'var(--ft-text)' }
  add('text', { ...text, y: String(top), 'font-size': '16', 'font-weight': '600' }, { parent: root, text: spec.title })
  if (spec.subtitle !== undefined) {
    top += LINE
    const muted = { ...text, y: String(top), 'font-size': '12', fill: 'var(--ft-muted)' }
    add('text', muted, { parent: root, text: spec.subtitle })
  }
  top = legend(chart.series, { add, root, width, top })
  top += 10
  plot.querySelectorAll('style').forEach((style) => style.remove())
  plot.removeAttribute('class')
  for (const [name, value] of Object.entries({
    x: '0',
    y: String(top),
    width: String(width),
    height: String(height),
  })) {
    plot.setAttribute(name, value)
  }
  root.append(plot)
  let bottom = top + height
  if (chart.hidden > 0) {
    bottom += LINE
    const note = `${chart.hidden} value${chart.hidden === 1 ? '' : 's'} that cannot be shown (not finite, or not positive on a log axis)`
    add(
      'text',
      { x: '12', y: String(bottom - 6), 'font-size': '12', fill: 'var(--ft-muted)' },
      { parent: root, text: note },
    )
  }
  root.setAttribute('viewBox', `0 0 ${width} ${bottom}`)
  root.setAttribute('width', String(width))
  root.setAttribute('height', String(bottom))
  return root.outerHTML
}

type Creator = (
  name: string,
  attributes: Readonly<Record<string, string>>,
  options?: { parent?: Element; text?: string },
) => Element

function creator(document: Document): Creator {
  return (name, attributes, { parent, text } = {}) => {
    const element = document.createElementNS(SVG, name)
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value)
    if (text !== undefined) element.textContent = text
    parent?.append(element)
    return element
  }
}

/** Draws names with their strokes, in as many rows as they need; returns the last row's height. */
function legend(
  series: readonly PreparedSeries[],
  { add, root, width, top }: { add: Creator; root: Element; width: number; top: number },
): number {
  if (series.length < 2) return top
  let x = 12
  let y = top + LINE + 2
  for (const { name, index, kind } of series) {
    const space = 34 + name.length * CHARACTER
    if (x > 12 && x + space > width) {
      x = 12
      y += LINE
    }
    const colour = seriesColour(index)
    if (kind === 'line') {
      const line = { x1: String(x), x2: String(x + 22), y1: String(y - 4), y2: String(y - 4), 'stroke-width': '2' }
      add('line', { ...line, stroke: colour, 'stroke-dasharray': seriesDash(index) }, { parent: root })
    } else if (kind === 'points') {
      const shape = symbolPath(seriesSymbol(index), { x: x + 11, y: y - 4 })
      add('path', { d: shape, fill: colour, stroke: colour }, { parent: root })
    } else {
      const box = { x: String(x + 6), y: String(y - 10), width: '11', height: '11' }
      add('rect', { ...box, fill: colour }, { parent: root })
    }
    const label = { x: String(x + 27), y: String(y), 'font-size': '12', fill: 'var(--ft-text)' }
    add('text', label, { parent: root, text: name })
    x += space
  }
  return y
}

function description({ x, y, series, subtitle }: ChartSpec): string {
  const axes = `${y.label} against ${x.label}`
  const names = series.map(({ name }) => name).join(', ')
  return [axes, names, subtitle ?? ''].filter((part) => part !== '').join('. ')
}
