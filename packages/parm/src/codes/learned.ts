// Learned codes: a trained encoder makes the parity query, the deployed model itself runs it, a trained decoder gives the
// missing output. Nothing but the model's gradient is needed to train them.
import { FtError, assertInteger, invalidArgument } from '@ft/core'
import { createWasmEngine } from '@ft/tensor-core/wasm'
import { assertLayers, type DenseLayer } from '../models/dense.ts'
import { assertAlike, assertSummable, type NamedTensor } from '../named.ts'
import { createDenseRunner } from '../workers/denseModel.ts'
import type { Code } from './code.ts'

export interface LearnedOptions {
  readonly k: number
  /** `[k d, ..., d]`: from the group's inputs, one after the other, to the parity query. */
  readonly encoder: readonly DenseLayer[]
  /** `[(k + 1) c, ..., k c]`: from all outputs, zeros for the missing one, to all answers. */
  readonly decoder: readonly DenseLayer[]
}

/**
 * The learned code with one parity, for models of one input and one output tensor.
 *
 * Cost: a run of the encoder a group, off the path of queries that are in time; a run of the decoder a reconstruction.
 *
 * @see J. Kosaian, K. V. Rashmi, S. Venkataraman: Learning a Code: Machine Learning for Approximate Non-Linear Coded
 * Computation, 2018
 * @throws FtError `SHAPE_MISMATCH` when the networks do not fit k or one another; in `encode`, when the inputs do not fit
 */
export function learned({ k, encoder, decoder }: LearnedOptions): Code {
  assertInteger(k, { where: 'learned', argument: 'k', min: 2, max: 16 })
  assertLayers(encoder, 'learned: `encoder`')
  assertLayers(decoder, 'learned: `decoder`')
  const inputs = encoder[0]?.weights.shape[0] as number
  const width = inputs / k
  const outputs = decoder.at(-1)?.weights.shape[1] as number
  const classes = outputs / k
  if (encoder.at(-1)?.weights.shape[1] !== width || decoder[0]?.weights.shape[0] !== (k + 1) * classes)
    throw new FtError(
      'SHAPE_MISMATCH',
      `learned: the networks must be [${k} d, ..., d] and [${k + 1} c, ..., ${k} c], got [${inputs}, ..., ${encoder.at(-1)?.weights.shape[1]}] and [${decoder[0]?.weights.shape[0]}, ..., ${outputs}]`,
      { k, inputs, outputs },
    )
  const engine = createWasmEngine({ threads: 1 })
  const encode = createDenseRunner(encoder, engine)
  const decode = createDenseRunner(decoder, engine)
  return {
    name: 'learned',
    k,
    n: k + 1,
    systematic: true,
    encode(group) {
      if (group.length !== k)
        throw invalidArgument({ where: 'learned', argument: 'group' }, `${k} members`, group.length)
      const joined = new Float32Array(inputs)
      const [first] = group[0] as readonly NamedTensor[]
      group.forEach((member, i) => {
        assertAlike(group[0] as readonly NamedTensor[], member, 'learned')
        assertSummable(member, 'learned')
        const data = member[0]?.data
        if (member.length !== 1 || data?.length !== width)
          throw new FtError('SHAPE_MISMATCH', `learned: a member must be one tensor of ${width} elements`, { width })
        joined.set(data, i * width)
      })
      const { data } = encode({ data: joined, shape: [1, inputs], dtype: 'float32' })
      const { name, shape } = first as NamedTensor
      return [...group.map((member) => [...member]), [{ name, shape, data, dtype: 'float32' }]]
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
