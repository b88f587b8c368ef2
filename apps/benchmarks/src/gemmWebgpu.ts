// Part of the bench "gemm": the WebGPU engine by the device's own clock, and what its sums cost. On a software adapter
// it says so: such figures tell of the processor.
import { isFtError, type Emit } from '@ft/core'
import { createRandom, type Random } from '@ft/core/random'
import { median, ratioInterval } from '@ft/core/statistics'
import { createWebgpuEngine, tuneWebgpu, type WebgpuEngine, type WebgpuEngineOptions } from '@ft/tensor-core/webgpu'
import { bounds, type Bench, type BenchContext } from './bench.ts'
import { floats, type Shape } from './gemmCases.ts'

const emits: Readonly<Record<string, Emit>> = {
  plain: {},
  'row sums': { rowSums: true },
  'one-sided tile sums': { tileSums: 'one-sided' },
  'two-sided tile sums': { tileSums: 'two-sided' },
  replica: { replica: true },
}

/** The part alone: `npm run bench -- gemm-webgpu`. */
export const gemmWebgpu: Bench = {
  name: 'gemm-webgpu',
  title: 'Matrix products on WebGPU',
  run: (context) => onWebgpu(context, createRandom(context.seed).stream('gemm bench')),
}

/** Operands in float32; in float16; in float16 by subgroup matrices ("tensor cores"). Each where the adapter has it. */
const kinds: readonly { readonly name: string; readonly options: WebgpuEngineOptions }[] = [
  { name: '', options: {} },
  { name: ', float16', options: { storage: 'float16', matrices: false } },
  { name: ', float16 by subgroup matrices', options: { storage: 'float16', matrices: true } },
]

export async function onWebgpu(context: BenchContext, random: Random): Promise<void> {
  for (const { name, options } of kinds) {
    try {
      await onEngine(context, { random, suffix: name, options })
    } catch (error) {
      if (!isFtError(error, 'ENGINE_UNAVAILABLE')) throw error
      context.note(`webgpu${name}: ${error.message}`)
      if (name === '') return
    }
  }
}

async function onEngine(
  context: BenchContext,
  { random, suffix, options }: { random: Random; suffix: string; options: WebgpuEngineOptions },
): Promise<void> {
  const times: number[] = []
  const engine = await createWebgpuEngine({ ...options, onTime: (nanoseconds) => times.push(nanoseconds) })
  const { name, software, features } = engine.adapter
  try {
    const where = `webgpu on ${name}${software ? ' (software: the processor computes)' : ''}`
    context.note(`${where}, build ${engine.build}`)
    if (!features.has('timestamp-query')) {
      context.note('webgpu: the adapter has no timestamps, nothing is measured')
      return
    }
    // Tiles of float16 without matrices are those of float32.
    if (!software && options.matrices !== false) {
      const { chosen } = await tuneWebgpu({ storage: options.storage ?? 'float32' })
      context.note(`webgpu${suffix}: tile ${JSON.stringify(chosen)}, the fastest of those tried`)
    }
    const sizes = software ? [256] : context.quick ? [1024] : [512, 1024, 2048, 4096]
    for (const size of sizes) {
      const shape = { name: `${size} cubed${suffix}`, m: size, n: size, k: size }
      await measure({ context, engine, random, times }, { shape, software, rounds: software ? 7 : 25 })
    }
  } finally {
    await engine.dispose()
  }
}

interface Setting {
  readonly context: BenchContext
  readonly engine: WebgpuEngine
  readonly random: Random
  readonly times: number[]
}

/** Products with each kind of sums, in turns. */
async function measure(
  { context, engine, random, times }: Setting,
  { shape, software, rounds }: { shape: Shape; software: boolean; rounds: number },
): Promise<void> {
  const { m, n, k, name } = shape
  const a = floats(random, [m, k])
  const weights = await engine.prepare(floats(random, [k, n]))
  const samples = new Map(Object.keys(emits).map((kind) => [kind, [] as number[]]))
  for (let round = -1; round < rounds; round++)
    for (const [kind, emit] of Object.entries(emits)) {
      times.length = 0
      await engine.matmul(a, weights, { emit })
      // The first turn compiles, and makes the folds of the weights.
      if (round >= 0) samples.get(kind)?.push(times[0] as number)
    }
  weights.release()
  const suffix = software ? ', software adapter' : ''
  const plain = samples.get('plain') as number[]
  for (const [kind, own] of samples) {
    const time = median(own)
    if (kind === 'plain') {
      context.emit({
        case: name,
        metric: `webgpu product on the device${suffix}`,
        value: (2 * m * n * k) / time,
        unit: 'GFLOP/s',
      })
      continue
    }
    const ratio = ratioInterval(own.map((value, i) => ({ value, baseline: plain[i] as number })))
    context.emit({
      case: name,
      metric: `webgpu time with ${kind}${suffix}`,
      value: time / 1e6,
      unit: 'ms',
      baseline: { case: 'plain', value: median(plain) / 1e6 },
      ratio: ratio.value,
      ...bounds(ratio),
    })
  }
}
