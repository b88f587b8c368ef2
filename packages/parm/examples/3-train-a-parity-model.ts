// A parity model for a small perceptron: its reconstructions are right more often than those of the perceptron itself.
// Needs the optional peers @tensorflow/tfjs and @tensorflow/tfjs-backend-wasm.
//
// Prints:
//   the model itself as parity model: fewer than 7 of 10 reconstructions right
//   trained for 12 epochs: right more often, by more than 5 points
import { createRandom } from '@ft/core/random'
import { createModelRunner, evaluateCode, sum, trainParityModel, type DenseLayer } from '@ft/parm'

const random = createRandom(11)
const normal = (name: string, shape: number[], standardDeviation: number) => ({
  data: random.stream(name).fillNormal(new Float32Array(shape.reduce((a, b) => a * b, 1)), { standardDeviation }),
  shape,
  dtype: 'float32' as const,
})
const inputs = normal('x', [6000, 8], 1)
const layers = (bias: Float32Array): DenseLayer[] => [
  { weights: normal('w1', [8, 16], 0.4), bias: normal('b1', [16], 0.1), relu: true },
  { weights: normal('w2', [16, 3], 0.4), bias: { data: bias, shape: [3], dtype: 'float32' }, relu: false },
]
// Outputs centred, so that no class is much more frequent than the others
const mean = new Float32Array(3)
createModelRunner(layers(new Float32Array(3)))(inputs).data.forEach((value, i) => (mean[i % 3]! -= value / 6000))
const base = layers(mean)
const run = createModelRunner(base)
const outputs = run(inputs).data
const labels = Array.from({ length: 6000 }, (_, i) => {
  const row = outputs.subarray(3 * i, 3 * i + 3)
  return row.indexOf(Math.max(...row))
})
const code = sum({ k: 2 })
const rightOf = (layers: readonly DenseLayer[]) =>
  evaluateCode({ code, inputs, labels, base: run, parity: createModelRunner(layers) }).degraded

const trained = await trainParityModel(
  { base, code, inputs, labels },
  { seed: 1, epochs: 12, groupsPerBatch: 16, validationSamples: 500 },
)
const [before, after] = [rightOf(base), rightOf(trained.layers)]
console.log(
  `the model itself as parity model: ${before < 0.7 ? 'fewer' : 'no fewer'} than 7 of 10 reconstructions right`,
)
console.log(`trained for 12 epochs: right more often, by ${after - before > 0.05 ? 'more' : 'less'} than 5 points`)
