// Bench "abft-onnx": a ResNet-50-sized model in onnxruntime, protected by each scheme beside unprotected.
import { createRandom } from '@ft/core/random'
import { createGuardedSession, protectOnnx, type OnnxScheme } from '@ft/abft-kernels/onnx'
import * as ort from 'onnxruntime-node'
import { resnet50 } from './abftResnet.ts'
import { bounds, type Bench } from './bench.ts'
import { interleave, type Rival } from './support/interleave.ts'

const schemes: readonly OnnxScheme[] = ['global', 'row', 'replication']

export const abftOnnx: Bench = {
  name: 'abft-onnx',
  title:
    'ResNet-50-sized model in onnxruntime, protected / unprotected, all optimisations on, one thread (CPU figures)',
  async run(context) {
    const pixels = 224
    const bytes = resnet50({ pixels, seed: context.seed })
    const options: ort.InferenceSession.SessionOptions = {
      graphOptimizationLevel: 'all',
      intraOpNumThreads: 1,
      interOpNumThreads: 1,
      logSeverityLevel: 3,
    }
    const data = createRandom(context.seed)
      .stream('image')
      .fillNormal(new Float32Array(3 * pixels * pixels))
    const feeds = { image: new ort.Tensor('float32', data, [1, 3, pixels, pixels]) }
    const plain = await ort.InferenceSession.create(bytes, options)
    const rivals: Rival[] = [{ name: 'unprotected', run: async () => void (await plain.run(feeds)) }]
    rivals.push({ ...(rivals[0] as Rival), name: 'control' })
    for (const scheme of schemes) {
      const made = protectOnnx(bytes, { scheme })
      const session = await createGuardedSession(ort, made.bytes, { session: options })
      const { report } = await session.run(feeds)
      if (report.status !== 'clean') context.note(`${scheme}: a clean run was ${report.status}`)
      context.emit({
        case: scheme,
        metric: 'bytes of the model',
        value: made.bytes.length,
        unit: 'bytes',
        baseline: { case: 'unprotected', value: bytes.length },
        ratio: made.bytes.length / bytes.length,
        ...(scheme === 'replication' ? {} : { target: 'ratio <= 1.02' }),
      })
      rivals.push({ name: scheme, run: async () => void (await session.run(feeds)) })
    }
    const timed = await interleave(rivals, { rounds: context.quick ? 12 : 40, seed: context.seed, shortestMs: 1 })
    const base = timed.medianOf('unprotected')
    for (const { name } of rivals.slice(1)) {
      const ratio = timed.ratio(name, 'unprotected')
      context.emit({
        case: name,
        metric: 'time of an inference',
        value: timed.medianOf(name),
        unit: 'ms',
        baseline: { case: 'unprotected', value: base },
        ratio: ratio.value,
        ...bounds(ratio),
        ...(name === 'global' ? { target: 'ratio <= 1.25, aim 1.10' } : {}),
      })
    }
  },
}
