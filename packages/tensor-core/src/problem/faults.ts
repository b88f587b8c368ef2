// Injected faults, checked against a product's sizes and turned into strikes on single values.
//
// Indices count through batch items or groups as check sums do: row = item * m + i, and a packed weight's step =
// item * k + s where items have their own weights. Patterns have the width of the value struck: 32 bits of a float32 or
// an int32 accumulator, 8 bits of an int8 operand, 64 bits of a float64 check sum.
import { FtError, assertInteger, assertNumber, invalidArgument, type Fault, type FaultEffect } from '@ft/core'
import type { Sizes } from './matmul.ts'

export type ValueFormat = 'float32' | 'float64' | 'int32' | 'int8' | 'uint8'

const widths: Readonly<Record<ValueFormat, number>> = { float32: 32, float64: 64, int32: 32, int8: 8, uint8: 8 }

const buffer = new DataView(new ArrayBuffer(8))

/** The bit pattern of a value as a non-negative integer. */
export function patternOf(value: number, format: ValueFormat): bigint {
  if (format === 'float64') buffer.setFloat64(0, value)
  else if (format === 'float32') buffer.setFloat32(0, value)
  else buffer.setInt32(0, value)
  if (format === 'float64') return buffer.getBigUint64(0)
  return BigInt(buffer.getUint32(0)) & ((1n << BigInt(widths[format])) - 1n)
}

export function valueOf(pattern: bigint, format: ValueFormat): number {
  switch (format) {
    case 'float64':
      buffer.setBigUint64(0, pattern)
      return buffer.getFloat64(0)
    case 'float32':
      buffer.setUint32(0, Number(pattern))
      return buffer.getFloat32(0)
    case 'uint8':
      return Number(pattern)
    default:
      return Number(BigInt.asIntN(widths[format], pattern))
  }
}

/** The value after the fault. Dropped and doubled terms are the product loop's to do. */
export function strike(value: number, effect: FaultEffect, format: ValueFormat): number {
  if (effect.kind === 'drop-term' || effect.kind === 'double-term') return value
  if (effect.kind === 'set' || effect.kind === 'add')
    return rounded(effect.kind === 'set' ? effect.value : value + effect.value, format)
  return valueOf(strikePattern(patternOf(value, format), effect, widths[format]), format)
}

type PatternEffect = Extract<FaultEffect, { kind: 'flip' | 'stuck' | 'carry' }>

function strikePattern(pattern: bigint, effect: PatternEffect, width: number): bigint {
  switch (effect.kind) {
    case 'flip':
      return effect.bits.reduce((p, bit) => p ^ (1n << BigInt(bit)), pattern)
    case 'stuck':
      return effect.at === 1 ? pattern | (1n << BigInt(effect.bit)) : pattern & ~(1n << BigInt(effect.bit))
    case 'carry':
      return BigInt.asUintN(width, pattern + BigInt(effect.sign) * (1n << BigInt(effect.bit)))
  }
}

function rounded(value: number, format: ValueFormat): number {
  if (format === 'float64') return value
  return format === 'float32' ? Math.fround(value) : valueOf(patternOf(value, format), format)
}

export interface FaultContext extends Sizes {
  readonly where: string
  readonly integer: boolean
  /** Whether batch items or groups have their own weights. */
  readonly ownWeights: boolean
  readonly operand: ValueFormat
  /** Format of the check sums. */
  readonly sums: ValueFormat
}

/** Checks a fault list. @throws FtError `INVALID_ARGUMENT` for sites outside the product and bits outside the value */
export function assertFaults(faults: readonly Fault[], context: FaultContext): void {
  if (!Array.isArray(faults))
    throw invalidArgument({ where: context.where, argument: 'options.faults' }, 'an array of faults', faults)
  faults.forEach((fault, i) => assertFault(fault as Fault, context, `options.faults[${i}]`))
}

function assertFault(fault: Fault, context: FaultContext, argument: string): void {
  const { where, count, m, n, k, ownWeights } = context
  const { site, effect } = fault
  const within = (value: number, name: string, size: number): void =>
    assertInteger(value, { where, argument: `${argument}.site.${name}`, min: 0, max: size - 1 })
  switch (site.kind) {
    case 'operand':
      within(site.row, 'row', count * m)
      within(site.step, 'step', k)
      break
    case 'packed-weight':
      within(site.step, 'step', (ownWeights ? count : 1) * k)
      within(site.column, 'column', n)
      break
    case 'accumulator':
      within(site.step, 'step', k)
      within(site.row, 'row', count * m)
      within(site.column, 'column', n)
      break
    case 'output':
      within(site.row, 'row', count * m)
      within(site.column, 'column', n)
      break
    case 'checksum':
      assertInteger(site.index, { where, argument: `${argument}.site.index`, min: 0 })
      break
    default:
      throw invalidArgument(
        { where, argument: `${argument}.site.kind` },
        'a known fault site',
        (site as { kind: unknown }).kind,
      )
  }
  assertEffect(effect, { where, argument: `${argument}.effect`, site: site.kind, format: formatAt(site.kind, context) })
}

/** Format of the values at a site. */
export function formatAt(site: Fault['site']['kind'], context: FaultContext): ValueFormat {
  if (site === 'checksum') return context.sums
  if (site === 'operand') return context.operand
  if (site === 'packed-weight') return context.integer ? 'int8' : 'float32'
  return context.integer ? 'int32' : 'float32'
}

function assertEffect(
  effect: FaultEffect,
  at: { where: string; argument: string; site: Fault['site']['kind']; format: ValueFormat },
): void {
  const { where, argument, format } = at
  const bit = (value: number): void =>
    assertInteger(value, { where, argument: `${argument}.bit`, min: 0, max: widths[format] - 1 })
  switch (effect.kind) {
    case 'flip':
      effect.bits.forEach(bit)
      return
    case 'stuck':
    case 'carry':
      bit(effect.bit)
      return
    case 'set':
      if (typeof effect.value !== 'number')
        throw invalidArgument({ where, argument: `${argument}.value` }, 'a number', effect.value)
      return
    case 'add':
      assertNumber(effect.value, { where, argument: `${argument}.value` })
      return
    case 'drop-term':
    case 'double-term':
      if (at.site === 'accumulator') return
      throw new FtError(
        'INVALID_ARGUMENT',
        `${where}: \`${argument}\`: terms are dropped and doubled in accumulators only`,
        {
          effect: effect.kind,
          site: at.site,
        },
      )
    default:
      throw invalidArgument(
        { where, argument: `${argument}.kind` },
        'a known effect',
        (effect as { kind: unknown }).kind,
      )
  }
}
