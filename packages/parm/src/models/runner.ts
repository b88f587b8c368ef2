// Models on the WebAssembly engine: how workers, codes and evaluations run them.
import type { PreparedWeights, Tensor } from '@ft/core'
import { createWasmEngine, type WasmEngine } from '@ft/tensor-core/wasm'
import { outputsOf, padsOf, type ConvLayer, type Layer } from './layers.ts'

/** Images of a convolution's batch at a time: what it computes in between stays in the caches. */
const IMAGES = 64

/**
 * A function that runs a model.
 *
 * Shapes: `[b, in]` float32 gives `[b, out]`. Cost: two flops a weight (and output pixel of a convolution) a row; the weights
 * are kept prepared.
 */
export function createModelRunner(
  layers: readonly Layer[],
  engine: WasmEngine = createWasmEngine({ threads: 1 }),
): (x: Tensor) => Tensor {
  const steps = layers.map((layer) => {
    const { weights, bias, relu, kind = 'dense' } = layer
    const prepared = engine.prepareSync(weights, { kind: kind === 'conv' ? 'conv2d' : 'matmul' })
    const options = { bias, ...(relu ? { activation: 'relu' as const } : {}) }
    if (layer.kind !== 'conv') return (x: Tensor) => engine.matmulSync(x, prepared, options).output
    return (x: Tensor) => convolve(engine, { layer, prepared, x })
  })
  const run = (x: Tensor) => steps.reduce((activation, step) => step(activation), x)
  if (layers.every(({ kind }) => kind !== 'conv')) return run
  return (x) => inParts(x, { run, width: outputsOf(layers.at(-1) as Layer) })
}

function convolve(
  engine: WasmEngine,
  { layer, prepared, x }: { layer: ConvLayer; prepared: PreparedWeights; x: Tensor },
): Tensor {
  const { weights, bias, relu, image, stride = 1, dilation = 1 } = layer
  const channels = weights.shape[2] as number
  const batch = x.shape[0] as number
  const { output } = engine.conv2dSync(
    { data: x.data, shape: [batch, image.height, image.width, channels], dtype: 'float32' },
    prepared,
    {
      bias,
      ...(relu ? { activation: 'relu' as const } : {}),
      stride: [stride, stride],
      dilation: [dilation, dilation],
      pad: padsOf(layer),
    },
  )
  return { data: output.data, shape: [batch, outputsOf(layer)], dtype: 'float32' }
}

function inParts({ data, shape }: Tensor, { run, width }: { run: (x: Tensor) => Tensor; width: number }): Tensor {
  const [batch = 0, features = 0] = shape
  const outputs = new Float32Array(batch * width)
  for (let first = 0; first < batch; first += IMAGES) {
    const rows = Math.min(IMAGES, batch - first)
    const part = data.subarray(first * features, (first + rows) * features)
    outputs.set(run({ data: part, shape: [rows, features], dtype: 'float32' }).data, first * width)
  }
  return { data: outputs, shape: [batch, width], dtype: 'float32' }
}
