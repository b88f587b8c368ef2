// Multilayer perceptrons on the WebAssembly engine: how a worker runs a model saved by this package.
import { FtError, type PreparedWeights, type Tensor } from '@ft/core'
import { createWasmEngine, type WasmEngine } from '@ft/tensor-core/wasm'
import { readModelFolder } from '../models/folder.ts'
import type { DenseLayer } from '../models/dense.ts'
import { toNamedTensor, toWireTensor } from '../oip/message.ts'
import type { ServedModel } from './served.ts'

/** Opens a model folder for serving. Input 'input' FP32 `[b, in]`, output 'output' FP32 `[b, out]`. */
export async function openDenseModel(folder: string): Promise<ServedModel> {
  const { layers, manifest } = await readModelFolder(folder)
  const run = createDenseRunner(layers)
  const first = layers[0] as DenseLayer
  const last = layers.at(-1) as DenseLayer
  const [inputs, outputs] = [first.weights.shape[0] as number, last.weights.shape[1] as number]
  return {
    metadata: {
      platform: 'ft-parm-dense',
      inputs: [{ name: 'input', datatype: 'FP32', shape: [-1, inputs] }],
      outputs: [{ name: 'output', datatype: 'FP32', shape: [-1, outputs] }],
      properties: {
        'ft.fingerprint': manifest.fingerprint,
        ...(manifest.parity
          ? {
              'ft.baseFingerprint': manifest.parity.baseFingerprint,
              'ft.code': `${manifest.parity.code}/${manifest.parity.k}`,
            }
          : {}),
      },
    },
    infer(tensors) {
      const wire = tensors[0]
      const x = wire && toNamedTensor(wire)
      if (tensors.length !== 1 || x?.dtype !== 'float32' || x.shape.length !== 2 || x.shape[1] !== inputs)
        throw new FtError('INVALID_ARGUMENT', `infer: must have one FP32 input of shape [b, ${inputs}]`, {})
      const { data, shape } = run(x)
      return [toWireTensor({ name: 'output', data, shape, dtype: 'float32' })]
    },
  }
}

/**
 * A function that runs a perceptron.
 *
 * Shapes: `[b, in]` float32 gives `[b, out]`. Cost: two flops a weight a row; the weights are kept prepared.
 */
export function createDenseRunner(
  layers: readonly DenseLayer[],
  engine: WasmEngine = createWasmEngine({ threads: 1 }),
): (x: Tensor) => Tensor {
  const prepared: PreparedWeights[] = layers.map(({ weights }) => engine.prepareSync(weights))
  return (x) =>
    layers.reduce(
      (activation, { bias, relu }, i) =>
        engine.matmulSync(activation, prepared[i] as PreparedWeights, {
          bias,
          ...(relu ? { activation: 'relu' as const } : {}),
        }).output,
      x,
    )
}
