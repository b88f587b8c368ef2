// Lists of random events over the layers of a model, mixing fault models.
import { assertInteger, assertNumber, invalidArgument } from '../guards.ts'
import { createRandom } from '../random/generator.ts'
import type { Fault, FaultList } from '../types/faults.ts'
import type { LinearLayer } from '../types/layers.ts'
import type { FaultModel } from './models.ts'

export interface SampleFaultsOptions {
  /** One model, or several with their shares of the events (any positive numbers). */
  readonly model: FaultModel | readonly { readonly model: FaultModel; readonly share: number }[]
  /** Events; patterns give several faults an event. */
  readonly count: number
  readonly seed: number
}

/**
 * Draws independent events: a model by its share, a layer by the opportunities it offers (places times calls), a
 * place and an effect by the model. Event i is the same whatever `count` is.
 *
 * Guarantees: every place of the whole model is equally likely; faults of one event share its number.
 *
 * @throws FtError `INVALID_ARGUMENT` for no layer, no model, a share that is not positive, or a bad layer size
 * @see the injectors' common error: uniform over layers first, which overstates small layers
 */
export function sampleFaults(layers: readonly LinearLayer[], options: SampleFaultsOptions): FaultList {
  const { count, seed } = options
  assertInteger(count, { where: 'sampleFaults', argument: 'count', min: 0 })
  if (layers.length === 0) throw invalidArgument({ where: 'sampleFaults', argument: 'layers' }, 'not empty', [])
  const mix = 'draw' in options.model ? [{ model: options.model, share: 1 }] : options.model
  if (mix.length === 0) throw invalidArgument({ where: 'sampleFaults', argument: 'model' }, 'not empty', [])
  for (const { share } of mix) {
    assertNumber(share, { where: 'sampleFaults', argument: 'share', min: Number.MIN_VALUE })
  }
  const chooseModel = chooser(mix.map(({ share }) => share))
  const chooseLayer = mix.map(({ model }) => chooser(layers.map((layer) => model.population(layer) * layer.count)))
  const random = createRandom(seed).stream('faults')
  const faults: Fault[] = []
  for (let event = 0; event < count; event++) {
    const own = random.stream('event', event)
    const index = chooseModel(own.uniform())
    const layer = layers[chooseLayer[index]?.(own.uniform()) ?? 0] as LinearLayer
    for (const fault of (mix[index] as { model: FaultModel }).model.draw(layer, own)) faults.push({ ...fault, event })
  }
  return { schema: 'ft.faults', version: 1, seed, faults }
}

/** The index whose part of [0, 1), in proportion to the weights, holds a number. */
function chooser(weights: readonly number[]): (unit: number) => number {
  let total = 0
  const ends = weights.map((weight) => (total += weight))
  return (unit) => {
    const index = ends.findIndex((end) => unit * total < end)
    return index < 0 ? ends.length - 1 : index
  }
}
