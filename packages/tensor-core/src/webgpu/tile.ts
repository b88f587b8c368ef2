// Sizes of tiles: what an invocation keeps in registers, what a workgroup stages, and which product gets which.
import { assertInteger, invalidArgument, type Argument } from '@ft/core'
import { MOST_BLOCKS, matrixName, thinMatrixTile, type MatrixShape } from './matrices.ts'

export interface Tile {
  /** Rows and columns of C in one invocation's registers, or a subgroup's: the tiles of `tileSums` and `replica`. */
  readonly rows: number
  readonly columns: number
  /** Invocations, or subgroups, across and down a workgroup. */
  readonly across: number
  readonly down: number
  /** Steps of k staged at a time. */
  readonly depth: number
}

/** A tile as a kernel has it: of invocations, or of subgroups that multiply blocks of this shape. */
export interface KernelTile extends Tile {
  readonly matrices?: MatrixShape | undefined
}

/** For one to four rows, where reading B is what takes the time; for up to 16; for medium; for large products. */
export const tiles = {
  row: { rows: 1, columns: 4, across: 32, down: 4, depth: 16 },
  thin: { rows: 4, columns: 4, across: 32, down: 4, depth: 16 },
  medium: { rows: 4, columns: 4, across: 16, down: 16, depth: 16 },
  large: { rows: 8, columns: 8, across: 16, down: 16, depth: 8 },
} as const satisfies Record<string, Tile>

export const tileName = ({ rows, columns, across, down, depth, matrices }: KernelTile): string =>
  `${rows}x${columns}.${across}x${down}.${depth}${matrices === undefined ? '' : `.${matrixName(matrices)}`}`

/** Rows of C that a workgroup computes. */
export const groupRows = (tile: Tile): number => tile.rows * tile.down
/** Columns of C that a workgroup computes. */
export const groupColumns = (tile: Tile): number => tile.columns * tile.across
export const invocations = ({ across, down, matrices }: KernelTile): number => across * down * (matrices?.lanes ?? 1)

/** float16 numbers from one staged row of A, or step of B, to the next: rows start in other banks, at whole 16 bytes. */
export const stagedLine = (length: number): number => length + 8

/** Bytes of workgroup memory: staged A (a vector of padding a step), staged B, folds, and the lanes of reductions. */
export function workgroupBytes(tile: KernelTile): number {
  const { rows, columns, across, down, depth, matrices } = tile
  if (matrices !== undefined) {
    const [subgroups, sums] = [across * down, 8]
    const halves = groupRows(tile) * stagedLine(depth) + depth * stagedLine(groupColumns(tile))
    const folds = 4 * depth * (across + down)
    const totals = sums * subgroups * (rows + columns + Math.max(rows, depth))
    return 2 * halves + 4 * subgroups * matrices.m * matrices.n + folds + totals
  }
  const staged = tile.depth * (groupRows(tile) + 4 + groupColumns(tile) + 4)
  return 4 * (staged + tile.depth * tile.across) + 8 * invocations(tile)
}

/**
 * The tile of a product. Not of what it emits: sums come from the same kernel as the plain product.
 *
 * @param square - the tile that large products have on this adapter
 */
export function chooseTile(sizes: { m: number; n: number }, square: KernelTile): KernelTile {
  const { matrices } = square
  // Few rows go through the same blocks: an element's bits are those of any other product of its row and column.
  if (matrices !== undefined && sizes.m <= matrices.m) return { ...thinMatrixTile(matrices), matrices }
  if (matrices !== undefined) return square
  if (sizes.m <= groupRows(tiles.row)) return tiles.row
  if (sizes.m <= groupRows(tiles.thin)) return tiles.thin
  return Math.min(sizes.m, sizes.n) < groupRows(tiles.large) ? tiles.medium : square
}

const power = (value: number): boolean => (value & (value - 1)) === 0

/** Bytes of workgroup memory that every adapter grants. */
const COMMON_STORAGE = 16_384

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
    workgroupBytes(tile) <= COMMON_STORAGE
  if (!fits)
    throw invalidArgument(
      at,
      'columns in fours, powers of two across, down and depth, across >= rows, down >= columns, at most 256 ' +
        'invocations and 16 KiB staged',
      tile,
    )
}

/**
 * @param storage - bytes of memory that the device grants a workgroup
 * @throws `INVALID_ARGUMENT` for a tile that subgroups cannot have
 */
export function assertMatrixTile(
  tile: Tile,
  { matrices, storage, ...at }: Argument & { matrices: MatrixShape; storage: number },
): void {
  if (typeof tile !== 'object' || tile === null) throw invalidArgument(at, 'a tile', tile)
  for (const name of ['rows', 'columns', 'across', 'down', 'depth'] as const)
    assertInteger(tile[name], { ...at, argument: `${at.argument}.${name}`, min: 1, max: 256 })
  const { m, n, k } = matrices
  const kernel = { ...tile, matrices }
  const fits =
    tile.rows % m === 0 &&
    tile.columns % n === 0 &&
    tile.depth % k === 0 &&
    (tile.rows / m) * (tile.columns / n) <= MOST_BLOCKS &&
    invocations(kernel) <= 256 &&
    workgroupBytes(kernel) <= storage
  if (!fits)
    throw invalidArgument(
      at,
      `rows, columns and depth in multiples of ${matrixName(matrices)}, at most ${MOST_BLOCKS} blocks a subgroup, 256 invocations ` +
        `and ${storage} bytes of workgroup memory`,
      tile,
    )
}
