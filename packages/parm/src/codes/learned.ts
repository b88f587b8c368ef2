// Learned codes: a trained encoder makes the parity query, the deployed model itself runs it, a trained decoder gives the
// missing output. Nothing but the model's gradient is needed to train them.
import { FtError, assertInteger, invalidArgument } from '@ft/core'
import { createWasmEngine } from '@ft/tensor-core/wasm'
import { assertLayers, inputsOf, outputsOf, type Layer } from '../models/layers.ts'
import { createModelRunner } from '../models/runner.ts'
import { assertAlike, assertSummable, type NamedTensor } from '../named.ts'
import type { Code } from './code.ts'
import { assertPreprocessing, type Preprocessings } from './preprocessed.ts'

export interface LearnedOptions {
  readonly k: number
  /** From the group's inputs to the parity query: dense layers `[k d, ..., d]`, or convolutions of k planes to one. */
  readonly encoder: readonly Layer[]
  /** `[(k + 1) c, ..., k c]`: from all outputs, zeros for the missing one, to all answers. */
  readonly decoder: readonly Layer[]
  /** Planes that lie interleaved in an input, as an image's colours; each is encoded alone, by the same weights. Default 1. */
  readonly channels?: number
  /** `fingerprintOf` the deployed model that they were trained through: a gateway refuses another. Default: not known. */
  readonly baseFingerprint?: string
  /**
   * What had been made of the inputs that they were trained on, by the deployed model's input names; `{}`: nothing, they were as
   * clients send them. A gateway refuses another. Default: not known.
   */
  readonly preprocessing?: Preprocessings
}

/**
 * The learned code with one parity, for models of one input and one output tensor.
 *
 * Cost: a run of the encoder a group (and channel), off the path of queries that are in time; a run of the decoder a
 * reconstruction.
 *
 * @see J. Kosaian, K. V. Rashmi, S. Venkataraman: Learning a Code: Machine Learning for Approximate Non-Linear Coded
 * Computation, 2018
 * @throws FtError `SHAPE_MISMATCH` when the networks do not fit k or one another; in `encode`, when the inputs do not fit
 */
export function learned(options: LearnedOptions): Code {
  const { k, encoder, decoder, channels = 1, baseFingerprint, preprocessing } = options
  assertInteger(k, { where: 'learned', argument: 'k', min: 2, max: 16 })
  assertInteger(channels, { where: 'learned', argument: 'channels', min: 1, max: 1 << 12 })
  assertLayers(encoder, 'learned: `encoder`')
  assertLayers(decoder, 'learned: `decoder`')
  if (preprocessing) assertPreprocessing(preprocessing)
  const [firstLayer, lastDecoder] = [encoder[0] as Layer, decoder.at(-1) as Layer]
  const inputs = inputsOf(firstLayer)
  const plane = inputs / k
  const width = plane * channels
  const classes = outputsOf(lastDecoder) / k
  const encoded = outputsOf(encoder.at(-1) as Layer)
  if (encoded !== plane || inputsOf(decoder[0] as Layer) !== (k + 1) * classes)
    throw new FtError(
      'SHAPE_MISMATCH',
      `learned: the networks must be [${k} d, ..., d] and [${k + 1} c, ..., ${k} c], got [${inputs}, ..., ${encoded}] and [${inputsOf(decoder[0] as Layer)}, ..., ${outputsOf(lastDecoder)}]`,
      { k, inputs, outputs: outputsOf(lastDecoder) },
    )
  const engine = createWasmEngine({ threads: 1 })
  const encode = createModelRunner(encoder, engine)
  const decode = createModelRunner(decoder, engine)
  return {
    name: 'learned',
    k,
    n: k + 1,
    systematic: true,
    ...(baseFingerprint === undefined ? {} : { baseFingerprint }),
    ...(preprocessing === undefined ? {} : { trainedPreprocessing: preprocessing }),
    encode(group) {
      if (group.length !== k)
        throw invalidArgument({ where: 'learned', argument: 'group' }, `${k} members`, group.length)
      const [first] = group[0] as readonly NamedTensor[]
      for (const member of group) {
        assertAlike(group[0] as readonly NamedTensor[], member, 'learned')
        assertSummable(member, 'learned')
        if (member.length !== 1 || member[0]?.data.length !== width)
          throw new FtError('SHAPE_MISMATCH', `learned: a member must be one tensor of ${width} elements`, { width })
      }
      const members = group.map((member) => (member[0] as NamedTensor).data as ArrayLike<number>)
      const joined = joinPlanes(members, { channels, interleaved: firstLayer.kind === 'conv' })
      const planes = encode({ data: joined, shape: [channels, inputs], dtype: 'float32' }).data as Float32Array
      const { name, shape } = first as NamedTensor
      return [
        ...group.map((member) => [...member]),
        [{ name, shape, data: interleave(planes, channels), dtype: 'float32' }],
      ]
    },
    canDecode: (got) => Array.from({ length: k + 1 }, (_, slot) => slot).filter((slot) => !got.has(slot)).length <= 1,
    decode(got) {
      const missing = Array.from({ length: k }, (_, slot) => slot).filter((slot) => !got.has(slot))
      const [lost] = missing
      if (missing.length > 1 || (missing.length === 1 && !got.has(k)))
        throw new FtError('UNRECOVERABLE', `learned: decode must have at least ${k} of ${k + 1} outputs`, { k })
      const answers = Array.from({ length: k }, (_, slot) => [...(got.get(slot) ?? [])])
      const quality = answers.map((_, slot) => (slot === lost ? ('reconstructed' as const) : ('exact' as const)))
      if (lost === undefined) return { outputs: answers, quality }
      const joined = new Float32Array((k + 1) * classes)
      const [like] = got.get(k) as readonly NamedTensor[]
      for (const [slot, output] of got) {
        if (output.length !== 1 || output[0]?.data.length !== classes)
          throw new FtError('SHAPE_MISMATCH', `learned: an output must be one tensor of ${classes} elements`, { slot })
        joined.set(output[0].data, slot * classes)
      }
      const all = decode({ data: joined, shape: [1, (k + 1) * classes], dtype: 'float32' }).data
      const { name, shape } = like as NamedTensor
      answers[lost] = [{ name, shape, dtype: 'float32', data: all.slice(lost * classes, (lost + 1) * classes) }]
      return { outputs: answers, quality }
    },
    modelFor: () => 'base',
  }
}

/**
 * The encoder's inputs, one row a channel: the members' planes one after the other, for dense layers, or pixel by pixel, as a
 * convolution's channels.
 */
export function joinPlanes(
  members: readonly ArrayLike<number>[],
  { channels, interleaved }: { readonly channels: number; readonly interleaved: boolean },
): Float32Array {
  const k = members.length
  const plane = (members[0] as ArrayLike<number>).length / channels
  const joined = new Float32Array(k * plane * channels)
  members.forEach((member, i) => {
    for (let c = 0; c < channels; c++)
      for (let pixel = 0; pixel < plane; pixel++)
        joined[c * k * plane + (interleaved ? pixel * k + i : i * plane + pixel)] = member[
          pixel * channels + c
        ] as number
  })
  return joined
}

/** `[channels, plane]` to `[plane, channels]`. */
function interleave(planes: Float32Array, channels: number): Float32Array {
  if (channels === 1) return planes
  const plane = planes.length / channels
  const image = new Float32Array(planes.length)
  for (let c = 0; c < channels; c++)
    for (let pixel = 0; pixel < plane; pixel++) image[pixel * channels + c] = planes[c * plane + pixel] as number
  return image
}
