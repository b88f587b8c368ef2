// How small an error each scheme can see, from rounding alone (abft-kernels measures it for real engines).
import type { DType, LinearLayer, ProtectionScheme } from '@ft/core'
import { unitRoundoff } from '@ft/core/formats'

/** Standard deviations of rounding noise that a threshold allows: false alarms below 2e-9 a check. */
const KAPPA = 6
/** Outputs that one thread-level check covers on a tensor core with 64 x 64 warp tiles. */
const TILE_OUTPUTS = 64

/**
 * Smallest error of one output that a scheme surely finds, as a share of the outputs' root mean square, when checks
 * run on stored outputs.
 *
 * Derivation: each stored output carries a rounding error of variance (u c)^2 / 3, so a sum over s outputs has noise
 * u rms sqrt(s / 3); the threshold is kappa times that, and an error must exceed the threshold by as much again to be
 * seen against the worst noise: 2 kappa u sqrt(s / 3).
 */
export function smallestDetectable(layer: LinearLayer, scheme: ProtectionScheme, dtype: DType = layer.dtype): number {
  const share = (outputs: number) => 2 * KAPPA * unitRoundoff(dtype) * Math.sqrt(outputs / 3)
  switch (scheme) {
    case 'none':
      return Infinity
    case 'global':
      return share(layer.m * layer.n)
    case 'row':
      return share(layer.n)
    case 'column':
      return share(layer.m)
    case 'row-column':
      return share(Math.min(layer.m, layer.n))
    case 'thread-one-sided':
    case 'thread-two-sided':
    case 'replication':
      return share(Math.min(TILE_OUTPUTS, layer.m * layer.n))
  }
}
