// Checksums of a layer's input, by passes over it in plain code: what the previous layer's `nextChecksum` spares.
import type { Tensor } from '@ft/core'
import type { ItemFigures } from './thresholds/thresholdsOf.ts'
import type { ConvGeometry } from './convGeometry.ts'

/**
 * e^T A in float64: `[k]`.
 *
 * Shapes: A `[m, k]`. Cost: m k adds.
 */
export function columnChecksum({ data, shape: [m = 0, k = 0] }: Tensor): Float64Array {
  const sums = new Float64Array(k)
  for (let row = 0, at = 0; row < m; row++)
    for (let step = 0; step < k; step++) sums[step] = (sums[step] as number) + (data[at++] as number)
  return sums
}

/**
 * For each tap and channel the sum of the pixels that the tap sees, `[taps, channels]` in float64: exact for any stride,
 * padding and dilation.
 *
 * Pixels are summed by the set of taps that see them, one set per axis; taps then add the few class sums that they see.
 * Cost: one add an element of x, and taps x classes x channels.
 */
export function tapChecksum(x: Tensor, g: ConvGeometry): Float64Array {
  const [kh, kw] = g.kernel
  const down = axisClasses({
    size: g.height,
    out: g.outHeight,
    taps: kh,
    stride: g.stride[0],
    dilation: g.dilation[0],
    before: g.pad[0],
  })
  const across = axisClasses({
    size: g.width,
    out: g.outWidth,
    taps: kw,
    stride: g.stride[1],
    dilation: g.dilation[1],
    before: g.pad[2],
  })
  const classSums = sumByClass(x, g, { down, across })
  const sums = new Float64Array(kh * kw * g.channels)
  for (let r = 0; r < kh; r++)
    for (let s = 0; s < kw; s++)
      for (let i = 0; i < down.taps.length; i++)
        for (let j = 0; j < across.taps.length; j++) {
          if (!down.taps[i]?.has(r) || !across.taps[j]?.has(s)) continue
          const [to, from] = [(r * kw + s) * g.channels, (i * across.taps.length + j) * g.channels]
          for (let c = 0; c < g.channels; c++) sums[to + c] = (sums[to + c] as number) + (classSums[from + c] as number)
        }
  return sums
}

interface AxisClasses {
  readonly classOf: Int32Array
  /** Taps that see each class. */
  readonly taps: readonly ReadonlySet<number>[]
}

function axisClasses(axis: {
  size: number
  out: number
  taps: number
  stride: number
  dilation: number
  before: number
}): AxisClasses {
  const classOf = new Int32Array(axis.size)
  const taps: ReadonlySet<number>[] = []
  const known = new Map<string, number>()
  for (let position = 0; position < axis.size; position++) {
    const seenBy: number[] = []
    for (let tap = 0; tap < axis.taps; tap++) {
      const start = position + axis.before - tap * axis.dilation
      if (start >= 0 && start % axis.stride === 0 && start / axis.stride < axis.out) seenBy.push(tap)
    }
    const key = seenBy.join()
    let index = known.get(key)
    if (index === undefined) {
      index = taps.length
      known.set(key, index)
      taps.push(new Set(seenBy))
    }
    classOf[position] = index
  }
  return { classOf, taps }
}

function sumByClass(
  { data }: Tensor,
  { batch, height, width, channels, step }: ConvGeometry,
  { down, across }: { down: AxisClasses; across: AxisClasses },
): Float64Array {
  const sums = new Float64Array(down.taps.length * across.taps.length * channels)
  for (let image = 0; image < batch; image++)
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) {
        const to = ((down.classOf[y] as number) * across.taps.length + (across.classOf[x] as number)) * channels
        let from = image * step.image + y * step.y + x * step.x
        for (let c = 0; c < channels; c++, from += step.channel)
          sums[to + c] = (sums[to + c] as number) + (data[from] as number)
      }
  return sums
}

/**
 * Sum of squares and largest magnitude of each channel, for depthwise products: each pixel is seen by at most k taps, so
 * the mean squares of the rows, a k-th of their squares, add up to no more.
 *
 * Cost: one multiply-add and a comparison an element of x.
 */
export function channelFigures({ data }: Tensor, { batch, height, width, channels, step }: ConvGeometry): ItemFigures {
  const [squares, largest] = [new Float64Array(channels), new Float64Array(channels)]
  const pixels = height * width
  const [perPixel, perChannel] = [step.x, step.channel]
  for (let image = 0; image < batch; image++)
    for (let pixel = 0; pixel < pixels; pixel++) {
      let from = image * step.image + pixel * perPixel
      for (let c = 0; c < channels; c++, from += perChannel) {
        const value = data[from] as number
        const magnitude = value < 0 ? -value : value
        squares[c] = (squares[c] as number) + value * value
        // Not "greater": what is not a number must make the threshold one that nothing passes.
        if (!(magnitude <= (largest[c] as number))) largest[c] = magnitude
      }
    }
  return { squares, largest }
}
