// Settings that the published models were trained with (the artifacts' configurations; Parity Models, section 4.1; Learning a
// Code, section 4).
import { assertOneOf } from '@ft/core'
import { cropAndFlip, type Augment } from './augment.ts'

export interface TrainingSettings {
  readonly epochs: number
  /** Groups in a minibatch. */
  readonly groupsPerBatch: number
  readonly learningRate: number
  /** L2, added to the gradient of weights and biases. */
  readonly weightDecay: number
  /** Training samples set aside to choose the best epoch; rounded up to a multiple of k. */
  readonly validationSamples: number
}

export interface Preset<Initial extends 'noise' | 'published' = 'noise' | 'published'> extends TrainingSettings {
  /** As the published models start; leave it out to start from the deployed model, or from the addition code. */
  readonly initial: Initial
  /** The published rate does not fall. */
  readonly schedule: 'constant'
  /** Of the training images, where the published training has it. */
  readonly augment?: Augment
}

const photographs = cropAndFlip({ image: { height: 32, width: 32, channels: 3 } })

/** Epochs and augmentation by the published experiment. */
const published = {
  'mnist-add': { epochs: 500 },
  'mnist-concat': { epochs: 500 },
  'mnist-learned': { epochs: 500 },
  'fashion-mnist-add': { epochs: 500 },
  'fashion-mnist-concat': { epochs: 500 },
  'fashion-mnist-learned': { epochs: 500 },
  'cifar10-add': { epochs: 1000, augment: photographs },
  'cifar10-concat': { epochs: 1000, augment: photographs },
  'cifar10-learned': { epochs: 2000, augment: photographs },
  'cifar100-add': { epochs: 1000, augment: photographs },
  'cifar100-concat': { epochs: 1000, augment: photographs },
  'cat-v-dog-add': { epochs: 1000 },
  'cat-v-dog-concat': { epochs: 1000 },
  'google-commands-add': { epochs: 1000 },
  'cub-localisation-add': { epochs: 1000, groupsPerBatch: 64 },
} as const satisfies Record<string, { epochs: number; groupsPerBatch?: number; augment?: Augment }>

export type PresetName = keyof typeof published

/** `trainParityModel` and `trainLearnedCode` call the published start by their own names. */
type InitialOf<N extends PresetName> = N extends `${string}-learned` ? 'published' : 'noise'

/**
 * The published settings of an experiment, by data set and code: Adam at 1e-3 with a weight decay of 1e-5, 64 groups a
 * minibatch for k = 2 and 32 for larger k, 5,000 samples for validation, from noise. Spread them into the options of a
 * training and override what should differ.
 *
 * Differs: Cat v. Dog's random resized crop is not part of its preset. CIFAR images are to be `height, width, channels`.
 *
 * @example
 * ```ts
 * const settings = preset('cifar10-concat', { k: 2 })
 * settings.epochs // => 1000
 * ```
 */
export function preset<N extends PresetName>(name: N, { k }: { readonly k: number }): Preset<InitialOf<N>> {
  assertOneOf(name, { where: 'preset', argument: 'name', values: Object.keys(published) as PresetName[] })
  return {
    initial: (name.endsWith('-learned') ? 'published' : 'noise') as InitialOf<N>,
    schedule: 'constant',
    learningRate: 1e-3,
    weightDecay: 1e-5,
    validationSamples: 5000,
    groupsPerBatch: k === 2 ? 64 : 32,
    ...published[name],
  }
}
