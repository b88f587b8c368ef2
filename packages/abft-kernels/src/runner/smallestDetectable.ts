// What a scheme can see of a layer before the layer has data: its thresholds for standard normal operands.
import type { LinearLayer, ProtectionScheme } from '@ft/core'
import { normalQuantile } from '@ft/core/statistics'
import { columnRanges, rowBlocks, type ColumnRanges } from '@ft/tensor-core'
import type { Calibration } from '../calibrate.ts'
import { byReplica } from '../protectedConv2d.ts'
import { LEAST, MEAN_MAGNITUDE, MEAN_SQUARE } from '../randomWeights/vectors.ts'
import { CHAIN, rangesOf, roundingOf, tileOf } from '../rounding.ts'
import { thresholdsOf, type Thresholds, type TileGrid } from '../thresholds/thresholdsOf.ts'
import { columnFactors } from '../screen.ts'
import { policyOf, type ThresholdKind } from '../thresholds/policy.ts'
import type { WeightNorms } from '../weights.ts'

export interface SensitivityContext {
  readonly build: string
  readonly calibration: Calibration | undefined
  readonly falseAlarmProbability: number
  /** Whether checksums weigh their terms with random numbers. */
  readonly random: boolean
}

/**
 * Smallest error of one output that is surely found, as a share of the outputs' root mean square: twice the largest
 * threshold that operands of independent standard normal numbers have.
 *
 * Every threshold is homogeneous in both operands, so the share holds for centred data of any scale.
 */
export function smallestDetectable(
  layer: LinearLayer,
  scheme: ProtectionScheme,
  { build, calibration, falseAlarmProbability, random }: SensitivityContext,
): number {
  if (scheme === 'none') return Infinity
  // Integers are checked exactly: an error of 1, beside outputs of k products of uniform bytes (variance (256^2 - 1) / 12).
  if (layer.dtype === 'int8' || layer.dtype === 'uint8') return 1 / (Math.sqrt(layer.k) * (65_535 / 12))
  const groups = layer.op.kind === 'conv2d' ? layer.op.groups : 1
  // Depthwise on wasm: the replica is exact, whatever the float64 sum of an output line holds of a change is seen.
  if (!random && byReplica.has(scheme) && isDepthwise(layer) && layer.k <= OWN_PASS_TAPS && build.startsWith('wasm/'))
    return layer.m * 2 ** -52
  const { m, k } = layer
  const n = layer.n / groups
  const [tileRows, tileColumns] = tileOf(build)
  // So is that of any product of few columns, a group's own.
  if (scheme === 'replication' && n <= NARROW && build.startsWith('wasm/')) return Math.min(m, tileRows) * n * 2 ** -52
  // Columns of as few are judged block by block, by what C and the rows' sum tell: rows k and sum_k (s_k b_k)^2 = rows k in the mean.
  if (
    scheme === 'column' &&
    !random &&
    n <= NARROW &&
    groups === 1 &&
    layer.op.kind === 'matmul' &&
    build.startsWith('wasm/')
  ) {
    const { blocks, rows } = rowBlocks(m, tileRows)
    const rounding = roundingOf(build, 'float32')
    const { policy, unit } = policyOf({ rounding, calibration, k, checks: blocks * n, falseAlarmProbability })
    const [outputs = 0, summed = 0] = columnFactors(rounding, unit, policy.kappa)
    const own = Math.min(m, rows)
    if (policy.kind !== 'hard') return 2 * Math.sqrt(own * (outputs + own * summed))
  }
  const grid = [Math.ceil(m / tileRows), Math.ceil(n / tileColumns)] as const
  const tiles = {
    tileRows,
    tileColumns,
    grid,
    actual: new Float64Array(grid[0] * grid[1]),
    expected: new Float64Array(),
  }
  const split = random ? columnRanges(n) : rangesOf(build, n)
  const sums = new Float64Array(split.ranges * m)
  const largest = -normalQuantile(1 / (m * k + 1))
  const row = (value: number) => new Float64Array(m).fill(value)
  const thresholds = thresholdsOf({
    product: {
      output: { data: new Float32Array(), shape: [0], dtype: 'float32' },
      rowStatistics: {
        sum: row(0),
        min: row(-largest),
        max: row(largest),
        squares: row(k),
      },
      ...((scheme === 'row' || scheme === 'row-column') && { rowSums: { ...split, actual: sums, expected: sums } }),
      ...(scheme.startsWith('thread') && { tileSums: tiles }),
      ...(scheme === 'replication' && { replica: tiles }),
    },
    scheme,
    items: 1,
    m,
    n,
    k,
    norms: [normalNorms(k, n, split)],
    rounding: roundingOf(build, 'float32'),
    calibration,
    falseAlarmProbability: falseAlarmProbability / groups,
    rowSquares: ({ ranges, rangeColumns }) => new Float64Array(ranges * m).fill(Math.min(n, rangeColumns) * k),
  })
  const ones = (2 * largestThreshold(scheme, thresholds, tiles)) / Math.sqrt(k)
  return random ? ones * weighting(thresholds.policy.kind) ** weighedSides(scheme, n) : ones
}

