// Bench "gemm": products of the wasm engine beside TensorFlow.js's wasm backend, in turns; threads, thin products, sums, int8.
import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import type { Tensor } from '@ft/core'
import { createRandom, type Random } from '@ft/core/random'
import { createWasmEngine, type WasmEngine } from '@ft/tensor-core/wasm'
import { bounds, type Bench, type BenchContext } from './bench.ts'
import { interleave, type Rival } from './support/interleave.ts'

interface Shape {
  readonly name: string
  readonly m: number
  readonly n: number
  readonly k: number
  readonly target?: string
}

const square = (size: number): Shape => ({ name: `${size} cubed`, m: size, n: size, k: size, target: 'ratio >= 1.2' })
const layer = (name: string, m: number, n: number, k: number): Shape => ({ name, m, n, k, target: 'ratio >= 1.0' })

const shapes: readonly Shape[] = [
  square(256),
  square(512),
  square(1024),
  layer('ResNet-50 conv1', 12544, 64, 147),
  layer('ResNet-50 64x64', 3136, 64, 64),
  layer('ResNet-50 3x3 64', 3136, 64, 576),
  layer('ResNet-50 64x256', 3136, 256, 64),
  layer('ResNet-50 3x3 128', 784, 128, 1152),
  layer('ResNet-50 3x3 256', 196, 256, 2304),
  layer('ResNet-50 256x1024', 196, 1024, 256),
  layer('ResNet-50 3x3 512', 49, 512, 4608),
  layer('DLRM 13x512, batch 256', 256, 512, 13),
  layer('DLRM 512x256, batch 256', 256, 256, 512),
  layer('DLRM 512x512, batch 2048', 2048, 512, 512),
]

export const gemm: Bench = {
  name: 'gemm',
  title: 'Matrix products on WebAssembly: ratios are speeds, ours over the other',
  async run(context) {
    const engine = createWasmEngine({ threads: 1 })
    const two = createWasmEngine({ threads: 2 })
    try {
      context.note(`engine build ${engine.build}`)
      const random = createRandom(context.seed).stream('gemm bench')
      const peer = await tensorFlow(context)
      const rounds = context.quick ? 9 : 21
      for (const shape of context.quick ? shapes.filter((_, i) => i % 3 === 1) : shapes)
        await besidePeer(context, { engine, peer, shape, random, rounds })
      await threads(context, { engine, two, random, rounds })
      await emitted(context, { engine, random, rounds })
      await thin(context, { engine, random, rounds })
      await integers(context, { engine, random, rounds })
    } finally {
      await engine.dispose()
      await two.dispose()
    }
  },
}

const floats = (random: Random, shape: readonly number[]): Tensor => ({
  data: random.fillNormal(new Float32Array(shape.reduce((all, size) => all * size, 1))),
  shape,
  dtype: 'float32',
})

interface Peer {
  /** A product whose operands stay where the backend keeps them; runs synchronously. */
  prepare(a: Tensor, b: Tensor): { run(): void; release(): void }
}

async function tensorFlow(context: BenchContext): Promise<Peer | undefined> {
  try {
    const tf = await import('@tensorflow/tfjs')
    const wasm = await import('@tensorflow/tfjs-backend-wasm')
    wasm.setWasmPaths(`${dirname(createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm'))}/`)
    await tf.setBackend('wasm')
    context.note(`peer: TensorFlow.js ${tf.version['tfjs-core']}, wasm backend, one thread`)
    return {
      prepare(a, b) {
        const place = ({ data, shape }: Tensor) => tf.tensor2d(data as Float32Array, shape as [number, number])
        const [x, y] = [place(a), place(b)]
        return { run: () => tf.matMul(x, y).dispose(), release: () => tf.dispose([x, y]) }
      },
    }
  } catch (error) {
    context.note(`TensorFlow.js is not installed: no comparison (${String(error)})`)
    return undefined
  }
}

interface With {
  readonly engine: WasmEngine
  readonly random: Random
  readonly rounds: number
}

/** Operands in the engine's memory, as the peer's are in its own; the output is made anew each time, as the peer's is. */
async function besidePeer(
  context: BenchContext,
  { engine, peer, shape, random, rounds }: With & { peer: Peer | undefined; shape: Shape },
): Promise<void> {
  const { m, n, k, name, target } = shape
  const [a, b] = [floats(random, [m, k]), floats(random, [k, n])]
  const weights = await engine.prepare(b)
  const other = peer?.prepare(a, b)
  const ours: Rival = { name: 'ours', run: () => void engine.matmulSync(a, weights) }
  const rivals = other ? [ours, { name: 'tfjs-wasm', run: () => other.run() }] : [ours]
  const timed = await interleave(rivals, { rounds, seed: context.seed })
  const rate = (rival: string) => (2 * m * n * k) / timed.medianOf(rival) / 1e6
  const ratio = other ? timed.ratio('tfjs-wasm', 'ours') : undefined
  context.emit({
    case: name,
    metric: 'product, 1 thread',
    value: rate('ours'),
    unit: 'GFLOP/s',
    ...(ratio
      ? { baseline: { case: 'tfjs-wasm', value: rate('tfjs-wasm') }, ratio: ratio.value, ...bounds(ratio) }
      : {}),
    ...(target ? { target } : {}),
  })
  other?.release()
  weights.release()
}

