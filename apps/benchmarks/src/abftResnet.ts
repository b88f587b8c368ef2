// ResNet-50 (He et al. 2015, batch normalisation folded, stride on the 3x3) with random weights, as an ONNX model.
import { createRandom } from '@ft/core/random'
import { graphBuilder, serializeModel } from '@ft/onnx'

/** Bottleneck blocks: width inside, how many, stride of the first. */
const stages = [
  { width: 64, blocks: 3, stride: 1 },
  { width: 128, blocks: 4, stride: 2 },
  { width: 256, blocks: 6, stride: 2 },
  { width: 512, blocks: 3, stride: 2 },
] as const

export function resnet50(options: { pixels: number; seed: number }): Uint8Array {
  const random = createRandom(options.seed).stream('resnet')
  const b = graphBuilder({ name: 'resnet50' })
  let made = 0
  const conv = (x: string, o: { from: number; to: number; taps: number; stride?: number }): string => {
    const id = `conv${made++}`
    const fanIn = o.from * o.taps * o.taps
    const data = random
      .stream(id)
      .fillNormal(new Float32Array(o.to * fanIn))
      .map((w) => w * Math.sqrt(2 / fanIn))
    const w = b.initializer(`${id}_w`, { dtype: 'float32', shape: [o.to, o.from, o.taps, o.taps], data })
    const bias = b.initializer(`${id}_b`, { dtype: 'float32', shape: [o.to], data: new Float32Array(o.to).fill(0.01) })
    const pad = (o.taps - 1) / 2
    const stride = o.stride ?? 1
    return b.node('Conv', [x, w, bias], {
      outputs: [id],
      attributes: { pads: { ints: [pad, pad, pad, pad] }, strides: { ints: [stride, stride] } },
    })
  }
  const relu = (x: string) => b.node('Relu', [x])

  const image = b.input('image', 'float32', [1, 3, options.pixels, options.pixels])
  let x = b.node('MaxPool', [relu(conv(image, { from: 3, to: 64, taps: 7, stride: 2 }))], {
    attributes: { kernel_shape: { ints: [3, 3] }, strides: { ints: [2, 2] }, pads: { ints: [1, 1, 1, 1] } },
  })
  let channels = 64
  for (const { width, blocks, stride } of stages)
    for (let block = 0; block < blocks; block++) {
      const step = block === 0 ? stride : 1
      const inner = relu(conv(x, { from: channels, to: width, taps: 1 }))
      const middle = relu(conv(inner, { from: width, to: width, taps: 3, stride: step }))
      const outer = conv(middle, { from: width, to: 4 * width, taps: 1 })
      const short = block === 0 ? conv(x, { from: channels, to: 4 * width, taps: 1, stride: step }) : x
      x = relu(b.node('Add', [outer, short]))
      channels = 4 * width
    }
  const features = b.node('Flatten', [b.node('GlobalAveragePool', [x])])
  const w = random
    .stream('head')
    .fillNormal(new Float32Array(2048 * 1000))
    .map((value) => value / 45)
  const head = b.initializer('fc_w', { dtype: 'float32', shape: [2048, 1000], data: w })
  b.output(b.node('Gemm', [features, head], { outputs: ['logits'] }), 'float32', [1, 1000])
  return serializeModel(b.build())
}
