// Depthwise convolution with sums by line of the output and channel, in float64, of outputs before bias and activation; and
// beside them either the replica's or those of the finished outputs. The replica (T is f32) computes every output again
// with the weights' signs turned: signs are exact, so its sums are the first ones turned, bit for bit, and a compiler
// cannot share the products. T is i32 where there is no replica.
import { high, low, madd } from './arithmetic'
import { finished, lanes, storeLanes } from './depthwise'
import { strikeLine } from './depthwise-faults'
import {
  fieldA,
  fieldB,
  fieldC,
  fieldChannels,
  fieldDilationX,
  fieldDilationY,
  fieldHeight,
  fieldKernelHeight,
  fieldKernelWidth,
  fieldM,
  fieldOutHeight,
  fieldOutWidth,
  fieldPadLeft,
  fieldPadTop,
  fieldReplicaExpected,
  fieldStrideX,
  fieldStrideY,
  fieldTileActual,
  fieldWidth,
} from './fields'

/** Output rows [line0, line1) of all images; sums of line and channel go to [channels, lines]. */
export function depthwiseLines<T>(d: usize, line0: i32, line1: i32): void {
  const outHeight = load<i32>(d, fieldOutHeight)
  const outWidth = load<i32>(d, fieldOutWidth)
  const channels = load<i32>(d, fieldChannels)
  const imageBytes = (<usize>load<i32>(d, fieldHeight) * load<i32>(d, fieldWidth) * channels) << 2
  for (let line = line0; line < line1; line++) {
    const b = line / outHeight
    const p = line - b * outHeight
    const image = <usize>load<u32>(d, fieldA) + <usize>b * imageBytes
    const to = <usize>load<u32>(d, fieldC) + ((<usize>line * outWidth * channels) << 2)
    const y0 = p * load<i32>(d, fieldStrideY) - load<i32>(d, fieldPadTop)
    let c = 0
    for (; c + 8 <= channels; c += 8) eight<T>(d, image, to, y0, c, line)
    for (; c < channels; c += 4) upToFour<T>(d, image, to, y0, c, min(4, channels - c), line)
    if (isFloat<T>() && isDefined(FT_INSTRUMENTED)) strikeLine(d, image, to, y0, line)
  }
}

/** Eight channels of a line. */
function eight<T>(d: usize, image: usize, to: usize, y0: i32, c: i32, line: i32): void {
  const channels = load<i32>(d, fieldChannels)
  const width = load<i32>(d, fieldWidth)
  const height = load<i32>(d, fieldHeight)
  const kh = load<i32>(d, fieldKernelHeight)
  const kw = load<i32>(d, fieldKernelWidth)
  const dilationX = load<i32>(d, fieldDilationX)
  const dilationY = load<i32>(d, fieldDilationY)
  const strideX = load<i32>(d, fieldStrideX)
  const outWidth = load<i32>(d, fieldOutWidth)
  const weights = <usize>load<u32>(d, fieldB) + (<usize>c << 2)
  const step = <usize>channels << 2
  const zero = f32x4.splat(0)
  let a0 = f64x2.splat(0)
  let a1 = a0
  let a2 = a0
  let a3 = a0
  let e0 = a0
  let e1 = a0
  let e2 = a0
  let e3 = a0
  let x0 = -load<i32>(d, fieldPadLeft)
  let out = to + (<usize>c << 2)
  for (let q = 0; q < outWidth; q++) {
    let s0 = zero
    let s1 = zero
    let t0 = zero
    let t1 = zero
    let w = weights
    for (let r = 0; r < kh; r++) {
      const y = y0 + r * dilationY
      const inside = y >= 0 && y < height
      const from = image + (<usize>(y * width * channels + c) << 2)
      for (let s = 0; s < kw; s++) {
        const x = x0 + s * dilationX
        const w0 = v128.load(w)
        const w1 = v128.load(w, 16)
        if (inside && x >= 0 && x < width) {
          const at = from + <usize>x * step
          const v0 = v128.load(at)
          const v1 = v128.load(at, 16)
          s0 = madd<f32>(v0, w0, s0)
          s1 = madd<f32>(v1, w1, s1)
          if (isFloat<T>()) {
            t0 = madd<f32>(v0, f32x4.neg(w0), t0)
            t1 = madd<f32>(v1, f32x4.neg(w1), t1)
          }
        } else {
          s0 = madd<f32>(zero, w0, s0)
          s1 = madd<f32>(zero, w1, s1)
          if (isFloat<T>()) {
            t0 = madd<f32>(zero, f32x4.neg(w0), t0)
            t1 = madd<f32>(zero, f32x4.neg(w1), t1)
          }
        }
        w += step
      }
    }
    const f0 = finished(d, s0, c, 4)
    const f1 = finished(d, s1, c + 4, 4)
    v128.store(out, f0)
    v128.store(out, f1, 16)
    a0 = f64x2.add(a0, low(s0))
    a1 = f64x2.add(a1, high(s0))
    a2 = f64x2.add(a2, low(s1))
    a3 = f64x2.add(a3, high(s1))
    if (isFloat<T>()) {
      e0 = f64x2.sub(e0, low(t0))
      e1 = f64x2.sub(e1, high(t0))
      e2 = f64x2.sub(e2, low(t1))
      e3 = f64x2.sub(e3, high(t1))
    } else {
      e0 = f64x2.add(e0, low(f0))
      e1 = f64x2.add(e1, high(f0))
      e2 = f64x2.add(e2, low(f1))
      e3 = f64x2.add(e3, high(f1))
    }
    out += step
    x0 += strideX
  }
  put(d, fieldTileActual, c, line, a0, 2)
  put(d, fieldTileActual, c + 2, line, a1, 2)
  put(d, fieldTileActual, c + 4, line, a2, 2)
  put(d, fieldTileActual, c + 6, line, a3, 2)
  put(d, fieldReplicaExpected, c, line, e0, 2)
  put(d, fieldReplicaExpected, c + 2, line, e1, 2)
  put(d, fieldReplicaExpected, c + 4, line, e2, 2)
  put(d, fieldReplicaExpected, c + 6, line, e3, 2)
}