async function threads(
  context: BenchContext,
  { engine, two, random, rounds }: With & { two: WasmEngine },
): Promise<void> {
  const size = 1024
  const [a, b] = [floats(random, [size, size]), floats(random, [size, size])]
  const [one, both] = [await engine.prepare(b), await two.prepare(b)]
  const timed = await interleave(
    [
      { name: 'one', run: () => void engine.matmulSync(a, one) },
      { name: 'two', run: () => void two.matmulSync(a, both) },
    ],
    { rounds, seed: context.seed },
  )
  const ratio = timed.ratio('one', 'two')
  context.emit({
    case: '1024 cubed',
    metric: 'two threads',
    value: (2 * size ** 3) / timed.medianOf('two') / 1e6,
    unit: 'GFLOP/s',
    baseline: { case: 'one thread', value: (2 * size ** 3) / timed.medianOf('one') / 1e6 },
    ratio: ratio.value,
    ...bounds(ratio),
    target: 'ratio >= 1.6',
  })
  one.release()
  both.release()
}

/** Time of a product with sums over one without: here the ratio is of times, and smaller is better. */
async function emitted(context: BenchContext, { engine, random, rounds }: With): Promise<void> {
  const cases = [
    { name: '512 cubed', m: 512, n: 512, k: 512, limit: 1.03 },
    { name: '1024 cubed', m: 1024, n: 1024, k: 1024, limit: 1.03 },
    { name: 'm = 1, k = n = 1024', m: 1, n: 1024, k: 1024, limit: 1.01 },
    { name: 'm = 8, k = n = 1024', m: 8, n: 1024, k: 1024, limit: 1.01 },
  ]
  for (const { name, m, n, k, limit } of cases) {
    const a = floats(random, [m, k])
    const weights = await engine.prepare(floats(random, [k, n]))
    const kinds = {
      rows: { rowSums: true },
      'tiles, one-sided': { tileSums: 'one-sided' },
      'tiles, two-sided': { tileSums: 'two-sided' },
    } as const
    const rivals: Rival[] = [
      { name: 'plain', run: () => void engine.matmulSync(a, weights) },
      { name: 'control', run: () => void engine.matmulSync(a, weights) },
    ]
    for (const [kind, emit] of Object.entries(kinds))
      rivals.push({ name: kind, run: () => void engine.matmulSync(a, weights, { emit }) })
    const timed = await interleave(rivals, { rounds: rounds + 10, seed: context.seed })
    for (const rival of rivals.slice(1)) {
      const ratio = timed.ratio(rival.name, 'plain')
      context.emit({
        case: name,
        metric: rival.name === 'control' ? 'time, plain again' : `time, emitting ${rival.name}`,
        value: timed.medianOf(rival.name),
        unit: 'ms',
        baseline: { case: 'plain', value: timed.medianOf('plain') },
        ratio: ratio.value,
        ...bounds(ratio),
        ...(rival.name === 'rows' ? { target: `ratio <= ${limit}` } : {}),
      })
    }
    weights.release()
  }
}

/** One row times a large matrix: bytes of weights a second. */
async function thin(context: BenchContext, { engine, random, rounds }: With): Promise<void> {
  const size = 4096
  const a = floats(random, [1, size])
  const weights = await engine.prepare(floats(random, [size, size]))
  const timed = await interleave([{ name: 'ours', run: () => void engine.matmulSync(a, weights) }], {
    rounds,
    seed: context.seed,
  })
  context.emit({
    case: 'm = 1, k = n = 4096',
    metric: 'weights read',
    value: (size * size * 4) / timed.medianOf('ours') / 1e6,
    unit: 'GB/s',
  })
  weights.release()
}

async function integers(context: BenchContext, { engine, random, rounds }: With): Promise<void> {
  const size = 512
  const bytes = (): Tensor => ({
    data: Int8Array.from({ length: size * size }, () => random.integer(-128, 127)),
    shape: [size, size],
    dtype: 'int8',
  })
  const [a8, a] = [bytes(), floats(random, [size, size])]
  const [w8, w] = [
    await engine.prepare(bytes(), { kind: 'matmul-int8' }),
    await engine.prepare(floats(random, [size, size])),
  ]
  const timed = await interleave(
    [
      { name: 'int8', run: () => void engine.matmulInt8Sync(a8, w8) },
      { name: 'float32', run: () => void engine.matmulSync(a, w) },
    ],
    { rounds, seed: context.seed },
  )
  const ratio = timed.ratio('float32', 'int8')
  context.emit({
    case: '512 cubed',
    metric: 'int8',
    value: (2 * size ** 3) / timed.medianOf('int8') / 1e6,
    unit: 'Gop/s',
    baseline: { case: 'float32', value: (2 * size ** 3) / timed.medianOf('float32') / 1e6 },
    ratio: ratio.value,
    ...bounds(ratio),
    target: 'ratio >= 1.0',
  })
  w8.release()
  w.release()
}
