// A convolutional ONNX model with checks in its graph, run by onnxruntime; then one of its weights is damaged.
// Run: npx tsx examples/3-guard-an-onnx-model.ts
// Prints:
//   protected: features, logits; unprotected: none
//   clean run: clean
//   damaged weight: uncorrectable, found in features
import { createGuardedSession, injectOnnx, protectOnnx } from '@ft/abft-kernels/onnx'
import { createRandom } from '@ft/core/random'
import { graphBuilder, serializeModel } from '@ft/onnx'
import * as ort from 'onnxruntime-node'

const random = createRandom(3)
const normal = (shape: number[]) => ({
  dtype: 'float32' as const,
  shape,
  data: random.fillNormal(new Float32Array(shape.reduce((all, size) => all * size, 1))),
})
const b = graphBuilder({ name: 'digits' })
const image = b.input('image', 'float32', ['batch', 1, 12, 12])
const features = b.node('Conv', [image, b.initializer('filter', normal([8, 1, 3, 3]))], { outputs: ['features'] })
const flat = b.node('Flatten', [b.node('GlobalAveragePool', [b.node('Relu', [features])])])
b.output(b.node('Gemm', [flat, b.initializer('head', normal([8, 10]))], { outputs: ['logits'] }), 'float32')

const { bytes, protected: layers, unprotected } = protectOnnx(serializeModel(b.build()), { scheme: 'row' })
console.log(
  `protected: ${layers.map(({ id }) => id).join(', ')}; unprotected: ${unprotected.map(({ id }) => id).join() || 'none'}`,
)

const x = new ort.Tensor('float32', normal([2, 1, 12, 12]).data, [2, 1, 12, 12])
const session = await createGuardedSession(ort, bytes)
console.log(`clean run: ${(await session.run({ image: x })).report.status}`)
await session.release()

const damaged = injectOnnx(bytes, [
  { layer: 'features', site: { kind: 'packed-weight', step: 4, column: 2 }, effect: { kind: 'flip', bits: [29] } },
])
const struck = await createGuardedSession(ort, damaged)
const { report } = await struck.run({ image: x })
console.log(`damaged weight: ${report.status}, found in ${report.detections.map(({ id }) => id).join(', ')}`)
await struck.release()
