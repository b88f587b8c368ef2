// Entry of the engine's kernels. Everything works on addresses it is given; nothing is allocated.
import { expectColumns } from './column-checksum'
import { depthwiseLines } from './depthwise-lines'
import { measureOperand, multiply } from './multiply'
import { foldPanels, packWeights, sumRows } from './pack-weights'
export { transposeBytes, transposeWords } from './copy'
export { depthwise } from './depthwise'
export { judgeRows, judgeTiles } from './judge'
export { judgeThin } from './thin'
export { judgeColumns } from './column-screen'
export { measureOperand }

export function multiplyFloats(d: usize, block: i32, row0: i32, row1: i32, panel0: i32, panel1: i32): void {
  multiply<f32>(d, block, row0, row1, panel0, panel1)
}
export function multiplyIntegers(d: usize, block: i32, row0: i32, row1: i32, panel0: i32, panel1: i32): void {
  multiply<i32>(d, block, row0, row1, panel0, panel1)
}
export function packFloats(from: usize, stride: usize, to: usize, k: i32, n: i32, panel0: i32, panel1: i32): void {
  packWeights<f32>(from, stride, to, k, n, panel0, panel1)
}
export function packIntegers(from: usize, stride: usize, to: usize, k: i32, n: i32, panel0: i32, panel1: i32): void {
  packWeights<i32>(from, stride, to, k, n, panel0, panel1)
}
export function sumFloatRows(from: usize, stride: usize, n: i32, row0: i32, row1: i32, to: usize, rest: usize): void {
  sumRows<f32>(from, stride, n, row0, row1, to, rest)
}
export function sumIntegerRows(from: usize, stride: usize, n: i32, row0: i32, row1: i32, to: usize): void {
  sumRows<i32>(from, stride, n, row0, row1, to, 0)
}
export function foldFloats(
  b: usize,
  panels: i32,
  steps: i32,
  to: usize,
  stride: usize,
  panel0: i32,
  panel1: i32,
): void {
  foldPanels<f32>(b, panels, steps, to, stride, panel0, panel1)
}
export function foldIntegers(
  b: usize,
  panels: i32,
  steps: i32,
  to: usize,
  stride: usize,
  panel0: i32,
  panel1: i32,
): void {
  foldPanels<i32>(b, panels, steps, to, stride, panel0, panel1)
}
export function expectFloatColumns(
  b: usize,
  panels: i32,
  steps: i32,
  sums: usize,
  to: usize,
  panel0: i32,
  panel1: i32,
): void {
  expectColumns<f32>(b, panels, steps, sums, to, panel0, panel1)
}
export function expectIntegerColumns(
  b: usize,
  panels: i32,
  steps: i32,
  sums: usize,
  to: usize,
  panel0: i32,
  panel1: i32,
): void {
  expectColumns<i32>(b, panels, steps, sums, to, panel0, panel1)
}
export function depthwiseTwice(d: usize, line0: i32, line1: i32): void {
  depthwiseLines<f32>(d, line0, line1)
}
export function depthwiseTotals(d: usize, line0: i32, line1: i32): void {
  depthwiseLines<i32>(d, line0, line1)
}
