// Shrinking images with the antialiased triangle filter that the published code used for concatenation.

/** The taps of all output pixels along one axis: weights of input pixels `starts[i]`, `starts[i] + 1`, ... */
interface Taps {
  readonly starts: Int32Array
  /** `taps` of every output pixel. */
  readonly weights: Float64Array
  readonly taps: number
}

/**
 * Taps of a shrinking (or equal) resize along an axis. Halving gives 1/8, 3/8, 3/8, 1/8, renormalised at the edges.
 *
 * Differs: the published code resizes 8-bit images and rounds to 8 bits after each axis; here values stay real.
 */
function triangleTaps(from: number, to: number): Taps {
  const scale = from / to
  const pixels = Array.from({ length: to }, (_, i) => {
    const centre = (i + 0.5) * scale
    const all = Array.from({ length: from }, (_, at) => Math.max(0, 1 - Math.abs((at + 0.5 - centre) / scale)))
    const total = all.reduce((sum, weight) => sum + weight, 0)
    const start = all.findIndex((weight) => weight > 0)
    return { start, weights: all.filter((weight) => weight > 0).map((weight) => weight / total) }
  })
  const taps = Math.max(...pixels.map(({ weights }) => weights.length))
  // Pixels at the edges have fewer: zeros before theirs where they would reach beyond the far edge
  const starts = Int32Array.from(pixels, ({ start }) => Math.min(start, from - taps))
  const weights = new Float64Array(to * taps)
  pixels.forEach((pixel, i) => weights.set(pixel.weights, i * taps + pixel.start - (starts[i] as number)))
  return { starts, weights, taps }
}

export interface Plane {
  readonly height: number
  readonly width: number
}

/** Where element (y, x) of a plane lies in an array: `offset + y * rowStride + x * pixelStride`. */
export interface Place {
  readonly offset: number
  readonly rowStride: number
  readonly pixelStride: number
}

/**
 * A reusable shrink of a plane of one size in an array into a plane of another size in another array.
 *
 * Cost: (taps across) elements of `from.height * to.width`, (taps down) of `to.height * to.width`; four taps where a side is
 * halved, one where it stays.
 */
export function createShrink(from: Plane, to: Plane) {
  const across = triangleTaps(from.width, to.width)
  const down = triangleTaps(from.height, to.height)
  const narrow = new Float64Array(from.height * to.width)
  return (source: ArrayLike<number>, at: Place, target: Float32Array, place: Place): void => {
    for (let y = 0; y < from.height; y++) {
      const row = at.offset + y * at.rowStride
      for (let x = 0; x < to.width; x++) {
        const first = row + (across.starts[x] as number) * at.pixelStride
        let value = 0
        for (let t = 0; t < across.taps; t++)
          value += (across.weights[x * across.taps + t] as number) * (source[first + t * at.pixelStride] as number)
        narrow[y * to.width + x] = value
      }
    }
    for (let y = 0; y < to.height; y++) {
      const first = (down.starts[y] as number) * to.width
      const row = place.offset + y * place.rowStride
      for (let x = 0; x < to.width; x++) {
        let value = 0
        for (let t = 0; t < down.taps; t++)
          value += (down.weights[y * down.taps + t] as number) * (narrow[first + t * to.width + x] as number)
        target[row + x * place.pixelStride] = value
      }
    }
  }
}
