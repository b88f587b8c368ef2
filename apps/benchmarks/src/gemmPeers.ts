// Peers of the bench "gemm": each multiplies constant weights with an array that lies in JavaScript's memory, and gives an
// array back. A peer that is not installed is a line that says so.
import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import type { Tensor } from '@ft/core'
import { graphBuilder, serializeModel } from '@ft/onnx'
import type { BenchContext } from './bench.ts'

export interface PeerProduct {
  /** From array to array. */
  run(): void | Promise<void>
  /** Between operands and an output that stay where the peer keeps them; undefined when it has no such thing. */
  readonly resident?: () => void
  release(): void
}

export interface Peer {
  readonly name: string
  prepare(a: Tensor, b: Tensor): Promise<PeerProduct>
}

type Load = (context: BenchContext) => Promise<Peer>

const loaders: readonly (readonly [name: string, load: Load])[] = [
  ['tfjs-wasm', tensorFlow],
  ['onnxruntime-node', onnxRuntime],
  ['gpu.js', gpuJs],
]

export async function loadPeers(context: BenchContext): Promise<Peer[]> {
  const peers: Peer[] = []
  for (const [name, load] of loaders) {
    try {
      peers.push(await load(context))
    } catch (error) {
      context.note(`peer ${name} is not there, so no comparison with it: ${String(error).split('\n')[0]}`)
    }
  }
  return peers
}

async function tensorFlow(context: BenchContext): Promise<Peer> {
  const tf = await import('@tensorflow/tfjs')
  const wasm = await import('@tensorflow/tfjs-backend-wasm')
  wasm.setWasmPaths(`${dirname(createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm'))}/`)
  await tf.setBackend('wasm')
  context.note(`peer tfjs-wasm: TensorFlow.js ${tf.version['tfjs-core']}, SIMD, one thread`)
  const place = ({ data, shape }: Tensor) => tf.tensor2d(data as Float32Array, shape as [number, number])
  return {
    name: 'tfjs-wasm',
    async prepare(a, b) {
      const [x, y] = [place(a), place(b)]
      return {
        run() {
          const input = place(a)
          const product = tf.matMul(input, y)
          product.dataSync()
          tf.dispose([input, product])
        },
        resident: () => tf.matMul(x, y).dispose(),
        release: () => tf.dispose([x, y]),
      }
    },
  }
}

async function onnxRuntime(context: BenchContext): Promise<Peer> {
  const ort = await import('onnxruntime-node')
  context.note('peer onnxruntime-node: native code with AVX, one thread')
  return {
    name: 'onnxruntime-node',
    async prepare(a, b) {
      const builder = graphBuilder({ name: 'product' })
      const x = builder.input('a', 'float32', a.shape)
      const product = builder.node('MatMul', [x, builder.initializer('b', b)], { outputs: ['c'] })
      builder.output(product, 'float32', [a.shape[0], b.shape[1]])
      const session = await ort.InferenceSession.create(serializeModel(builder.build()), {
        intraOpNumThreads: 1,
        interOpNumThreads: 1,
      })
      const input = new ort.Tensor('float32', a.data as Float32Array, a.shape)
      return {
        async run() {
          await session.run({ a: input })
        },
        release: () => void session.release(),
      }
    },
  }
}

/** A kernel of gpu.js' webasm mode: it gives a promise, which gpu.js' own types do not say. */
type GpuJsKernel = (a: readonly Float32Array[], b: readonly Float32Array[]) => unknown

async function gpuJs(context: BenchContext): Promise<Peer> {
  const { GPU } = await import('gpu.js')
  context.note('peer gpu.js: webasm mode, its own number of threads')
  const gpu = new GPU({ mode: 'webasm' })
  const rows = ({ data, shape }: Tensor): Float32Array[] => {
    const [height, width] = shape as [number, number]
    return Array.from({ length: height }, (_, i) => (data as Float32Array).subarray(i * width, (i + 1) * width))
  }
  return {
    name: 'gpu.js',
    async prepare(a, b) {
      const [m, k, n] = [a.shape[0] as number, a.shape[1] as number, b.shape[1] as number]
      const kernel = gpu.createKernel(multiplySource).setConstants({ k }).setOutput([n, m])
      const multiply = kernel as unknown as GpuJsKernel
      const [x, y] = [rows(a), rows(b)]
      return {
        async run() {
          await multiply(x, y)
        },
        release: () => kernel.destroy(),
      }
    },
  }
}

/** Source text: a bundler must not rename what gpu.js parses. */
const multiplySource = `function (a, b) {
  let sum = 0
  for (let i = 0; i < this.constants.k; i++) sum += a[this.thread.y][i] * b[i][this.thread.x]
  return sum
}`
