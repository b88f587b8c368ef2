// Shrink and concatenate: the parity query is one image in which each member has a cell (Parity Models, section 4.2.3).
import { FtError, assertInteger, assertOneOf, type Tensor } from '@ft/core'
import type { NamedTensor } from '../named.ts'
import type { Code } from './code.ts'
import { createShrink } from './resize.ts'
import { weightedCode } from './weighted.ts'

export interface ImageForm {
  readonly height: number
  readonly width: number
  /** Default 1. */
  readonly channels?: number
  /** Order of the axes, rows of a flattened image included. Default 'HWC'. */
  readonly layout?: 'HWC' | 'CHW'
}

export interface ConcatOptions {
  /** 2: halves side by side; 4: quadrants; 9: a grid of thirds. In reading order. */
  readonly k: 2 | 4 | 9
  readonly image: ImageForm
  readonly parityModel?: string
}

export interface ConcatCode extends Code {
  /** The cells' grid and the zero rows and columns at the far edges where the image's size is no multiple of it. */
  readonly grid: { readonly rows: number; readonly columns: number }
  readonly padding: { readonly bottom: number; readonly right: number }
}

const grids = { 2: [1, 2], 4: [2, 2], 9: [3, 3] } as const

/**
 * The concatenation code: each of k images shrunk into a cell of one image of the same size.
 *
 * Shapes: each input tensor holds one image, its last axes or flattened: `height * width * channels` elements.
 * A size that the grid does not divide is padded: cells have the size rounded down, the rest is zero (`padding`).
 * Cost: about 2 * (4 taps) * height * width * channels a member.
 *
 * @see Parity Models (SOSP'19), section 4.2.3 for k = 2 and 4; thirds are this package's
 * @throws FtError `SHAPE_MISMATCH` in `encode` when a tensor is not one image
 */
export function concat({ k, image, parityModel = 'parity' }: ConcatOptions): ConcatCode {
  assertOneOf(k, { where: 'concat', argument: 'k', values: [2, 4, 9] })
  const { height, width, channels = 1, layout = 'HWC' } = image
  const [rows, columns] = grids[k]
  assertInteger(height, { where: 'concat', argument: 'image.height', min: rows, max: 1 << 14 })
  assertInteger(width, { where: 'concat', argument: 'image.width', min: columns, max: 1 << 14 })
  assertInteger(channels, { where: 'concat', argument: 'image.channels', min: 1, max: 1 << 12 })
  assertOneOf(layout, { where: 'concat', argument: 'image.layout', values: ['HWC', 'CHW'] })
  const cell = { height: Math.floor(height / rows), width: Math.floor(width / columns) }
  const shrink = createShrink({ height, width }, cell)
  const pixelStride = layout === 'HWC' ? channels : 1
  const rowStride = width * pixelStride
  const channelStride = layout === 'HWC' ? 1 : height * width

  function place(member: Tensor, i: number, parity: Float32Array): void {
    const top = Math.floor(i / columns) * cell.height
    const left = (i % columns) * cell.width
    for (let channel = 0; channel < channels; channel++) {
      const at = { offset: channel * channelStride, rowStride, pixelStride }
      const offset = at.offset + top * rowStride + left * pixelStride
      shrink(member.data, at, parity, { offset, rowStride, pixelStride })
    }
  }

  const mix = (group: readonly (readonly NamedTensor[])[]): NamedTensor[] =>
    (group[0] as readonly NamedTensor[]).map((first, t) => {
      if (first.data.length !== height * width * channels)
        throw new FtError(
          'SHAPE_MISMATCH',
          `concat: tensor '${first.name}' must be one image of ${height} x ${width} x ${channels}, got shape [${first.shape.join(', ')}]`,
          { name: first.name, shape: first.shape },
        )
      const data = new Float32Array(first.data.length)
      group.forEach((member, i) => place(member[t] as NamedTensor, i, data))
      return { name: first.name, data, shape: first.shape, dtype: 'float32' }
    })

  const code = weightedCode({ name: 'concat', k, rows: [Array<number>(k).fill(1)], models: [parityModel], mix })
  return {
    ...code,
    grid: { rows, columns },
    padding: { bottom: height - rows * cell.height, right: width - columns * cell.width },
  }
}
