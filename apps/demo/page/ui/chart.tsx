// A live chart: uPlot in the page's colours, redrawn when data, width or colour scheme change.
import { useEffect, useRef, useSyncExternalStore } from 'react'
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'

export interface LineSpec {
  readonly name: string
  /** Which of the page's colours. */
  readonly tone: 'accent' | 'text' | 'muted'
  readonly dash?: readonly number[]
  readonly bars?: boolean
  readonly stepped?: boolean
}

interface ChartProps {
  readonly title: string
  readonly x: string
  readonly y: string
  readonly lines: readonly LineSpec[]
  /** x, then one column a line; null leaves a gap. */
  readonly data: readonly (readonly (number | null)[])[]
  readonly height?: number
  readonly logX?: boolean
  readonly logY?: boolean
  readonly range?: { readonly x?: readonly [number, number]; readonly y?: readonly [number, number] }
  /** Vertical lines with a word. */
  readonly marks?: readonly { readonly x: number; readonly label: string }[]
}

const dark = matchMedia('(prefers-color-scheme: dark)')
const onScheme = (changed: () => void) => {
  dark.addEventListener('change', changed)
  return () => dark.removeEventListener('change', changed)
}

export function Chart(props: ChartProps) {
  const { title, lines, data, height = 240 } = props
  const place = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot>(undefined)
  const scheme = useSyncExternalStore(onScheme, () => dark.matches)
  const marks = useRef(props.marks)
  const shape = JSON.stringify([title, props.x, props.y, lines, height, props.logX, props.logY, props.range, scheme])
  useEffect(() => {
    const element = place.current
    if (!element) return
    const own = new uPlot(optionsOf(props, { element, marks }), data as unknown as uPlot.AlignedData, element)
    plot.current = own
    const sizes = new ResizeObserver(() => own.setSize({ width: element.clientWidth, height }))
    sizes.observe(element)
    return () => {
      sizes.disconnect()
      own.destroy()
    }
  }, [shape])
  useEffect(() => {
    marks.current = props.marks
    plot.current?.setData(data as unknown as uPlot.AlignedData)
  }, [data, props.marks])
  return (
    <figure className="chart">
      <figcaption>
        <span>{title}</span>
        {lines.map(({ name, tone, dash }) => (
          <span key={name} className={`key ${tone}${dash ? ' dashed' : ''}`}>
            {name}
          </span>
        ))}
      </figcaption>
      <div ref={place} role="img" aria-label={describe(props)} />
    </figure>
  )
}

/** The chart in words: where each line stands. */
function describe({ title, x, y, lines, data }: ChartProps): string {
  const last = lines.map(({ name }, i) => {
    const values = (data[i + 1] ?? []).filter((value) => value !== null)
    return `${name} ${values.at(-1)?.toPrecision(4) ?? 'empty'}`
  })
  return `${title}: ${y} over ${x}; now ${last.join(', ')}`
}

function optionsOf(
  { x, y, lines, height = 240, logX = false, logY = false, range }: ChartProps,
  { element, marks }: { element: HTMLElement; marks: { readonly current: ChartProps['marks'] } },
): uPlot.Options {
  const style = getComputedStyle(element)
  const colour = (name: string) => style.getPropertyValue(`--${name}`).trim()
  const font = `12px ${style.fontFamily}`
  const axis = {
    stroke: colour('muted'),
    grid: { stroke: colour('line'), width: 1 },
    ticks: { show: false },
    font,
    labelFont: font,
  }
  return {
    width: element.clientWidth,
    height,
    legend: { show: false },
    cursor: { show: false },
    padding: [8, 12, 0, 0],
    scales: {
      x: {
        time: false,
        ...(logX ? { distr: 3 as const } : {}),
        ...(range?.x ? { range: [...range.x] as [number, number] } : {}),
      },
      y: { ...(logY ? { distr: 3 as const } : {}), ...(range?.y ? { range: [...range.y] as [number, number] } : {}) },
    },
    axes: [
      { ...axis, label: x, labelSize: 20, size: 34, ...(logX ? { splits: decades } : {}) },
      { ...axis, label: y, labelSize: 20, size: 52, ...(logY ? { splits: decades } : {}) },
    ],
    series: [
      {},
      ...lines.map(({ name, tone, dash, bars, stepped }) => ({
        label: name,
        stroke: colour(tone),
        width: bars ? 1 : 2,
        points: { show: false },
        ...(dash ? { dash: [...dash] } : {}),
        ...(stepped ? { paths: uPlot.paths.stepped?.({ align: 1 }) as uPlot.Series.PathBuilder } : {}),
        ...(bars
          ? { paths: uPlot.paths.bars?.({ size: [0.8, 40] }) as uPlot.Series.PathBuilder, fill: colour(tone) }
          : {}),
      })),
    ],
    hooks: { draw: [(plot) => drawMarks(plot, marks.current ?? [], colour)] },
  }
}

/** Powers of ten between two values. */
const decades = (_plot: uPlot, _axis: number, low: number, high: number): number[] => {
  const powers: number[] = []
  for (let power = Math.ceil(Math.log10(low)); 10 ** power <= high; power++) powers.push(10 ** power)
  return powers
}

function drawMarks(plot: uPlot, marks: NonNullable<ChartProps['marks']>, colour: (name: string) => string): void {
  const { ctx, bbox } = plot
  ctx.save()
  ctx.strokeStyle = colour('muted')
  ctx.fillStyle = colour('text')
  ctx.font = `${11 * devicePixelRatio}px sans-serif`
  for (const { x, label } of marks) {
    const at = plot.valToPos(x, 'x', true)
    if (!(at >= bbox.left && at <= bbox.left + bbox.width)) continue
    ctx.beginPath()
    ctx.moveTo(at, bbox.top)
    ctx.lineTo(at, bbox.top + bbox.height)
    ctx.stroke()
    const right = at > bbox.left + bbox.width * 0.7
    ctx.textAlign = right ? 'right' : 'left'
    ctx.fillText(label, at + (right ? -4 : 4) * devicePixelRatio, bbox.top + 12 * devicePixelRatio)
  }
  ctx.restore()
}