/** What weights do to a threshold in the mean, beside what is sure to be left of an error. */
function weighting(kind: ThresholdKind): number {
  return (kind === 'hard' ? MEAN_MAGNITUDE : Math.sqrt(MEAN_SQUARE)) / LEAST
}

/** Rows, columns or both. The weight of one column is 1. */
function weighedSides(scheme: ProtectionScheme, n: number): number {
  const columns = n > 1 ? 1 : 0
  if (scheme === 'row') return columns
  return scheme === 'global' ? 1 + columns : 1
}

function largestThreshold(scheme: ProtectionScheme, thresholds: Thresholds, tiles: TileGrid): number {
  // The first range, and the first tile, has as many columns as any.
  const first = (limits: Float64Array) => limits[0] as number
  switch (scheme) {
    case 'none':
      return Infinity
    case 'global':
      return first(thresholds.totals())
    case 'row':
      return first(thresholds.rows())
    case 'column':
      return first(thresholds.columns())
    case 'row-column':
      return Math.max(first(thresholds.rows()), first(thresholds.columns()))
    case 'thread-one-sided':
    case 'thread-two-sided':
    case 'replication':
      return first(thresholds.tiles(tiles))
  }
}

/** Expected norms of a `[k, n]` matrix of standard normal numbers: E|x| is sqrt(2 / pi). */
function normalNorms(k: number, n: number, { ranges, rangeColumns }: ColumnRanges): WeightNorms {
  const mean = Math.sqrt(2 / Math.PI)
  const width = Math.min(n, rangeColumns)
  const rows = {
    absoluteSquares: k * ((width * mean) ** 2 + width * (1 - mean ** 2)),
    sumSquares: k * width,
    // The mean length of partial sums.
    chainSquares: (k * width * (CHAIN + 1)) / 2,
  }
  const column = (value: number) => new Float64Array(n).fill(value)
  return {
    squares: k * n,
    columnSumSquares: k * n,
    absolute: mean * k * n,
    largestRow: mean * n,
    columnSquares: column(k),
    columnSums: column(Math.sqrt(k)),
    columnAbsolute: column(mean * k),
    rows: { rangeColumns, ranges: Array.from({ length: ranges }, () => rows) },
  }
}

/** Columns up to which the engine's replica of a matrix product is exact. */
const NARROW = 4

/** Taps up to which the engine computes such a convolution in a pass of its own. */
const OWN_PASS_TAPS = 256

function isDepthwise({ op }: LinearLayer): boolean {
  return op.kind === 'conv2d' && op.groups > 1 && op.filter[2] === 1 && op.filter[3] === op.groups
}
