// Codes over what a model makes of its inputs first, such as pixels scaled to [0, 1]: a parity model is trained on sums of
// those, while queries go to the deployed model as they came.
import { FtError, assertInteger, assertNumber, assertOneOf, invalidArgument } from '@ft/core'
import type { NamedTensor } from '../named.ts'
import type { Code } from './code.ts'

/** One scale and offset for every element: `x * scale + offset`. */
export interface ScalePreprocessing {
  /** Default 1. */
  readonly scale?: number
  /** Default 0. */
  readonly offset?: number
}

/** Normalised by channel, as image models are trained: `(x * scale - mean[c]) / std[c]`. */
export interface ChannelPreprocessing {
  /** Applied first, such as 1 / 255. Default 1. */
  readonly scale?: number
  /** Of as many channels as there are numbers. */
  readonly mean: readonly number[]
  readonly std: readonly number[]
  /** Where the channels lie in a row, flattened or not: last, or first. Default 'HWC'. */
  readonly layout?: 'HWC' | 'CHW'
}

/** What the deployed model does itself with an input, element by element, before its first layer. */
export type Preprocessing = ScalePreprocessing | ChannelPreprocessing

/** By input name. Inputs without one are coded as they are. */
export type Preprocessings = Readonly<Record<string, Preprocessing>>

const isByChannel = (one: Preprocessing): one is ChannelPreprocessing => 'mean' in one || 'std' in one
const known = { all: ['scale', 'offset'], byChannel: ['scale', 'mean', 'std', 'layout'] } as const

/** @throws FtError `INVALID_ARGUMENT` with the path of what is wrong */
export function assertPreprocessing(preprocessing: Preprocessings): void {
  for (const [name, one] of Object.entries(preprocessing)) {
    const at = { where: 'preprocessing' }
    const path = `preprocessing.${name}`
    for (const key of Object.keys(one))
      assertOneOf(key, { ...at, argument: `${path} option`, values: known[isByChannel(one) ? 'byChannel' : 'all'] })
    assertNumber(one.scale ?? 1, { ...at, argument: `${path}.scale` })
    if (!isByChannel(one)) {
      assertNumber(one.offset ?? 0, { ...at, argument: `${path}.offset` })
      continue
    }
    const { mean, std, layout = 'HWC' } = one
    assertOneOf(layout, { ...at, argument: `${path}.layout`, values: ['HWC', 'CHW'] })
    assertInteger(mean.length, { ...at, argument: `${path}.mean.length`, min: 1 })
    if (std.length !== mean.length)
      throw invalidArgument({ ...at, argument: `${path}.std` }, `${mean.length} numbers`, std.length)
    for (const value of mean) assertNumber(value, { ...at, argument: `${path}.mean` })
    for (const value of std)
      if (!(Number.isFinite(value) && value > 0))
        throw invalidArgument({ ...at, argument: `${path}.std` }, 'numbers above 0', value)
  }
}

/**
 * Equal texts for preprocessings that do the same: defaults are written out, inputs that stay as they are left out. Numbers are
 * compared as they are: 1 / 255 is not 0.0039.
 */
export function preprocessingText(preprocessing: Preprocessings): string {
  const entries = Object.entries(preprocessing).flatMap(([name, one]): [string, readonly unknown[]][] => {
    const { scale = 1 } = one
    if (isByChannel(one)) {
      const { mean, std, layout = 'HWC' } = one
      const same = scale === 1 && mean.every((value) => value === 0) && std.every((value) => value === 1)
      return same ? [] : [[name, [scale, mean, std, layout]]]
    }
    const { offset = 0 } = one
    return scale === 1 && offset === 0 ? [] : [[name, [scale, offset]]]
  })
  return JSON.stringify(entries.sort(([a], [b]) => (a < b ? -1 : 1)))
}

/**
 * A code whose parity units are encoded from preprocessed members, in float32; units 0 .. k - 1 stay the members as they came.
 * With `p` the preprocessing, a parity model is trained to give the sum of `F(x_i)`, where F preprocesses itself, from the
 * code of the `p(x_i)`. Copies (codes that are `exact`) are no coded units: they stay as they came too.
 *
 * Cost: a multiplication and an addition an element of a member, when a group is full.
 *
 * @throws FtError `INVALID_ARGUMENT` for a code whose coded units run on the deployed model, which would preprocess them again
 */
export function withPreprocessing(code: Code, preprocessing: Preprocessings): Code {
  assertPreprocessing(preprocessing)
  if (code.exact === true || Object.keys(preprocessing).length === 0) return code
  const own = Array.from({ length: code.n }, (_, slot) => slot).find(
    (slot) => code.modelFor(slot) === 'base' && !(code.systematic && slot < code.k),
  )
  if (own !== undefined) {
    const what = 'a code whose coded units run on parity models'
    throw invalidArgument({ where: 'withPreprocessing', argument: 'code' }, what, code.name)
  }
  const prepare = (member: readonly NamedTensor[]) =>
    member.map((tensor) => {
      const one = Object.hasOwn(preprocessing, tensor.name) ? preprocessing[tensor.name] : undefined
      return one ? preprocess(tensor, one) : tensor
    })
  const { shorten } = code
  return {
    ...code,
    preprocessing,
    encode: (group) =>
      code.encode(group.map(prepare)).map((unit, slot) => (slot < code.k ? [...(group[slot] ?? [])] : unit)),
    ...(shorten
      ? {
          shorten(size) {
            const shorter = shorten(size)
            return shorter && withPreprocessing(shorter, preprocessing)
          },
        }
      : {}),
  }
}

/**
 * A row's tensor as the model sees it, computed in float64 and rounded once to float32.
 *
 * @throws FtError `SHAPE_MISMATCH` when its elements are not so many channels
 */
function preprocess(tensor: NamedTensor, one: Preprocessing): NamedTensor {
  const { name, shape, data } = tensor
  const { scale = 1 } = one
  const out = new Float32Array(data.length)
  if (!isByChannel(one)) {
    const { offset = 0 } = one
    for (let e = 0; e < out.length; e++) out[e] = (data[e] as number) * scale + offset
    return { name, shape, data: out, dtype: 'float32' }
  }
  const { mean, std, layout = 'HWC' } = one
  const channels = mean.length
  if (!fitsChannels(shape, one))
    throw new FtError('SHAPE_MISMATCH', `preprocessing: '${name}' must have ${channels} channels (${layout})`, { name })
  // Elements in a row before the next channel's
  const run = layout === 'HWC' ? 1 : out.length / channels
  for (let e = 0; e < out.length; e++) {
    const c = Math.floor(e / run) % channels
    out[e] = ((data[e] as number) * scale - (mean[c] as number)) / (std[c] as number)
  }
  return { name, shape, data: out, dtype: 'float32' }
}

/** Whether a tensor of rows may have these channels: on their axis, or flattened; -1 is any size. */
export function fitsChannels(shape: readonly number[], one: Preprocessing): boolean {
  if (!isByChannel(one)) return true
  const channels = one.mean.length
  const row = shape.slice(1)
  const axis = row[one.layout === 'CHW' ? 0 : row.length - 1]
  if (row.length > 1) return axis === -1 || axis === channels
  return axis === undefined ? channels === 1 : axis === -1 || axis % channels === 0
}
