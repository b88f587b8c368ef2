// Shapes of the bench "gemm", their operands, and what its parts share.
import type { Tensor } from '@ft/core'
import type { Random } from '@ft/core/random'
import type { WasmEngine } from '@ft/tensor-core/wasm'
import type { BenchContext } from './bench.ts'
import type { Clocked } from './support/interleave.ts'

export interface Setting {
  readonly context: BenchContext
  /** One thread. */
  readonly engine: WasmEngine
  readonly random: Random
  readonly rounds: number
}

export interface Shape {
  readonly name: string
  readonly m: number
  readonly n: number
  readonly k: number
}

const square = (size: number): Shape => ({ name: `${size} cubed`, m: size, n: size, k: size })
const resnet = (m: number, n: number, k: number): Shape => ({ name: `ResNet-50 ${m}x${n}x${k}`, m, n, k })
const dlrm = (m: number, n: number, k: number): Shape => ({ name: `DLRM ${m}x${n}x${k}`, m, n, k })

export const squares: readonly Shape[] = [square(256), square(512), square(1024)]

/** The distinct products of ResNet-50 at 224 pixels, and those of DLRM's networks with at least a million operations. */
export const layers: readonly Shape[] = [
  resnet(12544, 64, 147),
  resnet(3136, 64, 64),
  resnet(3136, 64, 576),
  resnet(3136, 256, 64),
  resnet(3136, 64, 256),
  resnet(3136, 128, 256),
  resnet(784, 128, 1152),
  resnet(784, 512, 128),
  resnet(784, 512, 256),
  resnet(784, 128, 512),
  resnet(784, 256, 512),
  resnet(196, 256, 2304),
  resnet(196, 1024, 256),
  resnet(196, 1024, 512),
  resnet(196, 256, 1024),
  resnet(196, 512, 1024),
  resnet(49, 512, 4608),
  resnet(49, 2048, 512),
  resnet(49, 2048, 1024),
  resnet(49, 512, 2048),
  resnet(1, 1000, 2048),
  dlrm(256, 512, 13),
  dlrm(256, 256, 512),
  dlrm(256, 64, 256),
  dlrm(256, 512, 512),
  dlrm(2048, 512, 13),
  dlrm(2048, 256, 512),
  dlrm(2048, 64, 256),
  dlrm(2048, 512, 512),
  dlrm(2048, 1, 256),
]

/** Every fifth layer, which has some of each network. */
export const quickLayers: readonly Shape[] = layers.filter((_, i) => i % 5 === 0)

export function floats(random: Random, shape: readonly number[]): Tensor {
  const data = random.fillNormal(new Float32Array(shape.reduce((all, size) => all * size, 1)))
  return { data, shape, dtype: 'float32' }
}

export function integers(random: Random, shape: readonly number[]): Tensor {
  const length = shape.reduce((all, size) => all * size, 1)
  return { data: Int8Array.from({ length }, () => random.integer(-128, 127)), shape, dtype: 'int8' }
}

/** Speed in GFLOP/s. */
export function speed(timed: Clocked, rival: string, { m, n, k }: Shape): number {
  return (2 * m * n * k) / timed.medianOf(rival) / 1e6
}
