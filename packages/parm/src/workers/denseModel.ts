// Model folders on the WebAssembly engine: how a worker runs a model saved by this package.
import { FtError } from '@ft/core'
import { preprocessingText } from '../codes/preprocessed.ts'
import { readModelFolder } from '../models/folder.ts'
import { inputsOf, outputsOf, type Layer } from '../models/layers.ts'
import { createModelRunner } from '../models/runner.ts'
import { toNamedTensor, toWireTensor } from '../oip/message.ts'
import type { ServedModel } from './served.ts'

/** Opens a model folder for serving. Input 'input' FP32 `[b, in]`, output 'output' FP32 `[b, out]`. */
export async function openDenseModel(folder: string): Promise<ServedModel> {
  const { layers, manifest } = await readModelFolder(folder)
  const run = createModelRunner(layers)
  const [inputs, outputs] = [inputsOf(layers[0] as Layer), outputsOf(layers.at(-1) as Layer)]
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
              ...(manifest.parity.weights ? { 'ft.weights': manifest.parity.weights.join(',') } : {}),
              ...(manifest.parity.preprocessing
                ? { 'ft.preprocessing': preprocessingText(manifest.parity.preprocessing) }
                : {}),
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
