// Part of the bench "abft": what checks with random weights cost beside those with ones, and the least error that both see.
import type { LinearLayer, ProtectionScheme } from '@ft/core'
import type { Calibration } from '@ft/abft-kernels'
import { createRunner } from '@ft/abft-kernels/runner'
import type { MatmulEngine } from '@ft/core'
import { bounds, type BenchContext } from './bench.ts'
import { interleave } from './support/interleave.ts'

const schemes: readonly ProtectionScheme[] = ['row', 'column', 'row-column', 'global']

const dense = (m: number, n: number, k: number): LinearLayer => ({
  id: `${m} x ${k} x ${n}`,
  ...{ m, n, k, count: 1, dtype: 'float32', op: { kind: 'matmul', batch: 1 } },
})

/** A 3 x 3 layer of ResNet-50 at 224 x 224. */
const convolution: LinearLayer = {
  id: '28 x 28, 128 channels, 3 x 3',
  ...{ m: 784, n: 128, k: 1152, count: 1, dtype: 'float32' },
  op: {
    kind: 'conv2d',
    x: [1, 28, 28, 128],
    filter: [3, 3, 128, 128],
    ...{ stride: [1, 1], pad: [1, 1, 1, 1], dilation: [1, 1], groups: 1 },
  },
}

export async function randomWeights(
  context: BenchContext,
  { engine, calibration }: { engine: MatmulEngine; calibration: Calibration | undefined },
): Promise<void> {
  const common = { engine, ...(calibration && { calibration }), shareOperands: true }
  const runners = {
    ones: createRunner(common),
    random: createRunner({ ...common, checksumWeights: 'random' }),
  }
  const layers = [dense(256, 256, 256), dense(512, 512, 512), dense(8, 1024, 1024), convolution]
  for (const layer of context.quick ? layers.slice(1, 3) : layers) {
    const open = (weights: keyof typeof runners, scheme: ProtectionScheme) =>
      runners[weights].prepare(layer, scheme, { seed: context.seed, chained: false })
    const plain = await open('ones', 'none')
    const rivals = [{ name: 'none', ...plain }]
    for (const weights of ['ones', 'random'] as const)
      for (const scheme of schemes) rivals.push({ name: `${scheme}, ${weights}`, ...(await open(weights, scheme)) })
    const timed = await interleave(rivals, { rounds: context.quick ? 11 : 31, warmUp: 10, seed: context.seed })
    for (const { release } of rivals) release()
    for (const weights of ['ones', 'random'] as const)
      for (const scheme of schemes) {
        const name = `${scheme}, ${weights}`
        const ratio = timed.ratio(name, 'none')
        context.emit({
          case: layer.id,
          metric: `${name}; sees ${runners[weights].smallestDetectable(layer, scheme).toExponential(1)} rms`,
          value: timed.medianOf(name),
          unit: 'ms',
          baseline: { case: 'none', value: timed.medianOf('none') },
          ratio: ratio.value,
          ...bounds(ratio),
        })
      }
  }
}