/** The last channels of a line. */
function upToFour<T>(d: usize, image: usize, to: usize, y0: i32, c: i32, count: i32, line: i32): void {
  const channels = load<i32>(d, fieldChannels)
  const width = load<i32>(d, fieldWidth)
  const height = load<i32>(d, fieldHeight)
  const step = <usize>channels << 2
  const zero = f32x4.splat(0)
  let a0 = f64x2.splat(0)
  let a1 = a0
  let e0 = a0
  let e1 = a0
  let x0 = -load<i32>(d, fieldPadLeft)
  let out = to + (<usize>c << 2)
  for (let q = 0; q < load<i32>(d, fieldOutWidth); q++) {
    let sum = zero
    let turned = zero
    let w = <usize>load<u32>(d, fieldB) + (<usize>c << 2)
    for (let r = 0; r < load<i32>(d, fieldKernelHeight); r++) {
      const y = y0 + r * load<i32>(d, fieldDilationY)
      for (let s = 0; s < load<i32>(d, fieldKernelWidth); s++) {
        const x = x0 + s * load<i32>(d, fieldDilationX)
        const inside = y >= 0 && y < height && x >= 0 && x < width
        const value = inside ? lanes(image + (<usize>((y * width + x) * channels + c) << 2), count) : zero
        const weight = lanes(w, count)
        sum = madd<f32>(value, weight, sum)
        if (isFloat<T>()) turned = madd<f32>(value, f32x4.neg(weight), turned)
        w += step
      }
    }
    const last = finished(d, sum, c, count)
    storeLanes(out, last, count)
    a0 = f64x2.add(a0, low(sum))
    a1 = f64x2.add(a1, high(sum))
    e0 = isFloat<T>() ? f64x2.sub(e0, low(turned)) : f64x2.add(e0, low(last))
    e1 = isFloat<T>() ? f64x2.sub(e1, high(turned)) : f64x2.add(e1, high(last))
    out += step
    x0 += load<i32>(d, fieldStrideX)
  }
  put(d, fieldTileActual, c, line, a0, min(2, count))
  put(d, fieldReplicaExpected, c, line, e0, min(2, count))
  if (count <= 2) return
  put(d, fieldTileActual, c + 2, line, a1, count - 2)
  put(d, fieldReplicaExpected, c + 2, line, e1, count - 2)
}

/** Stores the sums of one or two channels. */
// @ts-ignore: decorator
@inline
function put(d: usize, field: usize, c: i32, line: i32, sums: v128, count: i32): void {
  const lines = <usize>load<u32>(d, fieldM)
  const at = <usize>load<u32>(d + field) + ((<usize>c * lines + line) << 3)
  store<f64>(at, f64x2.extract_lane(sums, 0))
  if (count > 1) store<f64>(at + (lines << 3), f64x2.extract_lane(sums, 1))
}
