// Settings that the published parity models were trained with (the artifact's configuration; Parity Models, section 4.1).

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

/**
 * Settings by the paper's data set. 64 groups a minibatch for k = 2, 32 for larger k.
 *
 * Differs: with `initial: 'base'`, the default of training, a tenth of the epochs or fewer reach the same accuracy.
 */
export function preset(name: 'mnist' | 'fashion-mnist', { k }: { readonly k: number }): TrainingSettings {
  const settings = { learningRate: 1e-3, weightDecay: 1e-5, validationSamples: 5000, groupsPerBatch: k === 2 ? 64 : 32 }
  const epochs = { mnist: 500, 'fashion-mnist': 500 }[name]
  return { ...settings, epochs }
}
