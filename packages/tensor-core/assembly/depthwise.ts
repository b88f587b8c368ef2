// Depthwise convolution (one input and one output channel a group), all channels side by side. The same additions in
// the same order as the general product, so the same bits: taps outside the image multiply zeros there too.
import { madd } from './arithmetic'
import {
  fieldA,
  fieldB,
  fieldBias,
  fieldC,
  fieldChannels,
  fieldDilationX,
  fieldDilationY,
  fieldFlags,
  fieldHeight,
  fieldKernelHeight,
  fieldKernelWidth,
  fieldOutHeight,
  fieldOutWidth,
  fieldPadLeft,
  fieldPadTop,
  fieldStrideX,
  fieldStrideY,
  fieldWidth,
  addBias,
  applyGelu,
  applyRelu,
} from './fields'
import { gelu } from './gelu'

/** Output rows [line0, line1) of all images; weights are [taps, channels], at most `blockSteps` taps. */
export function depthwise(d: usize, line0: i32, line1: i32): void {
  const outHeight = load<i32>(d, fieldOutHeight)
  const outWidth = load<i32>(d, fieldOutWidth)
  const channels = load<i32>(d, fieldChannels)
  const height = load<i32>(d, fieldHeight)
  const width = load<i32>(d, fieldWidth)
  for (let line = line0; line < line1; line++) {
    const b = line / outHeight
    const p = line - b * outHeight
    const image = <usize>load<u32>(d, fieldA) + ((<usize>b * height * width * channels) << 2)
    let to = <usize>load<u32>(d, fieldC) + ((<usize>line * outWidth * channels) << 2)
    for (let q = 0; q < outWidth; q++) {
      pixel(d, image, to, p * load<i32>(d, fieldStrideY) - load<i32>(d, fieldPadTop), q * load<i32>(d, fieldStrideX) - load<i32>(d, fieldPadLeft))
      to += <usize>channels << 2
    }
  }
}

/** One output pixel, whose first tap sees input pixel (y0, x0). */
function pixel(d: usize, image: usize, to: usize, y0: i32, x0: i32): void {
  const channels = load<i32>(d, fieldChannels)
  let c = 0
  for (; c + 16 <= channels; c += 16) sixteen(d, image, to, y0, x0, c)
  for (; c + 4 <= channels; c += 4) v128.store(to + (c << 2), finished(d, four(d, image, y0, x0, c, 4), c, 4))
  if (c < channels) {
    const last = finished(d, four(d, image, y0, x0, c, channels - c), c, channels - c)
    storeLanes(to + (c << 2), last, channels - c)
  }
}

// @ts-ignore: decorator
@inline
function sixteen(d: usize, image: usize, to: usize, y0: i32, x0: i32, c: i32): void {
  const channels = load<i32>(d, fieldChannels)
  const width = load<i32>(d, fieldWidth)
  const height = load<i32>(d, fieldHeight)
  const kh = load<i32>(d, fieldKernelHeight)
  const kw = load<i32>(d, fieldKernelWidth)
  const dilationX = load<i32>(d, fieldDilationX)
  const dilationY = load<i32>(d, fieldDilationY)
  const zero = f32x4.splat(0)
  let s0 = zero
  let s1 = zero
  let s2 = zero
  let s3 = zero
  let w = <usize>load<u32>(d, fieldB) + (<usize>c << 2)
  for (let r = 0; r < kh; r++) {
    const y = y0 + r * dilationY
    const line = y >= 0 && y < height
    for (let s = 0; s < kw; s++) {
      const x = x0 + s * dilationX
      if (line && x >= 0 && x < width) {
        const at = image + (<usize>((y * width + x) * channels + c) << 2)
        s0 = madd<f32>(v128.load(at), v128.load(w), s0)
        s1 = madd<f32>(v128.load(at, 16), v128.load(w, 16), s1)
        s2 = madd<f32>(v128.load(at, 32), v128.load(w, 32), s2)
        s3 = madd<f32>(v128.load(at, 48), v128.load(w, 48), s3)
      } else {
        s0 = madd<f32>(zero, v128.load(w), s0)
        s1 = madd<f32>(zero, v128.load(w, 16), s1)
        s2 = madd<f32>(zero, v128.load(w, 32), s2)
        s3 = madd<f32>(zero, v128.load(w, 48), s3)
      }
      w += <usize>channels << 2
    }
  }
  const out = to + (c << 2)
  v128.store(out, finished(d, s0, c, 4))
  v128.store(out, finished(d, s1, c + 4, 4), 16)
  v128.store(out, finished(d, s2, c + 8, 4), 32)
  v128.store(out, finished(d, s3, c + 12, 4), 48)
}

function four(d: usize, image: usize, y0: i32, x0: i32, c: i32, count: i32): v128 {
  const channels = load<i32>(d, fieldChannels)
  const width = load<i32>(d, fieldWidth)
  const height = load<i32>(d, fieldHeight)
  const zero = f32x4.splat(0)
  let sum = zero
  let w = <usize>load<u32>(d, fieldB) + (<usize>c << 2)
  for (let r = 0; r < load<i32>(d, fieldKernelHeight); r++) {
    const y = y0 + r * load<i32>(d, fieldDilationY)
    for (let s = 0; s < load<i32>(d, fieldKernelWidth); s++) {
      const x = x0 + s * load<i32>(d, fieldDilationX)
      const inside = y >= 0 && y < height && x >= 0 && x < width
      const value = inside ? lanes(image + (<usize>((y * width + x) * channels + c) << 2), count) : zero
      sum = madd<f32>(value, lanes(w, count), sum)
      w += <usize>channels << 2
    }
  }
  return sum
}

/** Up to four floats; zeros for the others. */
// @ts-ignore: decorator
@inline
export function lanes(at: usize, count: i32): v128 {
  if (count == 4) return v128.load(at)
  let x = f32x4.replace_lane(f32x4.splat(0), 0, load<f32>(at))
  if (count > 1) x = f32x4.replace_lane(x, 1, load<f32>(at, 4))
  if (count > 2) x = f32x4.replace_lane(x, 2, load<f32>(at, 8))
  return x
}

/** Stores up to four floats. */
// @ts-ignore: decorator
@inline
export function storeLanes(at: usize, x: v128, count: i32): void {
  if (count == 4) {
    v128.store(at, x)
    return
  }
  store<f32>(at, f32x4.extract_lane(x, 0))
  if (count > 1) store<f32>(at, f32x4.extract_lane(x, 1), 4)
  if (count > 2) store<f32>(at, f32x4.extract_lane(x, 2), 8)
}

/** With bias and activation. */
// @ts-ignore: decorator
@inline
export function finished(d: usize, x: v128, c: i32, count: i32): v128 {
  const flags = load<i32>(d, fieldFlags)
  if (flags & addBias) x = f32x4.add(x, lanes(<usize>load<u32>(d, fieldBias) + (<usize>c << 2), count))
  if (flags & applyRelu) return f32x4.pmax(x, f32x4.splat(0))
  return flags & applyGelu ? gelu(x) : x
}
