// Checks the options that every product takes, once for all engines.
import {
  assertOneOf,
  assertTensor,
  invalidArgument,
  FtError,
  type Activation,
  type Argument,
  type DType,
  type Emit,
  type MatmulOptions,
  type NextChecksum,
  type PreparedWeights,
  type Tensor,
} from '@ft/core'
import { overlaps } from './apart.ts'
import { assertPads, assertPair } from './axes.ts'

export interface ProductOptions {
  readonly bias: Tensor | undefined
  readonly activation: Activation | undefined
  readonly out: Tensor | undefined
  readonly emit: Emit
}

/** What the options must agree with. */
export interface Result {
  readonly where: string
  /** Columns of the product: bias elements. */
  readonly n: number
  readonly outShape: readonly number[]
  readonly outType: DType
  /** What the product reads, by the names of its arguments. Prepared weights are the engine's own copy. */
  readonly operands: Readonly<Record<string, Tensor | PreparedWeights>>
}

/** @throws FtError `INVALID_ARGUMENT` for options that are no object */
export function optionsOf<T extends object>(options: T | undefined, where: string): T | Record<never, never> {
  if (options === undefined) return none
  if (typeof options !== 'object' || options === null)
    throw invalidArgument({ where, argument: 'options' }, 'an object', options)
  return options
}

const none = Object.freeze({})

export function resolveOptions(options: MatmulOptions, result: Result): ProductOptions {
  const { where, n, outShape, outType } = result
  const { bias, activation, out, emit = {} } = options
  if (bias !== undefined) assertTensor(bias, { where, argument: 'options.bias', dtype: outType, shape: [n] })
  if (activation !== undefined)
    assertOneOf(activation, { where, argument: 'options.activation', values: ['relu', 'gelu'] })
  if (activation === 'gelu' && outType === 'int32')
    throw new FtError('UNSUPPORTED', `${where}: no GELU of integers; convert the product to float32 first`, {
      activation,
    })
  if (out !== undefined) {
    assertTensor(out, { where, argument: 'options.out', dtype: outType, shape: outShape })
    for (const argument in result.operands) assertApart(out, result.operands[argument], { where, argument })
    assertApart(out, bias, { where, argument: 'options.bias' })
  }
  resolveEmit(emit, where)
  return { bias, activation, out, emit }
}

/** An output is written while operands are still read, and a checked product reads them again after it. */
function assertApart({ data }: Tensor, operand: Tensor | PreparedWeights | undefined, at: Argument): void {
  if (operand === undefined || !('data' in operand) || !overlaps(data, operand.data)) return
  const { where, argument } = at
  throw new FtError(
    'INVALID_ARGUMENT',
    `${where}: \`options.out\` must not share memory with \`${argument}\`; give it memory of its own, or leave it out`,
    { argument },
  )
}

function resolveEmit(emit: Emit, where: string): void {
  if (typeof emit !== 'object' || emit === null)
    throw invalidArgument({ where, argument: 'options.emit' }, 'an object', emit)
  assertFlag(emit.rowSums, 'rowSums', where)
  assertFlag(emit.columnSums, 'columnSums', where)
  assertFlag(emit.total, 'total', where)
  assertFlag(emit.replica, 'replica', where)
  assertFlag(emit.rowStatistics, 'rowStatistics', where)
  if (emit.tileSums !== undefined)
    assertOneOf(emit.tileSums, { where, argument: 'options.emit.tileSums', values: ['one-sided', 'two-sided'] })
  if (emit.nextChecksum !== undefined) resolveNextChecksum(emit.nextChecksum, where)
}

/** The text of an error that nobody gets would cost a small product dearly. */
function assertFlag(value: unknown, flag: keyof Emit, where: string): void {
  if (value !== undefined && typeof value !== 'boolean')
    assertOneOf(value, { where, argument: `options.emit.${flag}`, values: [true, false] })
}

function resolveNextChecksum(next: NextChecksum, where: string): void {
  const argument = 'options.emit.nextChecksum'
  assertOneOf(next.kind, { where, argument: `${argument}.kind`, values: ['matmul', 'conv2d'] })
  if (next.kind === 'matmul') return
  if (where !== 'conv2d')
    throw new FtError(
      'UNSUPPORTED',
      `${where}: \`${argument}\` of kind 'conv2d' needs pixels, which only conv2d has; ask for kind 'matmul'`,
      { where },
    )
  assertPair(next.kernel, { where, argument: `${argument}.kernel`, min: 1 })
  assertPair(next.stride, { where, argument: `${argument}.stride`, min: 1 })
  assertPair(next.dilation, { where, argument: `${argument}.dilation`, min: 1 })
  assertPads(next.pad, { where, argument: `${argument}.pad` })
}
