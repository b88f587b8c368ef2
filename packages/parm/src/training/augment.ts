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
  const [pixel, plane] = layout === 'HWC' ? [channels, 1] : [1, height * width]
  return (sample, random) => {
    const down = random.integer(-padding, padding)
    const across = random.integer(-padding, padding)
    const turned = flip && random.bernoulli(0.5)
    const moved = new Float32Array(sample.length)
    for (let y = Math.max(0, -down); y < Math.min(height, height - down); y++)
      for (let x = Math.max(0, -across); x < Math.min(width, width - across); x++) {
        const from = ((y + down) * width + x + across) * pixel
        const to = (y * width + (turned ? width - 1 - x : x)) * pixel
        for (let c = 0; c < channels; c++) moved[to + c * plane] = sample[from + c * plane] as number
      }
    return moved
  }
}
