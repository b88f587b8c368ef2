// Predicted time of a layer under each scheme: a roofline with the scheme's extra work and the costs of starting it.
import type { DType, LinearLayer, ProtectionScheme } from '@ft/core'
import { analyseLayer, type LayerAnalysis } from './analyse.ts'
import { peakOf, type Device, type SchemeCost } from './devices.ts'

/** Register tile of a warp, in fragments of 16 rows and 8 columns: SC'21's 64 x 64 warp tile. */
const TILE = { rows: 64, columns: 64, rowFragments: 4, columnFragments: 8 }

export interface Prediction {
  /** Seconds of one pass over the layer, unprotected. */
  readonly base: number
  /** Seconds that the scheme adds. */
  readonly extra: number
  readonly overhead: number
}

/**
 * Predicts a layer's time: launch + max(arithmetic, memory, chain of k-steps), and what a scheme adds to each term.
 *
 * Extra work by scheme, of a product with m, n, k (SC'21, section 4; abft-kernels proves the counts):
 * one-sided 1/8 of the multiply-adds; two-sided 1/32; replication all of them; global m n adds for its own sum and m n
 * for the next layer's checksum, a reduction, and after the last layer a kernel that compares; row m k multiply-adds and
 * m n adds; column k n and m n. On a device with fitted costs (`measureDevice`) those are used instead.
 *
 * @param options.last - whether no layer follows, so that global's comparing kernel cannot hide. Default false
 */
export function predict(
  layer: LinearLayer,
  scheme: ProtectionScheme,
  { device, dtype = device.dtype, last = false }: { device: Device; dtype?: DType; last?: boolean },
): Prediction {
  const analysed = analyseLayer(layer, { dtype })
  const { flops, bytes } = device.counting === 'exact' ? analysed.traffic : analysed.padded
  const calls = layer.count
  const products = calls * batchOf(layer)
  const { launch, step, epilogue, dot, compare } = device.latency
  const peak = peakOf(device, dtype)
  const chain = layer.k * step * calls

  const seconds = (extraFlops: number, adds: number, extraChain: number): number =>
    Math.max((flops + extraFlops) / peak, bytes / device.bandwidth, adds / device.adds, chain * (1 + extraChain))
  const base = launch * calls + seconds(0, 0, 0)

  const fitted = device.fitted?.[scheme]
  if (fitted) {
    const extra = fittedExtra(layer, fitted)
    return { base, extra, overhead: extra / base }
  }

  const outputs = layer.m * layer.n * products
  // Each group of a convolution has its own row sums of the weights.
  const rowWork = 2 * layer.m * layer.k * products * groupsOf(layer)
  const columnWork = 2 * layer.k * layer.n * products
  const perTile = (folds: number) => (flops / 2) * folds
  const protectedTime = (): number => {
    const start = launch * calls
    switch (scheme) {
      case 'none':
        return base
      case 'thread-one-sided':
        return start + seconds(flops / TILE.columnFragments, perTile(1 / TILE.rows), oneSidedChain) + compare * calls
      case 'thread-two-sided':
        return (
          start +
          seconds(
            flops / (TILE.columnFragments * TILE.rowFragments),
            perTile(1 / TILE.rows + 2 / TILE.columns),
            2 * oneSidedChain,
          ) +
          compare * calls
        )
      case 'replication':
        return start + seconds(flops, 0, 1) + compare * calls
      case 'global':
        return base + epilogue * calls + (2 * outputs) / device.adds + (last ? dot : 0)
      case 'row':
        return base + epilogue * calls + (rowWork + outputs) / device.adds
      case 'column':
        return base + epilogue * calls + (columnWork + outputs) / device.adds
      case 'row-column':
        return base + epilogue * calls + (rowWork + columnWork + 2 * outputs) / device.adds
    }
  }
  const extra = protectedTime() - base
  return { base, extra, overhead: extra / base }
}

/** Quantities that a scheme's extra time grows with, in the order of `SchemeCost`: all calls of the layer. */
export function costFeatures(layer: LinearLayer): readonly [number, number, number, number, number] {
  const { m, n, k, count, op } = layer
  const calls = count * batchOf(layer)
  const inputs = op.kind === 'conv2d' ? op.x.reduce((all, size) => all * size, 1) : m * k
  return [count, m * n * k * calls, m * n * calls, inputs * calls, k * n * calls]
}

function groupsOf({ op }: LinearLayer): number {
  return op.kind === 'conv2d' ? op.groups : 1
}

/** Products with operands of their own in one call. */
function batchOf({ op }: LinearLayer): number {
  return op.kind === 'matmul' ? op.batch : 1
}

function fittedExtra(layer: LinearLayer, cost: SchemeCost): number {
  const [call, multiplyAdd, output, input, weight] = costFeatures(layer)
  return (
    call * cost.call + multiplyAdd * cost.multiplyAdd + output * cost.output + input * cost.input + weight * cost.weight
  )
}

/** FLOPs a byte as the device's counting has it: what is held against its ridge. */
export function countedIntensity({ padded, unpadded }: LayerAnalysis, device: Device): number {
  return (device.counting === 'exact' ? unpadded : padded).intensity
}

/** Share by which the one-sided fold lengthens a k-step that waits for itself: the two sample rows' 1.05-1.06. */
const oneSidedChain = 0.05
