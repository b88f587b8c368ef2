// What a layer and a measurement must hold in documents that come from outside, field by field.
import type { DType } from '@ft/core'
import { isRecord } from './models/network.ts'

interface WrongField {
  readonly where: string
  readonly expected: string
}

const types: ReadonlySet<unknown> = new Set<DType>([
  'float64',
  'float32',
  'float16',
  'bfloat16',
  'int32',
  'uint32',
  'int16',
  'uint16',
  'int8',
  'uint8',
  'bool',
])

type Rule = readonly [fits: (value: unknown) => boolean, expected: string]
type Rules = Readonly<Record<string, Rule>>

const isSize = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 1
const size: Rule = [isSize, 'a positive integer']
const sizes = (count: number): Rule => [
  (value) => Array.isArray(value) && value.length === count && value.every(isSize),
  `${count} positive integers`,
]
const pads: Rule = [
  (value) => Array.isArray(value) && value.length === 4 && value.every(Number.isSafeInteger),
  '4 integers',
]
const text: Rule = [(value) => typeof value === 'string', 'a string']
const optionalText: Rule = [(value) => value === undefined || typeof value === 'string', 'a string, or left out']
const number: Rule = [Number.isFinite, 'a number']

const layerRules: Rules = {
  id: text,
  m: size,
  n: size,
  k: size,
  count: size,
  dtype: [(value) => types.has(value), `one of ${[...types].join(', ')}`],
  activation: optionalText,
  next: optionalText,
}
const operatorRules: Readonly<Record<'matmul' | 'conv2d', Rules>> = {
  matmul: { batch: size },
  conv2d: { x: sizes(4), filter: sizes(4), stride: sizes(2), pad: pads, dilation: sizes(2), groups: size },
}
const intervalRules: Rules = { value: number, low: number, high: number, confidence: number, n: size }

/** The first field that makes a value no `LinearLayer`. */
export function wrongLayerField(layer: unknown, where: string): WrongField | undefined {
  const wrong = wrongIn(layer, { rules: layerRules, where, expected: 'a linear layer' })
  if (wrong !== undefined) return wrong
  const op: unknown = (layer as { op?: unknown }).op
  const kind = isRecord(op) ? op['kind'] : undefined
  if (kind !== 'matmul' && kind !== 'conv2d')
    return { where: `${where}.op`, expected: "an operator of kind 'matmul' or 'conv2d'" }
  return wrongIn(op, { rules: operatorRules[kind], where: `${where}.op`, expected: 'an operator' })
}

/** The first field that makes a value no `Interval`. */
export function wrongIntervalField(interval: unknown, where: string): WrongField | undefined {
  return wrongIn(interval, { rules: intervalRules, where, expected: 'an interval' })
}

function wrongIn(value: unknown, o: { rules: Rules } & WrongField): WrongField | undefined {
  if (!isRecord(value)) return { where: o.where, expected: o.expected }
  for (const [field, [fits, expected]] of Object.entries(o.rules))
    if (!fits(value[field])) return { where: `${o.where}.${field}`, expected }
  return undefined
}
