// Tiles that were measured for large products, by adapter and by how operands are kept: those of this process, and those
// that a caller saved from another. Nothing here touches a disk: the caller keeps the plain object where it likes.
import { invalidArgument } from '@ft/core'
import { measuredTiles, type GpuDevice } from './device.ts'
import { matrixName, type MatrixShape } from './matrices.ts'
import { assertMatrixTile, assertTile, type Tile } from './tile.ts'

/** Measured tiles by name of adapter and storage, as `tunedTiles` gives them: plain JSON. */
export type TunedTiles = Readonly<Record<string, Tile>>

/** What a tile was measured for. Integers have the tile of float32. */
export interface TileUse {
  readonly storage: 'float32' | 'float16'
  /** Blocks of subgroup matrices: a driver that has others is as good as another adapter. */
  readonly matrices?: MatrixShape | undefined
}

export const tunedName = (adapter: string, { storage, matrices }: TileUse): string =>
  `${adapter}, ${storage}${matrices === undefined ? '' : ` ${matrixName(matrices)}`}`

/**
 * What `tuneWebgpu` chose in this process so far, to be saved and given to engines of another process as `tuned`.
 *
 * @example
 * ```ts no-run
 * await tuneWebgpu()
 * const saved = JSON.stringify(tunedTiles())
 * // Another day, in another process:
 * const engine = await createWebgpuEngine({ tuned: JSON.parse(saved) })
 * ```
 */
export function tunedTiles(): TunedTiles {
  return Object.fromEntries([...measuredTiles()].map(([name, tile]) => [name, { ...tile }]))
}

/**
 * The saved tile of a use on this device; undefined where nothing was saved for it. Entries of other adapters are not read.
 *
 * @throws `INVALID_ARGUMENT` for a tile that the device cannot have, and for anything but an object
 */
export function savedTile(
  saved: TunedTiles | undefined,
  { gpu, use, where }: { gpu: GpuDevice; use: TileUse; where: string },
): Tile | undefined {
  if (saved === undefined) return undefined
  const argument = 'options.tuned'
  if (typeof saved !== 'object' || saved === null) throw invalidArgument({ where, argument }, 'an object', saved)
  const name = tunedName(gpu.name, use)
  if (!Object.hasOwn(saved, name)) return undefined
  const tile = saved[name] as Tile
  const at = { where, argument: `${argument}['${name}']` }
  const storage = gpu.device.limits.maxComputeWorkgroupStorageSize
  if (use.matrices === undefined) assertTile(tile, at)
  else assertMatrixTile(tile, { ...at, matrices: use.matrices, storage })
  return { ...tile }
}
