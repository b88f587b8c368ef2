// Rows of operands and outputs, as they lie in memory or gathered from an image.
import type { TypedArray } from '@ft/core'
import type { ConvGeometry } from '../convGeometry.ts'
import type { Rows } from './passes.ts'

/** Rows one after the other, `step` elements apart. */
export function matrixRows(
  data: TypedArray,
  { count, length, first, step }: { count: number; length: number; first: number; step: number },
): Rows {
  return { count, length, data, at: (row) => first + row * step }
}

/** Rows whose elements are apart: copied, and kept for the three rows that follow. */
function copiedRows(count: number, length: number, copy: (row: number, to: Float32Array) => void): Rows {
  const data = new Float32Array(4 * length)
  const places = Array.from({ length: 4 }, (_, slot) => data.subarray(slot * length, (slot + 1) * length))
  return {
    count,
    length,
    data,
    at(row) {
      copy(row, places[row % 4] as Float32Array)
      return (row % 4) * length
    },
  }
}

/** Neighbouring channels that are copied at once for less than one by one. */
const COPIED_WHOLE = 16

/** What a filter sees at each output pixel, of the channels of one group: `[kh, kw, channels of the group]`. */
export function patchRows(
  data: TypedArray,
  { geometry: g, group, groups }: { geometry: ConvGeometry; group: number; groups: number },
): Rows {
  const [kh, kw] = g.kernel
  const width = g.channels / groups
  const [area, first] = [g.outHeight * g.outWidth, group * width * g.step.channel]
  const whole = g.step.channel === 1 && width >= COPIED_WHOLE
  return copiedRows(g.batch * area, kh * kw * width, (row, to) => {
    const [oy, ox] = [Math.floor((row % area) / g.outWidth), row % g.outWidth]
    const image = first + Math.floor(row / area) * g.step.image
    to.fill(0)
    for (let r = 0; r < kh; r++) {
      const y = oy * g.stride[0] - g.pad[0] + r * g.dilation[0]
      if (y < 0 || y >= g.height) continue
      for (let s = 0; s < kw; s++) {
        const x = ox * g.stride[1] - g.pad[2] + s * g.dilation[1]
        if (x < 0 || x >= g.width) continue
        let from = image + y * g.step.y + x * g.step.x
        const start = (r * kw + s) * width
        if (whole) to.set(data.subarray(from, from + width), start)
        else for (let c = 0; c < width; c++, from += g.step.channel) to[start + c] = data[from] as number
      }
    }
  })
}

/** Output pixels, one group's channels: NHWC as they lie, NCHW copied. */
export function outputPixels(
  data: TypedArray,
  o: { pixels: number; area: number; channels: number; n: number; group: number; channelsLast: boolean },
): Rows {
  const { pixels, area, channels, n, group } = o
  if (o.channelsLast) return matrixRows(data, { count: pixels, length: n, first: group * n, step: channels })
  return copiedRows(pixels, n, (row, to) => {
    const first = Math.floor(row / area) * channels * area + (row % area)
    for (let j = 0; j < n; j++) to[j] = data[first + (group * n + j) * area] as number
  })
}
