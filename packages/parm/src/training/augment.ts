// Augmentation of training images. Targets stay those of the images as they are: they are computed once.
import { assertInteger } from '@ft/core'
import type { Random } from '@ft/core/random'
import type { ImageForm } from '../codes/concat.ts'

/** Another form of a sample, which is not changed itself. */
export type Augment = (sample: Float32Array, random: Random) => Float32Array

/**
 * The papers' augmentation of small photographs: a random part of the image's size out of the image padded with zeros, turned
 * left to right half of the time.
 *
 * @param options.padding - default 4 pixels on each side
 * @param options.flip - default true; not for letters and digits
 * @example
 * ```ts
 * const augment = cropAndFlip({ image: { height: 32, width: 32, channels: 3 } })
 * ```
 */
export function cropAndFlip({
  image,
  padding = 4,
  flip = true,
}: {
  readonly image: ImageForm
  readonly padding?: number
  readonly flip?: boolean
}): Augment {
  const { height, width, channels = 1, layout = 'HWC' } = image
  assertInteger(padding, { where: 'cropAndFlip', argument: 'padding', min: 0, max: Math.min(height, width) - 1 })
  // Planes of rows that lie in one piece
  const [pixel, planes] = layout === 'HWC' ? [channels, 1] : [1, channels]
  const row = width * pixel
  return (sample, random) => {
    const down = random.integer(-padding, padding)
    const across = random.integer(-padding, padding)
    const turned = flip && random.bernoulli(0.5)
    const moved = new Float32Array(sample.length)
    const [left, right] = [Math.max(0, -across), Math.min(width, width - across)]
    for (let plane = 0; plane < planes; plane++)
      for (let y = Math.max(0, -down); y < Math.min(height, height - down); y++) {
        const to = (plane * height + y) * row
        const from = (plane * height + y + down) * row + across * pixel
        if (turned) turnRow(moved, sample, { from, to, left, right, pixel, width })
        else for (let i = left * pixel; i < right * pixel; i++) moved[to + i] = sample[from + i] as number
      }
    return moved
  }
}

interface Row {
  readonly from: number
  readonly to: number
  readonly left: number
  readonly right: number
  readonly pixel: number
  readonly width: number
}

/** Pixels [left, right) of a row, the other way round. */
function turnRow(moved: Float32Array, sample: Float32Array, { from, to, left, right, pixel, width }: Row): void {
  for (let x = left; x < right; x++)
    for (let c = 0; c < pixel; c++) moved[to + (width - 1 - x) * pixel + c] = sample[from + x * pixel + c] as number
}
