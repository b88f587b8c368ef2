// Faults inside the kernel, in the instrumented build only: single values struck where the descriptor's events say.
// The product's other bits stay as they are: a stopped accumulation goes on with the same additions.
import {
  aInt8,
  effectAdd,
  effectAnd,
  effectCarry,
  effectDoubleTerm,
  effectDropTerm,
  effectOr,
  effectSet,
  effectXor,
  eventBytes,
  eventColumn,
  eventEffect,
  eventOperand,
  eventRow,
  eventSite,
  eventStep,
  fieldAKind,
  fieldEventCount,
  fieldEvents,
  panelColumns,
  rowStride,
  scratchTiles,
  siteAccumulator,
  siteOperand,
  siteOutput,
} from './fields'
import { elementsPerStep } from './pack-weights'
import { resumePanel } from './tile'

/** Strikes operands among packed rows [row0, row1), steps [step, step + steps). */
export function strikeOperands<T>(d: usize, a: usize, row0: i32, row1: i32, step: i32, steps: i32): void {
  let event: usize = load<u32>(d, fieldEvents)
  for (let i = 0; i < load<i32>(d, fieldEventCount); i++, event += eventBytes) {
    const row = load<i32>(event, eventRow)
    const element = load<i32>(event, eventStep) - step * elementsPerStep<T>()
    if (load<i32>(event, eventSite) != siteOperand || row < row0 || row >= row1) continue
    if (element < 0 || element >= steps * elementsPerStep<T>()) continue
    const at = a + <usize>(row - row0) * rowStride
    if (isFloat<T>()) strike<T>(event, at + (<usize>element << 2))
    else strikeByte(event, at + (<usize>element << 1), load<i32>(d, fieldAKind) == aInt8)
  }
}

/** Strikes finished elements of a panel of C. */
export function strikeOutputs<T>(d: usize, c: usize, stride: usize, row0: i32, rows: i32, panel: i32): void {
  let event: usize = load<u32>(d, fieldEvents)
  for (let i = 0; i < load<i32>(d, fieldEventCount); i++, event += eventBytes) {
    if (load<i32>(event, eventSite) != siteOutput || !within<T>(event, row0, rows, panel)) continue
    strike<T>(event, elementAddress<T>(event, c, stride, row0, panel))
  }
}

/** Strikes accumulators of a panel of C over one block of k: recomputes the rows that are hit, step by step. */
export function strikeAccumulators<T>(
  d: usize,
  scratch: usize,
  a: usize,
  b: usize,
  step: i32,
  steps: i32,
  c: usize,
  stride: usize,
  row0: i32,
  rows: i32,
  panel: i32,
  before: usize,
): void {
  for (let row = row0; row < row0 + rows; row++) {
    if (!rowIsHit<T>(d, row, panel, step, steps)) continue
    const from = a + <usize>(row - row0) * rowStride
    const tile = scratch + scratchTiles
    memory.fill(tile, 0, panelColumns << 2)
    for (let s = 0; s < steps; s++) {
      memory.copy(tile + 256, tile, panelColumns << 2)
      resumePanel<T>(from + (<usize>s << 2), b + (<usize>(s * panelColumns) << 2), 1, tile, 64, 1)
      strikeStep<T>(d, tile, from, b, row, panel, step, s)
    }
    const to = c + <usize>(row - row0) * stride
    for (let j = 0; j < panelColumns; j++) {
      const at = <usize>j << 2
      if (isFloat<T>()) store<f32>(to + at, before ? load<f32>(before + (<usize>(row - row0) << 6) + at) + load<f32>(tile + at) : load<f32>(tile + at))
      else store<i32>(to + at, before ? load<i32>(before + (<usize>(row - row0) << 6) + at) + load<i32>(tile + at) : load<i32>(tile + at))
    }
  }
}

