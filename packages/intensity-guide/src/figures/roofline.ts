// The roofline with the network's layers under it, coloured by the scheme that each got.
import type { DType, ProtectionPlan } from '@ft/core'
import { median } from '@ft/core/statistics'
import type { ChartSpec, Point, Series } from '@ft/report/charts'
import { analyseLayer } from '../analyse.ts'
import { predict } from '../cost.ts'
import { peakOf, ridge, type Device } from '../devices.ts'
import { samplesOf, shapeFinder } from '../profile/overheads.ts'
import type { Profile } from '../profile/profile.ts'
import { inOrder, lookOf } from './schemes.ts'

export interface RooflineOptions {
  readonly device: Device
  readonly dtype?: DType
  /** Puts layers where they were measured; without it they are where the cost model puts them. */
  readonly profile?: Profile
}

/** Work a second against intensity, both logarithmic: the device's roof, its ridge, and a point a layer. */
export function rooflineChart(plan: ProtectionPlan, options: RooflineOptions): ChartSpec {
  const { device, dtype = device.dtype, profile } = options
  const layers = plan.layers.map(({ layer }) => layer)
  const find = profile && shapeFinder(profile, { layers })
  const counted = device.counting === 'exact' ? 'unpadded' : 'padded'
  const points = plan.layers.map(({ layer, scheme, intensity }) => {
    const { flops } = analyseLayer(layer, { dtype })[counted]
    const seconds = find
      ? (layer.count * median(samplesOf(find(layer), { arm: 'none' }))) / 1000
      : predict(layer, 'none', { device, dtype }).base
    return { scheme, point: { x: intensity, y: flops / seconds / 1e9 } }
  })
  const xs = points.map(({ point }) => point.x)
  const bend = ridge(device, dtype)
  const [low, high] = [Math.min(...xs, bend) / 1.5, Math.max(...xs, bend) * 1.5]
  const peak = peakOf(device, dtype) / 1e9
  const roof: Point[] = [
    { x: low, y: (low * device.bandwidth) / 1e9 },
    { x: bend, y: peak },
    { x: high, y: peak },
  ]
  const series: Series[] = inOrder(plan.layers.map(({ scheme }) => scheme)).map((scheme) => ({
    kind: 'points',
    name: scheme === 'none' ? 'unprotected' : scheme,
    look: lookOf(scheme),
    points: points.filter((item) => item.scheme === scheme).map(({ point }) => point),
  }))
  return {
    title: `Roofline of ${plan.model.name}`,
    subtitle: `${device.name}, ${dtype}; ${profile ? 'unprotected layers as measured' : 'unprotected layers by the cost model'}`,
    x: { label: 'arithmetic intensity', unit: 'FLOP/B', scale: 'log' },
    y: { label: 'work a second', unit: 'GFLOP/s', scale: 'log' },
    series: [{ kind: 'line', name: 'what the device allows', look: 6, points: roof }, ...series],
    marks: [{ axis: 'x', value: bend, label: `ridge ${formatShort(bend)}` }],
  }
}

function formatShort(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3)
}
