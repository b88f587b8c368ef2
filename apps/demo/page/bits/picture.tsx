// A matrix as a picture: greys for values, the accent for values that are wrong, lines where checks failed.
import { useEffect, useRef } from 'react'
import { COLUMNS, ROWS } from './scene.ts'

interface PictureProps {
  readonly name: string
  readonly values: Float32Array
  /** What it should be. */
  readonly clean: Float32Array
  readonly found?: readonly { readonly row: number; readonly column?: number }[]
  readonly caption: string
}

const SCALE = 5

export function Picture({ name, values, clean, found = [], caption }: PictureProps) {
  const canvas = useRef<HTMLCanvasElement>(null)
  useEffect(() => {
    const element = canvas.current
    const context = element?.getContext('2d')
    if (!element || !context) return
    draw(context, { values, clean, accent: getComputedStyle(element).getPropertyValue('--accent').trim() })
  }, [values, clean])
  return (
    <figure className="picture">
      <div>
        <canvas
          ref={canvas}
          width={COLUMNS * SCALE}
          height={ROWS * SCALE}
          role="img"
          aria-label={`${name}: ${caption}`}
        />
        <svg viewBox={`0 0 ${COLUMNS} ${ROWS}`} aria-hidden="true">
          {unique(found.map(({ row }) => row)).map((row) => (
            <line key={`row ${row}`} x1={0} x2={COLUMNS} y1={row + 0.5} y2={row + 0.5} />
          ))}
          {unique(found.flatMap(({ column }) => column ?? [])).map((column) => (
            <line key={`column ${column}`} y1={0} y2={ROWS} x1={column + 0.5} x2={column + 0.5} />
          ))}
        </svg>
      </div>
      <figcaption>
        <strong>{name}</strong> {caption}
      </figcaption>
    </figure>
  )
}

const unique = (values: readonly number[]): number[] => [...new Set(values)]

function draw(
  context: CanvasRenderingContext2D,
  { values, clean, accent }: { values: Float32Array; clean: Float32Array; accent: string },
): void {
  let [low, high] = [Infinity, -Infinity]
  for (const value of clean) [low, high] = [Math.min(low, value), Math.max(high, value)]
  const struck: [row: number, column: number][] = []
  for (let row = 0; row < ROWS; row++) {
    for (let column = 0; column < COLUMNS; column++) {
      const at = row * COLUMNS + column
      const value = values[at] as number
      // A value is shown as wrong when it is off by more than a grey level could show
      const wrong = !(Math.abs(value - (clean[at] as number)) <= (high - low) / 256)
      const grey = Math.round(30 + (205 * ((clean[at] as number) - low)) / (high - low))
      context.fillStyle = `rgb(${grey} ${grey} ${grey})`
      if (wrong) struck.push([row, column])
      else context.fillRect(column * SCALE, row * SCALE, SCALE, SCALE)
    }
  }
  // Drawn last and a little larger, so that a single value is seen
  context.fillStyle = accent
  for (const [row, column] of struck) context.fillRect(column * SCALE - 3, row * SCALE - 3, SCALE + 6, SCALE + 6)
}
