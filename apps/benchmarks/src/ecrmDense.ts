// Part of bench "ecrm": the dense network forward and backward on the WebAssembly engine beside TensorFlow.js's.
import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import { createRandom } from '@ft/core/random'
import { median, ratioInterval } from '@ft/core/statistics'
import { createDenseModel, type DenseModel } from '@ft/ecrm'
import { createTfjsModel } from '@ft/ecrm/tfjs'
import { createWasmEngine } from '@ft/tensor-core/wasm'
import { bounds, type BenchContext } from './bench.ts'

const batch = 2_048
const shape = { features: 4, tables: 6, d: 16, bottom: [64], top: [64, 32] }

/** One training step of a small DLRM, one thread each, in turns. */
export async function denseBeside(context: BenchContext): Promise<void> {
  const [tf, { setWasmPaths, setThreadsCount }] = await Promise.all([
    import('@tensorflow/tfjs'),
    import('@tensorflow/tfjs-backend-wasm'),
  ])
  setWasmPaths(`${dirname(createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm'))}/`)
  setThreadsCount(1)
  await tf.setBackend('wasm')
  await tf.ready()
  const options = { ...shape, optimizer: { name: 'sgd', learningRate: 0.01 }, seed: context.seed } as const
  const ours = createDenseModel({ ...options, engine: createWasmEngine({ threads: 1 }) })
  const theirs = createTfjsModel({ ...options, tf })
  const random = createRandom(context.seed).stream('dense bench')
  const data = {
    dense: random.fillNormal(new Float32Array(batch * shape.features)),
    embeddings: random.fillNormal(new Float32Array(batch * shape.tables * shape.d)),
  }
  const labels = Float32Array.from({ length: batch }, () => random.integer(0, 1))
  const milliseconds = (model: DenseModel): number => {
    const start = performance.now()
    model.update(model.gradients(data, labels).parameters)
    return performance.now() - start
  }
  for (let i = 0; i < 5; i++) [ours, theirs].forEach(milliseconds)
  const pairs: { value: number; baseline: number }[] = []
  for (let turn = 0; turn < (context.quick ? 12 : 40); turn++) {
    const value = 1 / milliseconds(ours)
    pairs.push({ value, baseline: 1 / milliseconds(theirs) })
  }
  const ratio = ratioInterval(pairs)
  context.emit({
    case: 'small DLRM, 4-64-16, 6 tables, 37-64-32-1, batch 2048, one thread',
    metric: 'samples trained',
    value: median(pairs.map(({ value }) => value)) * batch * 1000,
    unit: 'samples/s',
    baseline: { case: 'tfjs-wasm', value: median(pairs.map(({ baseline }) => baseline)) * batch * 1000 },
    ratio: ratio.value,
    ...bounds(ratio),
    target: 'ratio >= 3, aim 100,000 samples/s',
  })
}
