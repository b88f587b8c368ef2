// Faults inside the depthwise convolution with a replica, in the instrumented build only: an output line that is struck is
// computed again, tap by tap, with its faults. The replica reads the operands itself and stays as it was.
import { madd } from './arithmetic'
import { finished, storeLanes } from './depthwise'
import { struckFloat } from './faults'
import {
  effectDoubleTerm,
  effectDropTerm,
  eventBytes,
  eventColumn,
  eventEffect,
  eventRow,
  eventSite,
  eventStep,
  fieldB,
  fieldChannels,
  fieldDilationX,
  fieldDilationY,
  fieldEventCount,
  fieldEvents,
  fieldHeight,
  fieldKernelHeight,
  fieldKernelWidth,
  fieldM,
  fieldOutWidth,
  fieldPadLeft,
  fieldStrideX,
  fieldTileActual,
  fieldWidth,
  siteAccumulator,
  siteOperand,
  siteOutput,
} from './fields'

/** Strikes output row `line`, whose first tap sees input row `y0`. An event's row is a pixel, its column a channel. */
export function strikeLine(d: usize, image: usize, to: usize, y0: i32, line: i32): void {
  const outWidth = load<i32>(d, fieldOutWidth)
  let event: usize = load<u32>(d, fieldEvents)
  for (let i = 0; i < load<i32>(d, fieldEventCount); i++, event += eventBytes)
    // Again for each of several faults of a line: the same values.
    if (load<i32>(event, eventRow) / outWidth == line) computeChannel(d, image, to, y0, load<i32>(event, eventColumn), line)
}

/** One channel of a line, and the sum over it. */
function computeChannel(d: usize, image: usize, to: usize, y0: i32, c: i32, line: i32): void {
  const outWidth = load<i32>(d, fieldOutWidth)
  const channels = load<i32>(d, fieldChannels)
  let total: f64 = 0
  for (let q = 0; q < outWidth; q++) {
    const row = line * outWidth + q
    const value = strikeOutput(d, row, c, accumulate(d, image, y0, c, row, q))
    total += <f64>value
    storeLanes(to + (<usize>(q * channels + c) << 2), finished(d, f32x4.splat(value), c, 1), 1)
  }
  store<f64>(<usize>load<u32>(d, fieldTileActual) + ((<usize>c * load<u32>(d, fieldM) + <usize>line) << 3), total)
}

/** The same additions as the kernel's, in one lane. */
function accumulate(d: usize, image: usize, y0: i32, c: i32, row: i32, q: i32): f32 {
  const channels = load<i32>(d, fieldChannels)
  const width = load<i32>(d, fieldWidth)
  const height = load<i32>(d, fieldHeight)
  const kw = load<i32>(d, fieldKernelWidth)
  const x0 = q * load<i32>(d, fieldStrideX) - load<i32>(d, fieldPadLeft)
  let sum = f32x4.splat(0)
  for (let step = 0; step < load<i32>(d, fieldKernelHeight) * kw; step++) {
    const y = y0 + (step / kw) * load<i32>(d, fieldDilationY)
    const x = x0 + (step % kw) * load<i32>(d, fieldDilationX)
    const inside = y >= 0 && y < height && x >= 0 && x < width
    const read: f32 = inside ? load<f32>(image + (<usize>((y * width + x) * channels + c) << 2)) : 0
    const value = f32x4.splat(strikeAt(d, siteOperand, row, c, step, read))
    const weight = v128.load32_splat(<usize>load<u32>(d, fieldB) + (<usize>(step * channels + c) << 2))
    sum = strikeStep(d, row, c, step, sum, madd<f32>(value, weight, sum), madd<f32>(value, weight, madd<f32>(value, weight, sum)))
  }
  return f32x4.extract_lane(sum, 0)
}

// @ts-ignore: decorator
@inline
function strikes(event: usize, site: i32, row: i32, c: i32): bool {
  return load<i32>(event, eventSite) == site && load<i32>(event, eventRow) == row && load<i32>(event, eventColumn) == c
}

function strikeAt(d: usize, site: i32, row: i32, c: i32, step: i32, value: f32): f32 {
  let event: usize = load<u32>(d, fieldEvents)
  for (let i = 0; i < load<i32>(d, fieldEventCount); i++, event += eventBytes)
    if (strikes(event, site, row, c) && load<i32>(event, eventStep) == step) value = struckFloat(event, value)
  return value
}

/** The accumulator after a step, of which are known what it was before, what it should be, and what it is with the term twice. */
function strikeStep(d: usize, row: i32, c: i32, step: i32, before: v128, after: v128, twice: v128): v128 {
  let event: usize = load<u32>(d, fieldEvents)
  let sum = after
  for (let i = 0; i < load<i32>(d, fieldEventCount); i++, event += eventBytes) {
    if (!strikes(event, siteAccumulator, row, c) || load<i32>(event, eventStep) != step) continue
    const effect = load<i32>(event, eventEffect)
    if (effect == effectDropTerm) sum = before
    else if (effect == effectDoubleTerm) sum = twice
    else sum = f32x4.splat(struckFloat(event, f32x4.extract_lane(sum, 0)))
  }
  return sum
}

function strikeOutput(d: usize, row: i32, c: i32, value: f32): f32 {
  let event: usize = load<u32>(d, fieldEvents)
  for (let i = 0; i < load<i32>(d, fieldEventCount); i++, event += eventBytes)
    if (strikes(event, siteOutput, row, c)) value = struckFloat(event, value)
  return value
}
