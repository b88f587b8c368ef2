// Sizes of tiles: what an invocation keeps in registers, what a workgroup stages, and which product gets which.
import { assertInteger, invalidArgument, type Argument } from '@ft/core'

export interface Tile {
  /** Rows and columns of C in one invocation's registers: the tiles of `tileSums` and `replica`. */
  readonly rows: number
  readonly columns: number
  /** Invocations across and down a workgroup. */
  readonly across: number
  readonly down: number
  /** Steps of k staged at a time. */
  readonly depth: number
}

/** For one to four rows, where reading B is what takes the time; for up to 16; for medium; for large products. */
export const tiles = {
  row: { rows: 1, columns: 4, across: 32, down: 4, depth: 16 },
  thin: { rows: 4, columns: 4, across: 32, down: 4, depth: 16 },
  medium: { rows: 4, columns: 4, across: 16, down: 16, depth: 16 },
  large: { rows: 8, columns: 8, across: 16, down: 16, depth: 8 },
} as const satisfies Record<string, Tile>

export const tileName = ({ rows, columns, across, down, depth }: Tile): string =>
  `${rows}x${columns}.${across}x${down}.${depth}`

/** Rows of C that a workgroup computes. */
export const groupRows = (tile: Tile): number => tile.rows * tile.down
/** Columns of C that a workgroup computes. */
export const groupColumns = (tile: Tile): number => tile.columns * tile.across
export const invocations = (tile: Tile): number => tile.across * tile.down

/** Bytes of workgroup memory: staged A (a vector of padding a step), staged B, folds, and the lanes of reductions. */
export function workgroupBytes(tile: Tile): number {
  const staged = tile.depth * (groupRows(tile) + 4 + groupColumns(tile) + 4)
  return 4 * (staged + tile.depth * tile.across) + 8 * invocations(tile)
}

/**
 * The tile of a product. Not of what it emits: sums come from the same kernel as the plain product.
 *
 * @param square - the tile that large products have on this adapter
 */
export function chooseTile(sizes: { m: number; n: number }, square: Tile): Tile {
  if (sizes.m <= groupRows(tiles.row)) return tiles.row
  if (sizes.m <= groupRows(tiles.thin)) return tiles.thin
  return Math.min(sizes.m, sizes.n) < groupRows(tiles.large) ? tiles.medium : square
}

const power = (value: number): boolean => (value & (value - 1)) === 0

/** @throws `INVALID_ARGUMENT` for a tile that the kernel cannot have, within the limits that every adapter grants */
export function assertTile(tile: Tile, at: Argument): void {
  if (typeof tile !== 'object' || tile === null) throw invalidArgument(at, 'a tile', tile)
  for (const name of ['rows', 'columns', 'across', 'down', 'depth'] as const)
    assertInteger(tile[name], { ...at, argument: `${at.argument}.${name}`, min: 1, max: 256 })
  const fits =
    tile.columns % 4 === 0 &&
    groupRows(tile) % 4 === 0 &&
    [tile.across, tile.down, tile.depth].every(power) &&
    // Each row's, and each column's, predicted sum has an invocation of its own.
    tile.across >= tile.rows &&
    tile.down >= tile.columns &&
    invocations(tile) <= 256 &&
    workgroupBytes(tile) <= 16_384
  if (!fits)
    throw invalidArgument(
      at,
      'columns in fours, powers of two across, down and depth, across >= rows, down >= columns, at most 256 ' +
        'invocations and 16 KiB staged',
      tile,
    )
}
