// The part "tfjs" of the bench "abft": a LayersModel whose products check themselves, beside the same model without checks.
import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import { createRandom } from '@ft/core/random'
import { protectTfjs } from '@ft/abft-kernels/tfjs'
import { bounds, type BenchContext } from './bench.ts'
import { interleave, type Rival } from './support/interleave.ts'

const schemes = ['row', 'global', 'replication'] as const
const backends = [
  { backend: 'wasm', batch: 16 },
  { backend: 'cpu', batch: 1 },
] as const

export async function tfjsModels(context: BenchContext): Promise<void> {
  const tf = await import('@tensorflow/tfjs')
  const wasm = await import('@tensorflow/tfjs-backend-wasm')
  wasm.setWasmPaths(`${dirname(createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm'))}/`)
  for (const { backend, batch } of backends) {
    await tf.setBackend(backend)
    const initial = () => tf.initializers.heNormal({ seed: context.seed })
    const conv = (filters: number, strides: number) =>
      tf.layers.conv2d({
        filters,
        kernelSize: 3,
        strides,
        padding: 'same',
        activation: 'relu',
        kernelInitializer: initial(),
      })
    const model = tf.sequential({
      layers: [
        tf.layers.inputLayer({ inputShape: [32, 32, 3] }),
        conv(32, 1),
        conv(64, 2),
        conv(128, 2),
        tf.layers.flatten(),
        tf.layers.dense({ units: 256, activation: 'relu', kernelInitializer: initial() }),
        tf.layers.dense({ units: 10, kernelInitializer: initial() }),
      ],
    })
    const pixels = createRandom(context.seed)
      .stream('images')
      .fillNormal(new Float32Array(batch * 32 * 32 * 3))
    const images = tf.tensor4d(pixels, [batch, 32, 32, 3])
    const finish = (outputs: unknown): void => {
      const [scores] = [outputs].flat() as [typeof images]
      scores.dataSync()
      scores.dispose()
    }
    const plain: Rival = { name: 'unprotected', run: () => finish(model.predict(images)) }
    const rivals: Rival[] = [plain, { ...plain, name: 'control' }]
    const guards = []
    for (const scheme of schemes) {
      const guarded = await protectTfjs(tf, model, { plan: { scheme } })
      guards.push(guarded)
      const { outputs, report } = await guarded.predict(images)
      finish(outputs)
      if (report.status !== 'clean') context.note(`${backend}, ${scheme}: a clean run was ${report.status}`)
      rivals.push({ name: scheme, run: async () => finish((await guarded.predict(images)).outputs) })
    }
    const timed = await interleave(rivals, { rounds: context.quick ? 9 : 31, seed: context.seed, shortestMs: 20 })
    for (const { name } of rivals.slice(1)) {
      const ratio = timed.ratio(name, 'unprotected')
      context.emit({
        case: `LayersModel on ${backend}, batch ${batch}`,
        metric: name,
        value: timed.medianOf(name),
        unit: 'ms',
        baseline: { case: 'unprotected', value: timed.medianOf('unprotected') },
        ratio: ratio.value,
        ...bounds(ratio),
      })
    }
    for (const guarded of guards) guarded.dispose()
    images.dispose()
    model.dispose()
  }
}
