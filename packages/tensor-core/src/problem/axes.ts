// Strides, pads and output sizes of convolutions.
import { assertInteger, invalidArgument, type Argument, type Pair, type TBLR } from '@ft/core'

export function assertPair(value: Pair, at: Argument & { min: number }): void {
  if (!Array.isArray(value) || value.length !== 2) throw invalidArgument(at, 'two integers', value)
  for (const item of value) assertInteger(item, { ...at, max: 2 ** 30 })
}

export function assertPads(value: TBLR, at: Argument): void {
  if (!Array.isArray(value) || value.length !== 4) throw invalidArgument(at, 'four integers', value)
  for (const item of value) assertInteger(item, { ...at, min: 0, max: 2 ** 30 })
}

/** Output pixels along one axis; 0 or less when the filter is larger than the padded input. */
export function outputSize(o: { size: number; kernel: number; stride: number; dilation: number; pad: number }): number {
  return Math.floor((o.size + o.pad - o.dilation * (o.kernel - 1) - 1) / o.stride) + 1
}
