// The checks of one product on the active backend, in its own float32: both sides and the bound of their rounding.
// Sums of any order obey Higham's bound (2002, section 3.1), so the thresholds hold for every backend and never alarm on
// a clean product. One product costs two more with one column each (`row`), a few reductions (`global`), or itself again.
import { gamma } from '../rounding.ts'
import { tidy, type Tf, type TfAttributes, type TfInputs, type TfTensor } from './surface.ts'

export type TfjsScheme = 'global' | 'row' | 'replication'

/** Sums of a weight over its output columns, and of its magnitudes. */
export interface ColumnSums {
  readonly sum: TfTensor
  readonly absolute: TfTensor
}

export interface KernelCall {
  readonly name: string
  readonly inputs: TfInputs
  readonly attributes: TfAttributes
}

export interface CheckedCall extends KernelCall {
  /** The call's output: with its bias, before its activation. */
  readonly output: TfTensor
  readonly scheme: TfjsScheme
  /** Unit roundoff of the backend's numbers. */
  readonly unit: number
  readonly sums: ColumnSums
  readonly run: (call: KernelCall) => TfTensor
}

/** Whether rounding has a bound at this size, which every check but a second run needs: n unit < 1 for n roundings. */
export function hasBound({
  name,
  inputs,
  attributes,
  output,
  scheme,
  unit,
}: Omit<CheckedCall, 'sums' | 'run'>): boolean {
  if (scheme === 'replication' || isDepthwise(name)) return true
  const matmul = name.endsWith('MatMul')
  const n = (matmul ? output.shape.at(-1) : inputs['filter']?.shape.at(-1)) ?? 1
  const a = inputs['a']?.shape.at(attributes['transposeA'] === true ? -2 : -1) ?? 1
  const k = matmul ? a : (inputs['filter']?.shape.slice(0, 3).reduce((all, size) => all * size, 1) ?? 1)
  return Number.isFinite(gamma(roundings({ k, n, m: scheme === 'global' ? rowsOf(output, n) : 0 }), unit))
}

/** Checks that failed, and the worst residual in units of its threshold: two numbers, left on the backend. */
export function checkCall(tf: Tf, call: CheckedCall): TfTensor {
  return tidy(tf, () => {
    if (call.scheme === 'replication' || isDepthwise(call.name)) return differences(tf, call)
    const both = call.name.endsWith('MatMul') ? matmulSides(tf, call) : convSides(tf, call)
    const { actual, expected, scale, terms } = call.scheme === 'global' ? together(tf, both) : both
    const bound = tf.mul(scale, 2 * gamma(terms, call.unit))
    const residual = tf.abs(tf.sub(actual, expected))
    // Not "greater": a residual that is not a number must fail.
    const failed = tf.sum(tf.cast(tf.logicalNot(tf.lessEqual(residual, bound)), 'float32'))
    return tf.stack([failed, tf.max(tf.div(residual, tf.maximum(bound, SMALLEST)))])
  })
}

const SMALLEST = 1e-30

export function isDepthwise(name: string): boolean {
  return name.includes('Depthwise')
}

/** The same call again must give the same bits. */
function differences(tf: Tf, { name, inputs, attributes, output, run }: CheckedCall): TfTensor {
  const again = run({ name, inputs, attributes })
  const failed = tf.sum(tf.cast(tf.logicalNot(tf.equal(output, again)), 'float32'))
  return tf.stack([failed, failed])
}

interface Sides {
  readonly actual: TfTensor
  readonly expected: TfTensor
  /** S = |A| |B| e + sum |bias| */
  readonly scale: TfTensor
  /** Roundings, each of at most a unit of S. */
  readonly terms: number
  readonly rows: number
}

/** Row i: sum_j y_ij beside a_i (B e) + sum bias. */
function matmulSides(tf: Tf, { inputs, attributes, output, sums }: CheckedCall): Sides {
  const a = inputs['a'] as TfTensor
  const transposeA = attributes['transposeA'] === true
  const n = output.shape.at(-1) ?? 1
  const k = a.shape.at(transposeA ? -2 : -1) ?? 1
  const times = (x: TfTensor, column: TfTensor) => tf.sum(tf.matMul(x, column, transposeA), -1)
  return sidesOf(tf, {
    actual: tf.sum(output, -1),
    expected: times(a, sums.sum),
    scale: times(tf.abs(a), sums.absolute),
    bias: inputs['bias'],
    sizes: { k, n, m: rowsOf(output, n) },
  })
}

/** A pixel's row of the implicit product: the filter checksum is one more output channel (Hari 2020). */
function convSides(tf: Tf, call: CheckedCall): Sides {
  const { inputs, attributes, output, sums, run } = call
  const [x, filter] = [inputs['x'] as TfTensor, inputs['filter'] as TfTensor]
  const [kh = 1, kw = 1, perGroup = 1, n = 1] = filter.shape
  const axis = attributes['dataFormat'] === 'NCHW' ? 1 : -1
  const { activation: _activation, leakyreluAlpha: _alpha, ...plain } = attributes
  const one = (image: TfTensor, column: TfTensor) =>
    tf.sum(run({ name: 'Conv2D', inputs: { x: image, filter: column }, attributes: plain }), axis)
  return sidesOf(tf, {
    actual: tf.sum(output, axis),
    expected: one(x, sums.sum),
    scale: one(tf.abs(x), sums.absolute),
    bias: inputs['bias'],
    sizes: { k: kh * kw * perGroup, n, m: rowsOf(output, n) },
  })
}

function rowsOf({ shape }: TfTensor, n: number): number {
  return shape.reduce((all, size) => all * size, 1) / Math.max(1, n)
}

interface SidesInput {
  readonly actual: TfTensor
  readonly expected: TfTensor
  /** |A| |B| e */
  readonly scale: TfTensor
  readonly bias: TfTensor | undefined
  readonly sizes: { readonly k: number; readonly n: number; readonly m: number }
}

/**
 * An output is off by gamma(k + 1) of S, the sum of its row by gamma(n) more, the stored column sums by a unit and the
 * prediction by gamma(k); the bound itself is computed with the same rounding.
 */
function sidesOf(tf: Tf, { actual, expected, scale, bias, sizes: { k, n, m } }: SidesInput): Sides {
  const sums = { actual, expected, scale, terms: roundings({ k, n, m: 0 }), rows: m }
  if (bias === undefined) return sums
  const columns = broadcasts(bias, n)
  const plus = (x: TfTensor, of: TfTensor) => tf.add(x, tf.mul(tf.sum(of), columns))
  return { ...sums, expected: plus(expected, bias), scale: plus(scale, tf.abs(bias)) }
}

/** Roundings that both sides of a row pass through, and of m rows added up. */
function roundings({ k, n, m }: { readonly k: number; readonly n: number; readonly m: number }): number {
  return k + n + m + 8
}

/** A bias of one element stands for all columns. */
function broadcasts(bias: TfTensor, n: number): number {
  return n / bias.shape.reduce((all, size) => all * size, 1)
}

/** One sum of the whole product: both sides add up its rows. */
function together(tf: Tf, { actual, expected, scale, terms, rows }: Sides): Sides {
  return {
    actual: tf.sum(actual),
    expected: tf.sum(expected),
    scale: tf.sum(scale),
    terms: terms + rows,
    rows: 1,
  }
}
