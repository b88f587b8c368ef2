// How a model's tables were pooled in training, kept with the model: its parameters do not show it.
import type { DenseModel } from './denseModel.ts'
import type { CategoricalFeature } from './samples.ts'

export type Poolings = readonly ('sum' | 'mean' | undefined)[]

// By `Symbol.for`: the package and its `onnx` entry may each have a copy of this file.
const key = Symbol.for('@ft/ecrm.poolings')

/** Notes what a model is trained on. A model that cannot take a property goes without. */
export function notePoolings(model: DenseModel, features: readonly CategoricalFeature[]): void {
  const value = features.map(({ offsets, pooling = 'sum' }) => (offsets === undefined ? undefined : pooling))
  if (Object.isExtensible(model)) Object.defineProperty(model, key, { value, configurable: true })
}

/** Poolings by table of the latest training of this object; undefined for a model not trained in this process. */
export function notedPoolings(model: DenseModel): Poolings | undefined {
  return (model as { readonly [key]?: Poolings })[key]
}
