// Bench "abft": what each scheme costs beside the plain product on the wasm engine, and which is the cheapest adequate one.
import { createRandom, type Random } from '@ft/core/random'
import type { ProtectionScheme, Tensor } from '@ft/core'
import { createKernels, type Kernels, type ProtectedWeights } from '@ft/abft-kernels'
import { createWasmEngine } from '@ft/tensor-core/wasm'
import { bounds, type Bench, type BenchContext } from './bench.ts'
import { interleave } from './support/interleave.ts'

interface Case {
  readonly name: string
  readonly m: number
  readonly n: number
  readonly k: number
  readonly target?: number
}

const schemes: readonly ProtectionScheme[] = [
  'global',
  'row',
  'column',
  'row-column',
  'thread-one-sided',
  'thread-two-sided',
  'replication',
]
/** Smallest error that an adequate scheme sees, as a share of the output's root mean square. */
const ADEQUATE = 1e-4

const square = (size: number, target?: number): Case => ({
  name: `${size} cubed`,
  m: size,
  n: size,
  k: size,
  ...(target ? { target } : {}),
})
const skinny = (m: number): Case => ({ name: `m = ${m}, k = n = 1024`, m, n: 1024, k: 1024, target: 1.01 })
const layer = (name: string, m: number, n: number, k: number): Case => ({ name, m, n, k, target: 1.1 })

const cases: readonly Case[] = [
  square(256),
  square(512, 1.03),
  square(1024, 1.03),
  skinny(1),
  skinny(4),
  skinny(8),
  // Distinct products of ResNet-50 at 224 pixels, and of DLRM's networks.
  layer('ResNet-50 conv1', 12544, 64, 147),
  layer('ResNet-50 64x64', 3136, 64, 64),
  layer('ResNet-50 256x64', 3136, 64, 256),
  layer('ResNet-50 3x3 64', 3136, 64, 576),
  layer('ResNet-50 64x256', 3136, 256, 64),
  layer('ResNet-50 3x3 128', 784, 128, 1152),
  layer('ResNet-50 128x512', 784, 512, 128),
  layer('ResNet-50 3x3 256', 196, 256, 2304),
  layer('ResNet-50 256x1024', 196, 1024, 256),
  layer('ResNet-50 3x3 512', 49, 512, 4608),
  layer('ResNet-50 512x2048', 49, 2048, 512),
  layer('DLRM 13x512, batch 256', 256, 512, 13),
  layer('DLRM 512x256, batch 256', 256, 256, 512),
  layer('DLRM 512x512, batch 256', 256, 512, 512),
  layer('DLRM 512x512, batch 2048', 2048, 512, 512),
  layer('DLRM 512x256, batch 2048', 2048, 256, 512),
]
const quickNames = new Set([
  '512 cubed',
  'm = 1, k = n = 1024',
  'm = 8, k = n = 1024',
  'ResNet-50 64x64',
  'ResNet-50 3x3 256',
  'DLRM 512x256, batch 256',
])

export const abft: Bench = {
  name: 'abft',
  title: 'Overhead of checked products on the wasm engine, one thread (unchained; CPU figures)',
  async run(context) {
    const engine = createWasmEngine({ threads: 1 })
    try {
      const kernels = await createKernels({ engine }).calibrated({ trials: 4, seed: context.seed + 1 })
      context.note(`engine build ${engine.build}`)
      const random = createRandom(context.seed).stream('abft bench')
      for (const item of cases) {
        if (!context.quick || quickNames.has(item.name))
          await measure(context, { kernels, item, random: random.stream(item.name) })
      }
    } finally {
      await engine.dispose()
    }
  },
}

interface Run {
  readonly kernels: Kernels
  readonly item: Case
  readonly random: Random
}

async function measure(context: BenchContext, { kernels, item, random }: Run): Promise<void> {
  const { m, n, k } = item
  const a = normal(random, [m, k])
  const weights = await kernels.prepare(normal(random, [k, n]))
  const rms = Math.sqrt(k)
  const adequate = await adequateSchemes(kernels, a, weights, rms)
  const plain = { name: 'none', run: async () => void (await kernels.matmul(a, weights, { scheme: 'none' })) }
  // The control is the plain product again: its interval has to hold 1, or the machine is too noisy to say anything.
  const control = { ...plain, name: 'control' }
  const rivals = schemes.map((scheme) => ({
    name: scheme,
    run: async () => void (await kernels.matmul(a, weights, { scheme })),
  }))
  const timed = await interleave([plain, control, ...rivals], { rounds: context.quick ? 15 : 25, seed: context.seed })
  const flops = 2 * m * n * k
  const base = timed.medianOf('none')
  context.emit({ case: item.name, metric: 'plain', value: flops / base / 1e6, unit: 'GFLOP/s' })
  for (const name of ['control', ...schemes]) {
    const ratio = timed.ratio(name, 'none')
    context.emit({
      case: item.name,
      metric: name,
      value: timed.medianOf(name),
      unit: 'ms',
      baseline: { case: 'none', value: base },
      ratio: ratio.value,
      ...bounds(ratio),
    })
  }
  const best = adequate.reduce<ProtectionScheme | undefined>(
    (found, scheme) =>
      found === undefined || timed.ratio(scheme, 'none').value < timed.ratio(found, 'none').value ? scheme : found,
    undefined,
  )
  weights.release()
  if (best === undefined) return context.note(`${item.name}: no scheme sees errors of ${ADEQUATE} rms`)
  const ratio = timed.ratio(best, 'none')
  context.emit({
    case: item.name,
    metric: `cheapest adequate: ${best}`,
    value: timed.medianOf(best),
    unit: 'ms',
    baseline: { case: 'none', value: base },
    ratio: ratio.value,
    ...bounds(ratio),
    ...(item.target ? { target: `ratio <= ${item.target}` } : {}),
  })
}

async function adequateSchemes(
  kernels: Kernels,
  a: Tensor,
  weights: ProtectedWeights,
  rms: number,
): Promise<ProtectionScheme[]> {
  const found: ProtectionScheme[] = []
  for (const scheme of schemes) {
    const { report } = await kernels.matmul(a, weights, { scheme })
    if (report.threshold.smallestDetectable <= ADEQUATE * rms) found.push(scheme)
  }
  return found
}

function normal(random: Random, shape: readonly [number, number]): Tensor {
  return { data: random.fillNormal(new Float32Array(shape[0] * shape[1])), shape, dtype: 'float32' }
}
