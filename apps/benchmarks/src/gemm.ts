// Bench "gemm": products of the wasm engine beside their peers, in turns; threads, thin products, sums, int8.
// Ratios of speeds are ours over the other's; ratios of times say so in their metric. What computes on the calling thread alone, as
// our one thread, tfjs-wasm and the sum of an array do, is compared by processor time, the others by elapsed time.
import type { Tensor } from '@ft/core'
import { createRandom } from '@ft/core/random'
import { createWasmEngine, type WasmEngine } from '@ft/tensor-core/wasm'
import { bounds, type Bench } from './bench.ts'
import { floats, layers, quickLayers, speed, squares, type Setting, type Shape } from './gemmCases.ts'
import { emitted, int8, thinProduct, twoThreads } from './gemmOwn.ts'
import { loadPeers, type Peer } from './gemmPeers.ts'
import { onSecondNode } from './gemmSecondNode.ts'
import { onWebgpu } from './gemmWebgpu.ts'
import { interleave, type Rival } from './support/interleave.ts'

export const gemm: Bench = {
  name: 'gemm',
  title: 'Matrix products on WebAssembly beside their peers',
  parts: ['squares', 'resnet50', 'dlrm', 'threads', 'thin', 'sums', 'int8', 'webgpu'],
  async run(context) {
    const engine = createWasmEngine({ threads: 1 })
    context.note(
      `engine build ${engine.build}; one thread: processor time, beside other peers and threads: elapsed time`,
    )
    const random = createRandom(context.seed).stream('gemm bench')
    const setting = { context, engine, random, rounds: context.quick ? 9 : 25 }
    try {
      await products(setting)
      if (context.wants('threads')) await twoThreads(setting)
      if (context.wants('thin')) await thinProduct(setting)
      if (context.wants('sums')) await emitted(setting)
      if (context.wants('int8')) await int8(setting)
    } finally {
      await engine.dispose()
    }
    if (context.wants('webgpu')) await onWebgpu(context, random)
    onSecondNode(context)
  },
}

async function products(setting: Setting): Promise<void> {
  const { context } = setting
  const shapes = context.quick ? quickLayers : layers
  const own = shapes.filter(({ name }) => context.wants(name.startsWith('DLRM') ? 'dlrm' : 'resnet50'))
  if (!context.wants('squares') && own.length === 0) return
  const peers = await loadPeers(context)
  if (context.wants('squares')) for (const shape of squares) await besidePeers(setting, { shape, peers, square: true })
  const thin = peers.filter((peer) => peer.name === 'tfjs-wasm')
  for (const shape of own) await besidePeers(setting, { shape, peers: thin, square: false })
}

interface Comparison {
  readonly shape: Shape
  readonly peers: readonly Peer[]
  readonly square: boolean
}

/** From array to array with every peer; between resident operands with those that have them. */
async function besidePeers(setting: Setting, { shape, peers, square }: Comparison): Promise<void> {
  const { context, engine, random, rounds } = setting
  const { m, n, k, name } = shape
  const [a, b] = [floats(random, [m, k]), floats(random, [k, n])]
  const weights = engine.prepareSync(b)
  const inside = resident(engine, shape, a)
  const rivals: Rival[] = [
    { name: 'ours', run: () => void engine.matmulSync(a, weights) },
    { name: 'ours resident', run: () => void engine.matmulSync(inside.a, weights, { out: inside.out }) },
  ]
  const products = []
  for (const peer of peers) {
    // gpu.js takes seconds for the largest product.
    if (peer.name === 'gpu.js' && m * n * k > 2 ** 27) continue
    const product = await peer.prepare(a, b)
    products.push(product)
    rivals.push({ name: peer.name, run: () => product.run() })
    const own = product.resident
    if (own) rivals.push({ name: `${peer.name} resident`, run: () => own() })
  }
  // Every product from array to array makes an output, and collecting large ones falls on some products and not on others:
  // samples are as long as many of them.
  const shortestMs = square || m * n >= 2 ** 18 ? 60 : 5
  const pairs = square ? 2 * rounds : rounds
  const both = await interleave(rivals, { rounds: pairs, seed: context.seed, shortestMs, leadIn: true })
  for (const rival of rivals.slice(2)) {
    const mine = rival.name.endsWith(' resident') ? 'ours resident' : 'ours'
    const timed = rival.name.startsWith('tfjs-wasm') ? both.processor : both
    const ratio = timed.ratio(rival.name, mine)
    context.emit({
      case: name,
      metric: mine === 'ours' ? 'product, array to array' : 'product, resident',
      value: speed(timed, mine, shape),
      unit: 'GFLOP/s',
      baseline: { case: rival.name, value: speed(timed, rival.name, shape) },
      ratio: ratio.value,
      ...bounds(ratio),
      ...(rival.name.startsWith('tfjs-wasm') ? { target: tfjsTarget(engine, square) } : {}),
    })
  }
  for (const product of products) product.release()
  inside.release()
  weights.release()
}

function tfjsTarget(engine: WasmEngine, square: boolean): string {
  if (engine.runtime.relaxed) return 'low >= 1.6'
  return square ? 'low >= 1.2' : 'low >= 1.0'
}

/** A and C in the engine's memory. */
function resident(engine: WasmEngine, { m, n, k }: Shape, a: Tensor): { a: Tensor; out: Tensor; release(): void } {
  const { runtime } = engine
  // The first product grows what the engine keeps: memory must not move once the views are made.
  const bytes = 4 * (m * k + m * n)
  runtime.free(runtime.alloc(bytes + (64 << 20)))
  const at = runtime.alloc(bytes)
  const view = (offset: number, shape: readonly number[], length: number): Tensor => ({
    data: new Float32Array(runtime.memory.buffer, at + 4 * offset, length),
    shape,
    dtype: 'float32',
  })
  const inside = view(0, [m, k], m * k)
  inside.data.set(a.data)
  return { a: inside, out: view(m * k, [m, n], m * n), release: () => runtime.free(at) }
}