/** Whether an accumulator of this row and panel is struck in this block of k. */
function rowIsHit<T>(d: usize, row: i32, panel: i32, step: i32, steps: i32): bool {
  let event: usize = load<u32>(d, fieldEvents)
  for (let i = 0; i < load<i32>(d, fieldEventCount); i++, event += eventBytes)
    if (
      load<i32>(event, eventSite) == siteAccumulator &&
      within<T>(event, row, 1, panel) &&
      load<i32>(event, eventStep) / elementsPerStep<T>() >= step &&
      load<i32>(event, eventStep) / elementsPerStep<T>() < step + steps
    )
      return true
  return false
}

/** Strikes after step `s` of a block; `tile` holds the row's accumulators, `tile + 256` those before the step. */
function strikeStep<T>(d: usize, tile: usize, a: usize, b: usize, row: i32, panel: i32, step: i32, s: i32): void {
  let event: usize = load<u32>(d, fieldEvents)
  for (let i = 0; i < load<i32>(d, fieldEventCount); i++, event += eventBytes) {
    if (load<i32>(event, eventSite) != siteAccumulator || !within<T>(event, row, 1, panel)) continue
    const element = load<i32>(event, eventStep)
    if (element / elementsPerStep<T>() != step + s) continue
    const column = <usize>(load<i32>(event, eventColumn) - panel * panelColumns) << 2
    const effect = load<i32>(event, eventEffect)
    if (effect != effectDropTerm && effect != effectDoubleTerm) strike<T>(event, tile + column)
    else if (isFloat<T>()) {
      if (effect == effectDropTerm) store<f32>(tile + column, load<f32>(tile + 256 + column))
      else {
        memory.copy(tile + 512, tile, panelColumns << 2)
        resumePanel<T>(a + (<usize>s << 2), b + (<usize>(s * panelColumns) << 2), 1, tile + 512, 64, 1)
        store<f32>(tile + column, load<f32>(tile + 512 + column))
      }
    } else {
      const half = <usize>(element & 1) << 1
      const x: i32 = load<i16>(a + (<usize>s << 2) + half)
      const y: i32 = load<i16>(b + (<usize>(s * panelColumns) << 2) + column + half)
      store<i32>(tile + column, load<i32>(tile + column) + (effect == effectDropTerm ? -x * y : x * y))
    }
  }
}

// @ts-ignore: decorator
@inline
function within<T>(event: usize, row0: i32, rows: i32, panel: i32): bool {
  const row = load<i32>(event, eventRow)
  return row >= row0 && row < row0 + rows && load<i32>(event, eventColumn) / panelColumns == panel
}

// @ts-ignore: decorator
@inline
function elementAddress<T>(event: usize, c: usize, stride: usize, row0: i32, panel: i32): usize {
  const column = load<i32>(event, eventColumn) - panel * panelColumns
  return c + <usize>(load<i32>(event, eventRow) - row0) * stride + (<usize>column << 2)
}

function strike<T>(event: usize, at: usize): void {
  if (isFloat<T>()) store<f32>(at, struckFloat(event, load<f32>(at)))
  else store<i32>(at, struck(event, load<i32>(at)))
}

export function struckFloat(event: usize, value: f32): f32 {
  if (load<i32>(event, eventEffect) == effectAdd) return value + load<f32>(event, eventOperand)
  return reinterpret<f32>(struck(event, reinterpret<i32>(value)))
}

/** An 8-bit operand, widened to int16 when it was packed. */
function strikeByte(event: usize, at: usize, signed: bool): void {
  const value = struck(event, <i32>load<i16>(at))
  store<i16>(at, signed ? <i16>(<i8>value) : <i16>(<u8>value))
}

function struck(event: usize, value: i32): i32 {
  const operand = load<i32>(event, eventOperand)
  switch (load<i32>(event, eventEffect)) {
    case effectXor:
      return value ^ operand
    case effectAnd:
      return value & operand
    case effectOr:
      return value | operand
    case effectCarry:
    case effectAdd:
      return value + operand
    case effectSet:
      return operand
    default:
      return value
  }
}
