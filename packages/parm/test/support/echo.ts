// A service whose model 'triple' gives y = 3 x, and hands over each call.
import { OipError, toNamedTensor, toWireTensor, type InferContext, type OipService } from '../../src/index.ts'

export interface Behaviour {
  /** Called before the answer. */
  before?(context: InferContext): Promise<void> | void
}

export function tripleService(behaviour: Behaviour = {}): OipService {
  return {
    name: 'test',
    version: '1',
    ready: () => true,
    metadata: (model) =>
      model === 'triple'
        ? {
            name: model,
            versions: ['1'],
            platform: 'test',
            inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 2] }],
            outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, 2] }],
          }
        : undefined,
    async infer(model, { request, context }) {
      await behaviour.before?.(context)
      const [wire] = request.inputs
      const x = wire && toNamedTensor(wire)
      if (!x) throw new OipError(400, 'x must be numbers')
      const y = { name: 'y', shape: x.shape, dtype: 'float32' as const, data: Float32Array.from(x.data, (v) => 3 * v) }
      return {
        modelName: model,
        modelVersion: '1',
        ...(request.id === undefined ? {} : { id: request.id }),
        outputs: [toWireTensor(y)],
      }
    },
  }
}

export const floats = (name: string, values: readonly number[], shape: readonly number[]) =>
  toWireTensor({ name, data: Float32Array.from(values), shape, dtype: 'float32' })
