// The product: blocks of rows of A and of k are packed once and multiplied with every panel of B; what checks need is
// taken on the way. `T` is f32, or i32 for int8 operands.
import {
  blockSteps,
  emitColumnOfA,
  emitExtrema,
  emitOneSided,
  emitReplica,
  emitRowActual,
  emitRowExpected,
  emitScreen,
  emitStatistics,
  emitTwoSided,
  fieldB,
  fieldC,
  fieldCStride,
  fieldEventCount,
  fieldFlags,
  fieldN,
  fieldPanels,
  fieldScratch,
  fieldSteps,
  fieldThreads,
  narrowColumns,
  panelColumns,
  rowStride,
  scratchBytes,
  scratchFolds,
  scratchRowSums,
  scratchSaved,
  scratchStrip,
  scratchTurned,
  stripColumns,
} from './fields'
import { expectBlock, packAndAdd, sumBlock } from './column-screen'
import { copyFloats } from './copy'
import { strikeAccumulators, strikeOperands, strikeOutputs } from './faults'
import { finishStrip, hasExactReplica, needsFinish } from './finish'
import { packRows } from './pack-rows'
import { panelAddress } from './pack-weights'
import { rowPass } from './row-pass'
import { addPanel } from './row-sums'
import { checkTiles, foldRows } from './tile-check'
import { narrowPanel, narrowPanelTwice } from './narrow'
import { panel } from './tile'

/** Rows that are packed and summed in one go. */
const rowsAtOnce = 8

/** Number of this thread: each thread has an instance of the module, and so its own copy of this variable. */
let thread: i32 = -1

// @ts-ignore: decorator
@inline
function threadScratch(d: usize): usize {
  if (thread < 0) thread = ASC_FEATURE_THREADS ? atomic.add<i32>(load<u32>(d, fieldThreads), 1) : 0
  return <usize>load<u32>(d, fieldScratch) + <usize>thread * scratchBytes
}

// @ts-ignore: decorator
@inline
function instrumented(): bool {
  return isDefined(FT_INSTRUMENTED)
}

/**
 * Computes rows [row0, row1) (at most `blockRows`; the `block`-th block of rows) and panels [panel0, panel1) of C, which
 * begin and end with strips of columns. Sums over A are taken by the task that has panel 0.
 */
export function multiply<T>(d: usize, block: i32, row0: i32, row1: i32, panel0: i32, panel1: i32): void {
  const flags = load<i32>(d, fieldFlags)
  const steps = load<i32>(d, fieldSteps)
  const scratch = threadScratch(d)
  const rows = row1 - row0
  for (let step = 0; step < steps; step += blockSteps) {
    const own = min(blockSteps, steps - step)
    if (panel0 == 0 && flags & (emitRowExpected | emitStatistics | emitExtrema | emitColumnOfA)) {
      // A few rows at a time, so that they are in the first cache when they are read again.
      for (let row = row0; row < row1; row += rowsAtOnce) {
        const to = scratch + <usize>(row - row0) * rowStride
        packRows<T>(d, to, row, min(row + rowsAtOnce, row1), step, own)
        rowPass<T>(d, to, block, row, min(row + rowsAtOnce, row1), step, own)
      }
    } else if (isFloat<T>() && flags & emitScreen) packAndAdd(d, scratch, row0, row1, step, own, scratch + scratchFolds)
    else packRows<T>(d, scratch, row0, row1, step, own)
    if (instrumented()) strikeOperands<T>(d, scratch, row0, row1, step, own)
    if (flags & emitTwoSided) foldRows<T>(scratch, rows, own, scratch + scratchFolds)
    const last = step + own == steps
    if (isFloat<T>() && flags & emitScreen) expectBlock(d, scratch + scratchFolds, block, rows, step, own)
    const panelsPerStrip = stripColumns / panelColumns
    for (let p = panel0; p < panel1; p += panelsPerStrip) {
      const end = min(p + panelsPerStrip, panel1)
      const sums: usize = last && flags & emitRowActual ? scratch + scratchRowSums : 0
      if (sums) memory.fill(sums, 0, <usize>rows << 4)
      for (let q = p; q < end; q++) multiplyPanel<T>(d, scratch, row0, rows, q, step, own, steps, sums)
      if (last && needsFinish(flags)) {
        const j0 = p * panelColumns
        const stride: usize = load<u32>(d, fieldCStride)
        const c = <usize>load<u32>(d, fieldC) + <usize>row0 * stride + (<usize>j0 << 2)
        if (isFloat<T>() && flags & emitScreen) sumBlock(d, c, stride, block, rows)
        finishStrip<T>(d, scratch, c, stride, block, row0, rows, j0, min(end * panelColumns, load<i32>(d, fieldN)))
      }
    }
  }
}

