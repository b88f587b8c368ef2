// Small models for the tests.
import { graphBuilder, serializeModel } from '@ft/onnx'

/** Two dense layers of an ONNX model, x [batch, 64] to y [batch, 8], with an operator between them. */
export function perceptron({ middle = 'Relu' }: { middle?: string } = {}): Uint8Array {
  const b = graphBuilder({ name: 'mlp' })
  const x = b.input('x', 'float32', ['batch', 64])
  const weights = (name: string, shape: [number, number]) =>
    b.initializer(name, { type: 'float32', shape, data: new Float32Array(shape[0] * shape[1]) })
  const hidden = b.node(middle, [b.node('MatMul', [x, weights('w1', [64, 256])], { outputs: ['h'] })])
  b.output(b.node('MatMul', [hidden, weights('w2', [256, 8])], { outputs: ['y'] }), 'float32', ['batch', 8])
  return serializeModel(b.build())
}
