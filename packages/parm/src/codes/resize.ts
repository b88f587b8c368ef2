// Shrinking images with the antialiased triangle filter that the published code used for concatenation.

/** The taps of one output pixel along one axis: weights of input pixels `start`, `start + 1`, ... */
interface Taps {
  readonly start: number
  readonly weights: Float64Array
}

/**
 * Taps of a shrinking (or equal) resize along an axis. Halving gives 1/8, 3/8, 3/8, 1/8, renormalised at the edges.
 *
 * Differs: the published code resizes 8-bit images and rounds to 8 bits after each axis; here values stay real.
 */
function triangleTaps(from: number, to: number): Taps[] {
  const scale = from / to
  return Array.from({ length: to }, (_, i) => {
    const centre = (i + 0.5) * scale
    const start = Math.max(0, Math.floor(centre - scale + 0.5))
    const end = Math.min(from, Math.floor(centre + scale + 0.5))
    const weights = Float64Array.from({ length: end - start }, (_, t) =>
      Math.max(0, 1 - Math.abs((start + t + 0.5 - centre) / scale)),
    )
    const total = weights.reduce((sum, weight) => sum + weight, 0)
    return { start, weights: weights.map((weight) => weight / total) }
  })
}

export interface Plane {
  readonly height: number
  readonly width: number
}

/**
 * A reusable shrink of one size to another.
 *
 * Shapes: a plane of `from`, its element (y, x) at `offset + y * rowStride + x * pixelStride` of `source`; the result is
 * row-major `[to.height, to.width]`.
 */
export function createShrink(from: Plane, to: Plane) {
  const across = triangleTaps(from.width, to.width)
  const down = triangleTaps(from.height, to.height)
  const narrow = new Float64Array(from.height * to.width)
  return (source: ArrayLike<number>, at: { offset: number; rowStride: number; pixelStride: number }): Float64Array => {
    for (let y = 0; y < from.height; y++) {
      const row = at.offset + y * at.rowStride
      for (let x = 0; x < to.width; x++) {
        const { start, weights } = across[x] as Taps
        let value = 0
        for (let t = 0; t < weights.length; t++)
          value += (weights[t] as number) * (source[row + (start + t) * at.pixelStride] as number)
        narrow[y * to.width + x] = value
      }
    }
    const out = new Float64Array(to.height * to.width)
    for (let y = 0; y < to.height; y++) {
      const { start, weights } = down[y] as Taps
      for (let x = 0; x < to.width; x++) {
        let value = 0
        for (let t = 0; t < weights.length; t++)
          value += (weights[t] as number) * (narrow[(start + t) * to.width + x] as number)
        out[y * to.width + x] = value
      }
    }
    return out
  }
}
