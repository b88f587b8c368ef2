// What distinguishes one compiled kernel from another.
import type { Emit } from '@ft/core'
import { tileName, type KernelTile } from '../tile.ts'

/** How A is stored. Weights are float32, float16 or int8 accordingly; sums are float32 or int32. */
export type Storage = 'float32' | 'float16' | 'int8' | 'uint8'

export interface Variant {
  readonly tile: KernelTile
  readonly storage: Storage
  /** Whether A is gathered from an image. */
  readonly gather: boolean
  /** Sums of rows and of columns of C, and what predicts them. */
  readonly rowActual: boolean
  readonly rowExpected: boolean
  readonly columnSums: boolean
  readonly tileSums: Emit['tileSums']
  readonly replica: boolean
  readonly next: boolean
  readonly rowStatistics: boolean
  readonly instrumented: boolean
}

export const isInteger = ({ storage }: Pick<Variant, 'storage'>): boolean => storage === 'int8' || storage === 'uint8'

export function variantKey(v: Variant): string {
  const flags = [v.gather, v.rowActual, v.rowExpected, v.columnSums, v.replica, v.next, v.rowStatistics, v.instrumented]
  return [v.storage, tileName(v.tile), v.tileSums ?? '', ...flags.map(Number)].join()
}

/** Repeats a piece of WGSL: `times(2, (i) => `a${i}`)`. */
export const times = (count: number, piece: (i: number) => string): string =>
  Array.from({ length: count }, (_, i) => piece(i)).join('\n')
