// The picture that is computed: clouds as a product of two matrices, C = A B, with a spectrum drawn from a seed.
import type { Fault, Tensor } from '@ft/core'
import { createRandom } from '@ft/core/random'

export const ROWS = 96
export const COLUMNS = 144
const WAVES = 40

/** A holds waves down the picture, B waves across it times their amplitudes. */
export function picture(seed: number): { a: Tensor; b: Tensor } {
  const random = createRandom(seed).stream('picture')
  const a = new Float32Array(ROWS * WAVES)
  const b = new Float32Array(WAVES * COLUMNS)
  for (let wave = 0; wave < WAVES; wave++) {
    const phase = random.uniform(0, 2 * Math.PI)
    for (let row = 0; row < ROWS; row++)
      a[row * WAVES + wave] = Math.cos(phase + (Math.PI * wave * (row + 0.5)) / (2 * ROWS))
    for (let across = 0; across < 10; across++) {
      const amplitude = random.normal() / (1 + Math.hypot(wave / 2, across)) ** 1.4
      const shift = random.uniform(0, 2 * Math.PI)
      for (let column = 0; column < COLUMNS; column++) {
        const at = wave * COLUMNS + column
        b[at] = (b[at] as number) + amplitude * Math.cos(shift + (Math.PI * across * (column + 0.5)) / COLUMNS)
      }
    }
  }
  return {
    a: { data: a, shape: [ROWS, WAVES], dtype: 'float32' },
    b: { data: b, shape: [WAVES, COLUMNS], dtype: 'float32' },
  }
}

export type Where = 'accumulator' | 'output' | 'packed-weight'

/** Faults as the engine takes them: one flipped bit each. */
export function drawFaults(o: { seed: number; count: number; bit: number; where: Where }): Fault[] {
  const random = createRandom(o.seed).stream('faults')
  return Array.from({ length: o.count }, (): Fault => {
    const [row, column, step] = [
      random.integer(0, ROWS - 1),
      random.integer(0, COLUMNS - 1),
      random.integer(0, WAVES - 1),
    ]
    const site =
      o.where === 'output'
        ? { kind: o.where, row, column }
        : o.where === 'accumulator'
          ? { kind: o.where, row, column, step }
          : { kind: o.where, step, column }
    return { site, effect: { kind: 'flip', bits: [o.bit] } }
  })
}
