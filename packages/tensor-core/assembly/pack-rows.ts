// Rows of A, one block of k at a time, as the micro-kernels read them: `rowStride` bytes apart, zeros up to a multiple
// of four steps. Of a matrix they are copied, of a convolution gathered (implicit GEMM), of integers widened to pairs.
import { copyFloats, zeroFloats } from './copy'
import {
  aPatches,
  aUint8,
  fieldA,
  fieldAKind,
  fieldAStride,
  fieldChannels,
  fieldDilationX,
  fieldDilationY,
  fieldGroupChannels,
  fieldHeight,
  fieldK,
  fieldKernelWidth,
  fieldOutHeight,
  fieldOutWidth,
  fieldPadLeft,
  fieldPadTop,
  fieldStrideX,
  fieldStrideY,
  fieldWidth,
  rowStride,
} from './fields'

/** Packs steps [step, step + steps) of rows [row0, row1). */
export function packRows<T>(d: usize, to: usize, row0: i32, row1: i32, step: i32, steps: i32): void {
  const kind = load<i32>(d, fieldAKind)
  if (isFloat<T>()) {
    if (kind == aPatches) packPatches(d, to, row0, row1, step, steps)
    else packFloatRows(d, to, row0, row1, step, steps)
  } else packByteRows(d, to, row0, row1, step, steps, kind == aUint8)
}

/** Zeros behind a packed row's last step, up to a multiple of four. */
// @ts-ignore: decorator
@inline
export function padRow(row: usize, steps: i32): void {
  for (let s = steps; s & 3; s++) store<u32>(row + (s << 2), 0)
}

function packFloatRows(d: usize, to: usize, row0: i32, row1: i32, step: i32, steps: i32): void {
  const stride: usize = load<u32>(d, fieldAStride)
  const a = <usize>load<u32>(d, fieldA) + (step << 2)
  for (let row = row0; row < row1; row++) {
    copyFloats(to, a + <usize>row * stride, steps)
    padRow(to, steps)
    to += rowStride
  }
}

function packByteRows(d: usize, to: usize, row0: i32, row1: i32, step: i32, steps: i32, unsigned: bool): void {
  const stride: usize = load<u32>(d, fieldAStride)
  const a = <usize>load<u32>(d, fieldA) + (step << 1)
  const count = min(2 * steps, load<i32>(d, fieldK) - 2 * step)
  for (let row = row0; row < row1; row++) {
    const from = a + <usize>row * stride
    let i = 0
    for (; i + 8 <= count; i += 8)
      v128.store(to + (i << 1), unsigned ? v128.load8x8_u(from + i) : v128.load8x8_s(from + i))
    for (; i < count; i++) store<i16>(to + (i << 1), unsigned ? <i16>load<u8>(from + i) : <i16>load<i8>(from + i))
    if (count & 1) store<i16>(to + (count << 1), 0)
    padRow(to, steps)
    to += rowStride
  }
}

/**
 * What the filter sees at each output pixel. The order of k is (filter row, filter column, channel): along a filter row
 * of an undilated, ungrouped convolution the input is one run of `kernelWidth * channels` floats, else each tap is one.
 */
function packPatches(d: usize, to: usize, row0: i32, row1: i32, step: i32, steps: i32): void {
  const height = load<i32>(d, fieldHeight)
  const width = load<i32>(d, fieldWidth)
  const channels = load<i32>(d, fieldChannels)
  const own = load<i32>(d, fieldGroupChannels)
  const kernelWidth = load<i32>(d, fieldKernelWidth)
  const outWidth = load<i32>(d, fieldOutWidth)
  const outHeight = load<i32>(d, fieldOutHeight)
  const dilationY = load<i32>(d, fieldDilationY)
  const dilationX = load<i32>(d, fieldDilationX)
  const whole = dilationX == 1 && own == channels
  const run = whole ? kernelWidth * own : own
  const runsPerRow = whole ? 1 : kernelWidth
  const image = <usize>(height * width * channels) << 2

  const firstRun = step / run
  const offset = step - firstRun * run
  const tapRow = firstRun / runsPerRow
  const tapColumn = firstRun - tapRow * runsPerRow

  let b = row0 / (outHeight * outWidth)
  const pixel = row0 - b * outHeight * outWidth
  let p = pixel / outWidth
  let q = pixel - p * outWidth
  for (let row = row0; row < row1; row++) {
    const base = <usize>load<u32>(d, fieldA) + <usize>b * image
    const x0 = q * load<i32>(d, fieldStrideX) - load<i32>(d, fieldPadLeft)
    let y = p * load<i32>(d, fieldStrideY) - load<i32>(d, fieldPadTop) + tapRow * dilationY
    let column = tapColumn
    let at = offset
    let out = to
    let left = steps
    while (left > 0) {
      const count = min(run - at, left)
      const x = x0 + column * dilationX
      // Floats of this run that lie inside the image: [first, last).
      let first = 0
      let last = 0
      if (y >= 0 && y < height) {
        const pixels = whole ? kernelWidth : 1
        first = max(0, -x) * own
        last = min(pixels, width - x) * own
      }
      copyRun(out, base + (<usize>((y * width + x) * channels) << 2), at, at + count, first, last)
      out += count << 2
      left -= count
      at = 0
      if (++column == runsPerRow) {
        column = 0
        y += dilationY
      }
    }
    padRow(to, steps)
    to += rowStride
    if (++q == outWidth) {
      q = 0
      if (++p == outHeight) {
        p = 0
        b++
      }
    }
  }
}

/** Floats [from, to) of a run that starts at `source`; zeros outside [first, last). */
// @ts-ignore: decorator
@inline
function copyRun(out: usize, source: usize, from: i32, to: i32, first: i32, last: i32): void {
  const begin = min(max(from, first), to)
  const end = max(begin, min(to, last))
  zeroFloats(out, begin - from)
  copyFloats(out + ((begin - from) << 2), source + (<usize>begin << 2), end - begin)
  zeroFloats(out + ((end - from) << 2), to - end)
}
