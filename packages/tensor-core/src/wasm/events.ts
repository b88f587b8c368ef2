// A fault list as the instrumented kernels and the packed weights take it.
import type { Fault, WasmRuntime } from '@ft/core'
import {
  eventBytes,
  eventColumn,
  eventEffect,
  eventOperand,
  eventRow,
  eventSite,
  eventStep,
  siteAccumulator,
  siteOperand,
  siteOutput,
} from '../../assembly/fields.ts'
import { encodeEffect } from '../problem/effects.ts'
import { formatAt, strike, type FaultContext } from '../problem/faults.ts'
import { packedAddress, type PackedWeights } from './weights.ts'

/** The faults that strike inside product `item`, as the kernel's events. */
export function encodeEvents(faults: readonly Fault[], context: FaultContext, item: number): Uint8Array {
  const { m } = context
  const own = faults.filter(({ site }) => 'row' in site && site.row >= item * m && site.row < (item + 1) * m)
  const bytes = new Uint8Array(own.length * eventBytes)
  own.forEach(({ site, effect }, i) => {
    if (!('row' in site)) return
    const view = new DataView(bytes.buffer, i * eventBytes)
    const kinds = { operand: siteOperand, accumulator: siteAccumulator, output: siteOutput }
    view.setInt32(eventSite, kinds[site.kind], true)
    view.setInt32(eventRow, site.row - item * m, true)
    view.setInt32(eventColumn, site.kind === 'operand' ? 0 : site.column, true)
    view.setInt32(eventStep, site.kind === 'output' ? 0 : site.step, true)
    const [code, operand] = encodeEffect(effect, formatAt(site.kind, context))
    view.setInt32(eventEffect, code, true)
    view.setUint32(eventOperand, operand, true)
  })
  return bytes
}

/** Strikes packed weights and returns what undoes it: the faults last for one product. */
export function strikeWeights(runtime: WasmRuntime, weights: PackedWeights, faults: readonly Fault[]): () => void {
  const undo: (() => void)[] = []
  // Memory may grow, and its buffer change, before a weight is restored.
  const memory = (): DataView => new DataView(runtime.memory.buffer)
  for (const { site, effect } of faults) {
    if (site.kind !== 'packed-weight') continue
    const item = Math.floor(site.step / weights.k)
    const at = packedAddress(weights, { item, k: site.step % weights.k, column: site.column })
    if (weights.arithmetic.integer) {
      const clean = memory().getInt16(at, true)
      memory().setInt16(at, strike(clean, effect, 'int8'), true)
      undo.push(() => memory().setInt16(at, clean, true))
    } else {
      const clean = memory().getInt32(at, true)
      memory().setFloat32(at, strike(memory().getFloat32(at, true), effect, 'float32'), true)
      undo.push(() => memory().setInt32(at, clean, true))
    }
  }
  // The last struck is the first restored, so that two faults on one weight leave it as it was.
  return () => undo.reverse().forEach((restore) => restore())
}

/**
 * The faults that strike inside a depthwise convolution, as its kernel's events: rows are pixels, columns channels, whose
 * products are the items.
 */
export function encodeDepthwiseEvents(faults: readonly Fault[], context: FaultContext): Uint8Array {
  const parts: Uint8Array[] = []
  for (const fault of faults) {
    if (!('row' in fault.site)) continue
    const channel = Math.floor(fault.site.row / context.m)
    const event = encodeEvents([fault], context, channel)
    new DataView(event.buffer).setInt32(eventColumn, channel, true)
    parts.push(event)
  }
  const all = new Uint8Array(parts.length * eventBytes)
  parts.forEach((part, i) => all.set(part, i * eventBytes))
  return all
}

/** Strikes float32 weights `[taps, channels]` at an address, as `strikeWeights` does packed ones. */
export function strikeTaps(
  runtime: WasmRuntime,
  o: { address: number; taps: number; channels: number },
  faults: readonly Fault[],
): () => void {
  const undo: (() => void)[] = []
  const memory = (): DataView => new DataView(runtime.memory.buffer)
  for (const { site, effect } of faults) {
    if (site.kind !== 'packed-weight') continue
    const [channel, tap] = [Math.floor(site.step / o.taps), site.step % o.taps]
    const at = o.address + (tap * o.channels + channel) * 4
    const clean = memory().getInt32(at, true)
    memory().setFloat32(at, strike(memory().getFloat32(at, true), effect, 'float32'), true)
    undo.push(() => memory().setInt32(at, clean, true))
  }
  return () => undo.reverse().forEach((restore) => restore())
}