/** What the flags want to be known of rows [row0, row1) of A, one block of a float product, and nothing else. */
export function measureOperand(d: usize, block: i32, row0: i32, row1: i32): void {
  const steps = load<i32>(d, fieldSteps)
  const scratch = threadScratch(d)
  for (let step = 0; step < steps; step += blockSteps) {
    const own = min(blockSteps, steps - step)
    packRows<f32>(d, scratch, row0, row1, step, own)
    rowPass<f32>(d, scratch, block, row0, row1, step, own)
  }
}

// @ts-ignore: decorator
@inline
function multiplyPanel<T>(
  d: usize,
  scratch: usize,
  row0: i32,
  rows: i32,
  p: i32,
  step: i32,
  own: i32,
  steps: i32,
  sums: usize,
): void {
  const flags = load<i32>(d, fieldFlags)
  const b = panelAddress<T>(load<u32>(d, fieldB), load<i32>(d, fieldPanels), steps, p, step)
  const valid = load<i32>(d, fieldN) - p * panelColumns
  // The last panel may have columns that C has not: its tiles are computed in a strip, and copied when they are done.
  const edge = valid < panelColumns
  const toStride: usize = load<u32>(d, fieldCStride)
  const to = <usize>load<u32>(d, fieldC) + <usize>row0 * toStride + (<usize>(p * panelColumns) << 2)
  const c = edge ? scratch + scratchStrip : to
  const stride: usize = edge ? <usize>panelColumns << 2 : toStride

  const turned = isFloat<T>() && hasExactReplica(d) ? scratch + scratchTurned : 0
  if (instrumented() && load<i32>(d, fieldEventCount) > 0) {
    const before = step > 0 ? savePanel<T>(scratch, c, stride, rows) : 0
    anyPanel<T>(scratch, b, own, c, stride, rows, step > 0, valid, 0, turned)
    strikeAccumulators<T>(d, scratch, scratch, b, step, own, c, stride, row0, rows, p, before)
    if (step + own == steps) strikeOutputs<T>(d, c, stride, row0, rows, p)
    if (sums) addPanel<T>(sums, c, stride, rows, valid > narrowColumns ? panelColumns : valid)
  } else anyPanel<T>(scratch, b, own, c, stride, rows, step > 0, valid, sums, turned)
  const checks = flags & (emitOneSided | emitTwoSided | (turned ? 0 : emitReplica))
  if (checks) checkTiles<T>(d, checks, scratch, scratch + scratchFolds, b, row0, rows, p, step, own)
  if (edge && step + own == steps) copyColumns(to, toStride, c, stride, rows, valid)
}

// @ts-ignore: decorator
@inline
function anyPanel<T>(
  a: usize,
  b: usize,
  steps: i32,
  c: usize,
  stride: usize,
  rows: i32,
  accumulate: bool,
  valid: i32,
  sums: usize,
  turned: usize,
): void {
  if (valid > narrowColumns) panel<T>(a, b, steps, c, stride, rows, accumulate, sums)
  else {
    if (turned) narrowPanelTwice(a, b, steps, c, stride, rows, accumulate, valid, turned)
    else narrowPanel<T>(a, b, steps, c, stride, rows, accumulate, valid)
    if (sums) addPanel<T>(sums, c, stride, rows, valid)
  }
}

/** Copies a panel of C, 64 bytes from row to row, and returns where. */
function savePanel<T>(scratch: usize, c: usize, stride: usize, rows: i32): usize {
  const to = scratch + scratchSaved
  for (let row: usize = 0; row < <usize>rows; row++) memory.copy(to + (row << 6), c + row * stride, panelColumns << 2)
  return to
}

// @ts-ignore: decorator
@inline
function copyColumns(to: usize, toStride: usize, from: usize, stride: usize, rows: i32, columns: i32): void {
  for (let row = 0; row < rows; row++) {
    copyFloats(to, from, columns)
    to += toStride
    from += stride
  }
}
