// What each scheme adds to a product, as formulas: multiply-adds, adds and bytes (SC'21, section 4; the reference engine's
// counters prove them).
import { assertInteger, type LinearLayer, type ProtectionScheme } from '@ft/core'
import { columnRanges } from '@ft/tensor-core'
import { assertTakesRandomWeights, type ChecksumWeights } from './randomWeights/checksums.ts'

export interface OperationCost {
  readonly multiplyAdds: number
  readonly adds: number
  /** Read and written besides what the product itself reads and writes; sums are float64. */
  readonly bytes: number
}

export interface SchemeCost extends OperationCost {
  /** What data-dependent thresholds take besides: sum, minimum, maximum and sum of squares of each row of A, while it is packed. */
  readonly statistics: OperationCost
}

export interface CostOptions {
  /** Rows and columns of the engine's register tile. */
  readonly tile: readonly [rows: number, columns: number]
  /** Ranges of columns that the engine sums rows by. Default as `reference` and `wasm` split float products. */
  readonly ranges?: number
  /** Whether `global` has its input's checksum from the previous layer and makes the next one's. Default true. */
  readonly chained?: boolean
  /** Default 'ones'. 'random' for schemes that take them; there `chained` changes nothing. */
  readonly checksumWeights?: ChecksumWeights
}

/**
 * Extra work of a scheme on one call of a layer, all its groups or batch items together.
 *
 * Per product C[m,n] = A[m,k] B[k,n], with tiles of r x c, R = ceil(m / r) and S = ceil(n / c) of them, and row sums by Q ranges of
 * columns (1 up to n = 512):
 *
 * | scheme | multiply-adds | adds |
 * | --- | --- | --- |
 * | global, chained | k | 2 m n |
 * | global, unchained | k | m n + m k |
 * | row | m k Q | m n |
 * | column | k n | m n + m k |
 * | row-column | m k Q + k n | 2 m n + m k |
 * | thread-one-sided | m k S | m n + k R (n - S) |
 * | thread-two-sided | k R S | m n + k R (n - S) + k S (m - R) |
 * | replication | m n k | m n |
 *
 * With random checksum weights every sum is a pass of multiply-adds over A, B or the stored C, and nothing is added besides:
 *
 * | scheme | multiply-adds |
 * | --- | --- |
 * | global | m n + m k + m + k, and k Q where Q is not 1 |
 * | row | m n + m k Q |
 * | column | m n + m k + k n |
 * | row-column | 2 m n + m k (Q + 1) + k n |
 *
 * Folds of B are counted for every tile, as a kernel without packing makes them; an engine that packs B makes them once.
 *
 * @throws FtError `UNSUPPORTED` for random weights of a scheme that sums register tiles
 */
export function schemeCost(layer: LinearLayer, scheme: ProtectionScheme, options: CostOptions): SchemeCost {
  const [rows, columns] = options.tile
  for (const size of options.tile) assertInteger(size, { where: 'schemeCost', argument: 'options.tile', min: 1 })
  const items = layer.op.kind === 'matmul' ? layer.op.batch : layer.op.groups
  const { m, k } = layer
  const n = layer.op.kind === 'matmul' ? layer.n : layer.n / items
  const grid = { down: Math.ceil(m / rows), across: Math.ceil(n / columns) }
  const ranges = options.ranges ?? columnRanges(n, layer.dtype === 'int8' || layer.dtype === 'uint8').ranges
  const sizes = { m, n, k, ...grid, ranges, chained: options.chained ?? true }
  const random = options.checksumWeights === 'random' && scheme !== 'none'
  if (random) assertTakesRandomWeights(scheme, 'schemeCost')
  const one = random ? withRandomWeights(scheme, sizes) : perProduct(scheme, sizes)
  const checked = scheme !== 'none'
  return {
    ...scaled(one, items),
    statistics: scaled(checked ? { multiplyAdds: m * k, adds: 3 * m * k, bytes: 32 * m } : nothing, items),
  }
}

interface Sizes {
  readonly m: number
  readonly n: number
  readonly k: number
  readonly down: number
  readonly across: number
  readonly ranges: number
  readonly chained: boolean
}

function perProduct(scheme: ProtectionScheme, { m, n, k, down, across, ranges, chained }: Sizes): OperationCost {
  const tiles = down * across
  const foldB = k * down * (n - across)
  switch (scheme) {
    case 'none':
      return { multiplyAdds: 0, adds: 0, bytes: 0 }
    case 'global':
      // One total and one dot product; e^T A comes from the layer before, whose epilogue adds up its m n outputs.
      return chained
        ? { multiplyAdds: k, adds: 2 * m * n, bytes: 8 + 16 * k + 8 * n }
        : { multiplyAdds: k, adds: m * n + m * k, bytes: 8 + 16 * k + 4 * m * k }
    case 'row':
      return { multiplyAdds: ranges * m * k, adds: m * n, bytes: ranges * 8 * (k + 2 * m) }
    case 'column':
      // e^T A is complete only when the product is: B is read once more.
      return { multiplyAdds: k * n, adds: m * n + m * k, bytes: 8 * (k + 2 * n) + 4 * k * n }
    case 'row-column':
      return {
        multiplyAdds: ranges * m * k + k * n,
        adds: 2 * m * n + m * k,
        bytes: ranges * 8 * (k + 2 * m) + 8 * (k + 2 * n) + 4 * k * n,
      }
    case 'thread-one-sided':
      return { multiplyAdds: m * k * across, adds: m * n + foldB, bytes: 16 * tiles }
    case 'thread-two-sided':
      return { multiplyAdds: k * tiles, adds: m * n + foldB + k * across * (m - down), bytes: 16 * tiles }
    case 'replication':
      return { multiplyAdds: m * n * k, adds: m * n, bytes: 16 * tiles }
  }
}

/** Passes over matrices of 4-byte elements with vectors and sums of 8-byte ones. */
function withRandomWeights(scheme: ProtectionScheme, { m, n, k, ranges }: Sizes): OperationCost {
  const rows = { multiplyAdds: m * n + ranges * m * k, bytes: 4 * (m * n + m * k) + 8 * (n + ranges * (k + 2 * m)) }
  const columns = { multiplyAdds: m * n + m * k + k * n, bytes: 4 * (m * n + m * k + k * n) + 8 * (m + k + 2 * n) }
  switch (scheme) {
    case 'row':
      return { ...rows, adds: 0 }
    case 'column':
      return { ...columns, adds: 0 }
    case 'row-column':
      return { multiplyAdds: rows.multiplyAdds + columns.multiplyAdds, adds: 0, bytes: rows.bytes + columns.bytes }
    default:
      return {
        multiplyAdds: m * n + m * k + m + k + (ranges > 1 ? ranges * k : 0),
        adds: 0,
        bytes: 4 * (m * n + m * k) + 8 * (n + m + k + ranges * k + 2),
      }
  }
}

const nothing: OperationCost = { multiplyAdds: 0, adds: 0, bytes: 0 }

function scaled({ multiplyAdds, adds, bytes }: OperationCost, items: number): OperationCost {
  return { multiplyAdds: items * multiplyAdds, adds: items * adds, bytes: items * bytes }
}
