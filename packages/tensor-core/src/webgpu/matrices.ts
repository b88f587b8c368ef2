// Subgroup matrices ("tensor cores"): what the adapter multiplies as one instruction, and tiles made of such blocks.
/// <reference types="@webgpu/types" />
import type { Tile } from './tile.ts'

/** Blocks that the invocations of one subgroup multiply together: float16 factors, float32 sums. */
export interface MatrixShape {
  readonly m: number
  readonly n: number
  readonly k: number
  /** Most invocations of a subgroup. */
  readonly lanes: number
  /** Whether subgroups may have fewer: a workgroup then has more of them than it needs. */
  readonly varying: boolean
}

/** Features of the device that a kernel with subgroup matrices needs. */
export const matrixFeatures = ['shader-f16', 'subgroups', 'chromium-experimental-subgroup-matrix'] as const

/** As the adapter tells them; not yet in the type definitions of WebGPU. */
interface MatrixConfig {
  readonly componentType: string
  readonly resultComponentType: string
  readonly M: number
  readonly N: number
  readonly K: number
}

/** The largest blocks of float16 factors and float32 sums that the adapter has; undefined where it has none. */
export function findMatrices({ features, info }: GPUAdapter): MatrixShape | undefined {
  if (!matrixFeatures.every((feature) => features.has(feature))) return undefined
  const { subgroupMatrixConfigs, subgroupMinSize, subgroupMaxSize } = info as GPUAdapterInfo & {
    readonly subgroupMatrixConfigs?: readonly MatrixConfig[]
  }
  const lanes = subgroupMaxSize ?? 0
  const usable = [...(subgroupMatrixConfigs ?? [])].filter(
    ({ componentType, resultComponentType, M, N, K }) =>
      componentType === 'f16' &&
      resultComponentType === 'f32' &&
      [M, N, K].every((size) => size >= 8 && 32 % size === 0),
  )
  const volume = ({ M, N, K }: MatrixConfig): number => M * N * K
  const best = usable.sort((a, b) => volume(b) - volume(a))[0]
  if (best === undefined || lanes < 4 || lanes > 64) return undefined
  return { m: best.M, n: best.N, k: best.K, lanes, varying: subgroupMinSize !== subgroupMaxSize }
}

export const matrixName = ({ m, n, k }: MatrixShape): string => `${m}x${n}x${k}`

/** The tile of products of few rows: one block down. */
export const thinMatrixTile = ({ m, n }: MatrixShape): Tile => ({
  ...{ rows: m, columns: 2 * n },
  ...{ across: 4, down: 1, depth: 32 },
})

/** Most blocks of a subgroup: each is numbers in its invocations' registers, and code to compile. */
export const MOST_BLOCKS = 16

/**
 * The tile of large products until one is measured: the larger where workgroups may have as much memory; a small one on
 * processors, which compile every block of it for seconds.
 */
export function largeMatrixTile({ m, n, k }: MatrixShape, o: { storage: number; software: boolean }): Tile {
  if (o.software) return { rows: 2 * m, columns: 2 * n, across: 2, down: 2, depth: Math.max(16, k) }
  const fits = o.storage >= 32_768 && (64 / m) * (32 / n) <= MOST_BLOCKS
  return fits
    ? { rows: 64, columns: 32, across: 2, down: 2, depth: 32 }
    : { rows: 32, columns: 32, across: 2, down: 2, depth: Math.max(16, k) }
}

/** Tiles that `tuneWebgpu` tries. */
export const matrixTiles: readonly Tile[] = [
  { rows: 32, columns: 32, across: 2, down: 2, depth: 16 },
  { rows: 32, columns: 32, across: 2, down: 2, depth: 32 },
  { rows: 32, columns: 64, across: 2, down: 2, depth: 16 },
  { rows: 64, columns: 32, across: 2, down: 2, depth: 32 },
  { rows: 64, columns: 64, across: 2, down: 2, depth: 32 },
]
