// Where faults can strike in a linear layer: how many places there are, which types they hold, random places.
//
// Indices of batched and grouped products: rows count over batch items (row = item * m + i); the steps of operands
// that differ between items or groups count over them (a batched B: step = item * k + s; A of a grouped convolution:
// step = group * k + s). An accumulator's step is within its own product: 0 .. k - 1.
import { assertInteger, assertOneOf, invalidArgument } from '../guards.ts'
import { bytesPerElement, isFloating } from '../formats/dtypes.ts'
import type { Random } from '../random/types.ts'
import type { Fault, FaultSite } from '../types/faults.ts'
import type { LinearLayer } from '../types/layers.ts'
import type { DType } from '../types/tensor.ts'

/** Sites of a matrix product. Ids of embedding look-ups ('index') lie outside: `indexFlips` draws those. */
export type SiteKind = Exclude<FaultSite['kind'], 'index'>

const kinds: readonly SiteKind[] = ['operand', 'packed-weight', 'accumulator', 'output', 'checksum']

/** Index ranges of a layer's sites. */
export interface Extent {
  /** Rows of the output over all batch items: batch * m. */
  readonly rows: number
  /** Columns of the output: n. */
  readonly columns: number
  /** Steps of one accumulator: k. */
  readonly steps: number
  /** Steps of the operand A: k, times the groups of a convolution. */
  readonly operandSteps: number
  /** Steps of the packed weights: k, times the items of a batched product. */
  readonly weightSteps: number
}

/** @throws FtError `INVALID_ARGUMENT` when a size of the layer is not a positive integer */
export function extentOf(layer: LinearLayer): Extent {
  const { m, n, k, op } = layer
  const batch = op.kind === 'matmul' ? op.batch : 1
  const groups = op.kind === 'conv2d' ? op.groups : 1
  for (const [argument, value] of Object.entries({ m, n, k, batch, groups, count: layer.count })) {
    assertInteger(value, { where: 'extentOf', argument: `layer.${argument}`, min: 1 })
  }
  return { rows: batch * m, columns: n, steps: k, operandSteps: groups * k, weightSteps: batch * k }
}

/**
 * The type that holds a value where a fault strikes: accumulators of 16-bit floats are float32, products of 8-bit
 * integers are int32, check sums are float32 or int32.
 */
export function siteDType(layer: LinearLayer, kind: SiteKind): DType {
  const { dtype } = layer
  if (kind === 'operand' || kind === 'packed-weight') return dtype
  if (!isFloating(dtype)) return 'int32'
  if (kind === 'output') return dtype
  return bytesPerElement(dtype) === 2 ? 'float32' : dtype
}

/**
 * Places where one call of a layer can be struck: elements of A or B, multiply-adds, or outputs.
 *
 * @param options.checks - check sums of the scheme, for 'checksum'; default one a row, on both sides
 */
export function sitePopulation(layer: LinearLayer, options: { kind: SiteKind; checks?: number }): number {
  const { rows, columns, steps, operandSteps, weightSteps } = extentOf(layer)
  const { kind, checks = rows } = options
  assertOneOf(kind, { where: 'sitePopulation', argument: 'kind', values: kinds })
  switch (kind) {
    case 'operand':
      return rows * operandSteps
    case 'packed-weight':
      return weightSteps * columns
    case 'accumulator':
      return rows * columns * steps
    case 'output':
      return rows * columns
    case 'checksum':
      return 2 * checks
  }
}

/** The place of a number below `sitePopulation`: a bijection, so that places can be drawn without repetition. */
export function siteAt(layer: LinearLayer, at: { kind: SiteKind; index: number; checks?: number }): FaultSite {
  const { columns, steps, operandSteps, rows } = extentOf(layer)
  const { kind, index, checks = rows } = at
  const quotient = (divisor: number) => Math.floor(index / divisor)
  switch (kind) {
    case 'operand':
      return { kind, row: quotient(operandSteps), step: index % operandSteps }
    case 'packed-weight':
      return { kind, step: quotient(columns), column: index % columns }
    case 'accumulator': {
      const output = quotient(steps)
      return { kind, row: Math.floor(output / columns), column: output % columns, step: index % steps }
    }
    case 'output':
      return { kind, row: quotient(columns), column: index % columns }
    case 'checksum':
      return { kind, side: index < checks ? 'actual' : 'expected', index: index % checks }
  }
}

/** A random place, every place equally likely. */
export function drawSite(layer: LinearLayer, options: { kind: SiteKind; random: Random; checks?: number }): FaultSite {
  const index = options.random.integer(0, sitePopulation(layer, options) - 1)
  const { kind, checks } = options
  return siteAt(layer, checks === undefined ? { kind, index } : { kind, index, checks })
}

/**
 * Checks that a fault lies inside a layer: what an engine does before it injects.
 *
 * @param options.where - function to name in the message
 * @param options.checks - check sums of the scheme; default one a row
 * @throws FtError `INVALID_ARGUMENT` when an index or a bit is outside
 */
export function assertFaultFits(fault: Fault, options: { layer: LinearLayer; where?: string; checks?: number }): void {
  const { layer, where = 'assertFaultFits' } = options
  const { rows, columns, steps, operandSteps, weightSteps } = extentOf(layer)
  const { site, effect } = fault
  if (site.kind === 'index')
    throw invalidArgument(
      { where, argument: 'fault.site' },
      'a site of a matrix product (products read no ids)',
      'index',
    )
  const within = (name: string, value: number, size: number) =>
    assertInteger(value, { where, argument: `fault.site.${name}`, min: 0, max: size - 1 })
  if ('row' in site) within('row', site.row, rows)
  if ('column' in site) within('column', site.column, columns)
  if ('step' in site) {
    within('step', site.step, { operand: operandSteps, 'packed-weight': weightSteps, accumulator: steps }[site.kind])
  }
  if (site.kind === 'checksum') within('index', site.index, options.checks ?? rows)
  const width = 8 * bytesPerElement(siteDType(layer, site.kind))
  const bits = effect.kind === 'flip' ? effect.bits : 'bit' in effect ? [effect.bit] : []
  for (const bit of bits) assertInteger(bit, { where, argument: 'fault.effect bit', min: 0, max: width - 1 })
  if ((effect.kind === 'drop-term' || effect.kind === 'double-term') && site.kind !== 'accumulator') {
    throw invalidArgument({ where, argument: 'fault.site' }, `an accumulator for '${effect.kind}'`, site.kind)
  }
}
