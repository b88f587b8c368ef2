// A convolution's products. Forward the engine gathers what the filter sees itself; back, with U the matrix of what the
// filter sees at every output pixel (tap row, tap column, channel): dW = U^T dZ, dU = dZ W^T, and every element of dX is the
// sum of those of dU that saw it. With a stride of 1 that is a convolution of dZ by the turned filter.
import type { Tensor } from '@ft/core'
import type { WasmEngine } from '@ft/tensor-core/wasm'
import { inputsOf, outputImage, outputsOf, padsOf, type ConvLayer } from '../models/layers.ts'
import { matrix } from './denseStep.ts'
import type { Step } from './passes.ts'

/** Elements of U at a time: it stays in the caches between being gathered and being multiplied. */
const GATHERED = 1 << 18

export function convStep(
  engine: WasmEngine,
  o: { readonly layer: ConvLayer; readonly weights: Float32Array; readonly bias: Float32Array },
): Step {
  const { layer } = o
  const { stride = 1, dilation = 1, image } = layer
  const [down, across, channels, out] = layer.weights.shape as readonly [number, number, number, number]
  const { height, width } = outputImage(layer)
  const pad = padsOf(layer)
  const seen = down * across * channels
  const pixels = height * width
  const images = Math.max(1, Math.floor(GATHERED / (pixels * seen)))
  const geometry: Geometry = { ...image, channels, down, across, rows: height, columns: width, stride, dilation, pad }
  const filter: Tensor = { data: o.weights, shape: layer.weights.shape, dtype: 'float32' }
  const bias: Tensor = { data: o.bias, shape: [out], dtype: 'float32' }
  const options = {
    bias,
    ...(layer.relu ? { activation: 'relu' as const } : {}),
    stride: [stride, stride] as const,
    dilation: [dilation, dilation] as const,
    pad,
  }
  const gathered = new Float32Array(images * pixels * seen)
  const part = new Float32Array(seen * out)
  const turned = stride === 1 ? new Float32Array(seen * out) : undefined

  const before = (data: Float32Array, rows: number): Tensor => ({
    data,
    shape: [rows, image.height, image.width, channels],
    dtype: 'float32',
  })
  const after = (data: Float32Array, rows: number): Tensor => ({
    data,
    shape: [rows, height, width, out],
    dtype: 'float32',
  })
  /** Some images at a time, with room for what the filter sees of them. */
  function inParts(rows: number, work: (first: number, count: number, u: Float32Array) => void): void {
    for (let first = 0; first < rows; first += images) {
      const count = Math.min(images, rows - first)
      work(first, count, gathered.subarray(0, count * pixels * seen))
    }
  }
  const pixelsOf = (dz: Float32Array, first: number, count: number) =>
    matrix(dz.subarray(first * pixels * out, (first + count) * pixels * out), count * pixels, out)

  return {
    inputs: inputsOf(layer),
    outputs: outputsOf(layer),
    forward(x, { rows, to }) {
      engine.conv2dSync(before(x, rows), filter, { ...options, out: after(to, rows) })
    },
    weightsGradient(x, { dz, rows, to }) {
      to.fill(0)
      inParts(rows, (first, count, u) => {
        gather(x, { u, first, count, geometry })
        const out2 = matrix(part, seen, out)
        engine.matmulSync(matrix(u, count * pixels, seen), pixelsOf(dz, first, count), { transposeA: true, out: out2 })
        for (let e = 0; e < to.length; e++) to[e] = (to[e] as number) + (part[e] as number)
      })
    },
    inputsGradient(dz, { rows, to }) {
      if (turned) {
        turn(o.weights, { turned, taps: down * across, channels, out })
        const filter2: Tensor = { data: turned, shape: [down, across, out, channels], dtype: 'float32' }
        engine.conv2dSync(after(dz, rows), filter2, { dilation: options.dilation, pad, out: before(to, rows) })
        return
      }
      to.fill(0)
      inParts(rows, (first, count, u) => {
        const own = matrix(u, count * pixels, seen)
        engine.matmulSync(pixelsOf(dz, first, count), matrix(o.weights, seen, out), { transposeB: true, out: own })
        scatter(u, { x: to, first, count, geometry })
      })
    },
  }
}

interface Geometry {
  readonly height: number
  readonly width: number
  readonly channels: number
  readonly down: number
  readonly across: number
  /** Of the output image. */
  readonly rows: number
  readonly columns: number
  readonly stride: number
  readonly dilation: number
  readonly pad: readonly [top: number, bottom: number, left: number, right: number]
}

/**
 * What the filter sees of images `[first, first + count)`: zeros where it looks beside them. Taps of a row without dilation
 * lie side by side in the image as in U, and go in one run.
 */
function gather(
  x: Float32Array,
  { u, first, count, geometry }: { u: Float32Array; first: number; count: number; geometry: Geometry },
): void {
  const { height, width, channels, down, across, rows, columns, stride, dilation, pad } = geometry
  const [top, , left] = pad
  const taps = dilation === 1 ? across : 1
  let at = 0
  for (let b = first; b < first + count; b++)
    for (let p = 0; p < rows; p++)
      for (let q = 0; q < columns; q++)
        for (let r = 0; r < down; r++) {
          const y = p * stride + r * dilation - top
          const within = y >= 0 && y < height
          for (let s = 0; s < across; s += taps) {
            const column = q * stride + s * dilation - left
            // Of this run, the taps [low, high) see the image
            const low = within ? Math.min(taps, Math.max(0, -column)) : taps
            const high = Math.max(low, Math.min(taps, width - column))
            const start = at + low * channels
            const stop = at + high * channels
            const end = at + taps * channels
            const shift = ((b * height + y) * width + column) * channels - at
            for (; at < start; at++) u[at] = 0
            for (; at < stop; at++) u[at] = x[at + shift] as number
            for (; at < end; at++) u[at] = 0
          }
        }
}

/** Adds every element to the one that it was gathered from. */
function scatter(
  u: Float32Array,
  { x, first, count, geometry }: { x: Float32Array; first: number; count: number; geometry: Geometry },
): void {
  const { height, width, channels, down, across, rows, columns, stride, dilation, pad } = geometry
  const [top, , left] = pad
  const taps = dilation === 1 ? across : 1
  let at = 0
  for (let b = first; b < first + count; b++)
    for (let p = 0; p < rows; p++)
      for (let q = 0; q < columns; q++)
        for (let r = 0; r < down; r++) {
          const y = p * stride + r * dilation - top
          const within = y >= 0 && y < height
          for (let s = 0; s < across; s += taps, at += taps * channels) {
            const column = q * stride + s * dilation - left
            const low = within ? Math.min(taps, Math.max(0, -column)) : taps
            const high = Math.max(low, Math.min(taps, width - column))
            const shift = ((b * height + y) * width + column) * channels
            for (let e = low * channels; e < high * channels; e++)
              x[shift + e] = (x[shift + e] as number) + (u[at + e] as number)
          }
        }
}

/** W[r, s, c, o] as W'[down - 1 - r, across - 1 - s, o, c]. */
function turn(weights: Float32Array, o: { turned: Float32Array; taps: number; channels: number; out: number }): void {
  const { turned, taps, channels, out } = o
  for (let tap = 0; tap < taps; tap++)
    for (let c = 0; c < channels; c++)
      for (let n = 0; n < out; n++)
        turned[((taps - 1 - tap) * out + n) * channels + c] = weights[(tap * channels + c) * out + n] as number
}
