// A device's roof and a network's layers under it, both axes in equal ratios.
import type { ReactNode } from 'react'

export interface Dot {
  readonly id: string
  /** FLOP/byte and FLOP/s. */
  readonly intensity: number
  readonly reach: number
  readonly threadLevel: boolean
}

interface RooflineProps {
  readonly device: string
  readonly ridge: number
  readonly peak: number
  readonly bandwidth: number
  readonly dots: readonly Dot[]
}

const WIDTH = 720
const HEIGHT = 360
// Room for the larger letters of a phone
const LEFT = 84
const BOTTOM = 60
const TOP = 14
const RIGHT = 14
const X = [0.3, 3000] as const

export function Roofline({ device, ridge, peak, bandwidth, dots }: RooflineProps) {
  const y = [bandwidth * X[0], peak * 2] as const
  const place = (value: number, [low, high]: readonly [number, number], from: number, to: number) =>
    from + ((to - from) * Math.log(value / low)) / Math.log(high / low)
  const px = (value: number) => place(Math.min(X[1], Math.max(X[0], value)), X, LEFT, WIDTH - RIGHT)
  const py = (value: number) => place(value, y, HEIGHT - BOTTOM, TOP)
  const roof = [X[0], ridge, X[1]].map((x) => `${px(x)},${py(Math.min(peak, x * bandwidth))}`).join(' ')
  const below = dots.filter(({ intensity }) => intensity < ridge).length
  return (
    <figure className="chart">
      <figcaption>
        <span>Roofline of {device}</span>
        <span className="dot-key accent">checked in its own threads</span>
        <span className="dot-key text">checked as a whole</span>
      </figcaption>
      <svg
        className="roofline"
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        role="img"
        aria-label={`Roofline of ${device}: ${below} of ${dots.length} layers lie below the ridge at ${ridge.toFixed(0)} FLOP/byte`}
      >
        {decades(X).map((x) => (
          <Tick key={x} x={px(x)} y={HEIGHT - BOTTOM + 22} line={[px(x), TOP, px(x), HEIGHT - BOTTOM]} anchor="middle">
            {x}
          </Tick>
        ))}
        {decades(y).map((value) => (
          <Tick
            key={value}
            x={LEFT - 6}
            y={py(value) + 4}
            line={[LEFT, py(value), WIDTH - RIGHT, py(value)]}
            anchor="end"
          >
            {value >= 1e12 ? `${value / 1e12}T` : `${value / 1e9}G`}
          </Tick>
        ))}
        <text x={(LEFT + WIDTH) / 2} y={HEIGHT - 6} textAnchor="middle">
          arithmetic intensity [FLOP/byte]
        </text>
        <text x={18} y={HEIGHT / 2} textAnchor="middle" transform={`rotate(-90 18 ${HEIGHT / 2})`}>
          reachable [FLOP/s]
        </text>
        <line className="ridge" x1={px(ridge)} x2={px(ridge)} y1={TOP} y2={HEIGHT - BOTTOM} />
        <text
          className="strong"
          x={px(ridge) + (ridge > 500 ? -6 : 6)}
          y={HEIGHT - BOTTOM - 8}
          textAnchor={ridge > 500 ? 'end' : 'start'}
        >
          ridge {ridge.toFixed(0)}
        </text>
        <polyline className="roof" points={roof} />
        {dots.map(({ id, intensity, reach, threadLevel }) => (
          <circle key={id} className={threadLevel ? 'own' : 'whole'} cx={px(intensity)} cy={py(reach)} r={4.5}>
            <title>{`${id}: ${intensity.toFixed(1)} FLOP/byte`}</title>
          </circle>
        ))}
      </svg>
    </figure>
  )
}

function decades([low, high]: readonly [number, number]): number[] {
  const ticks = []
  for (let power = Math.ceil(Math.log10(low)); power <= Math.floor(Math.log10(high)); power++) ticks.push(10 ** power)
  return ticks
}

interface TickProps {
  readonly x: number
  readonly y: number
  readonly line: readonly [number, number, number, number]
  readonly anchor: 'middle' | 'end'
  readonly children: ReactNode
}

function Tick({ x, y, line: [x1, y1, x2, y2], anchor, children }: TickProps) {
  return (
    <>
      <line className="grid" x1={x1} y1={y1} x2={x2} y2={y2} />
      <text x={x} y={y} textAnchor={anchor}>
        {children}
      </text>
    </>
  )
}
