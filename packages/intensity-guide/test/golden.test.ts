import { describe, expect, it } from 'vitest'
import type { LinearLayer } from '@ft/core'
import {
  analyseNetwork,
  choosePerLayer,
  findDevice,
  predict,
  zoo,
  type DeviceName,
  type ZooOptions,
} from '../src/index.ts'
import { aggregates, gigaflops, layerRanges, planCounts, t4Samples } from './golden/paper.ts'

const options = (resolution: readonly [number, number] | undefined, batch: number): ZooOptions => ({
  batch,
  ...(resolution ? { resolution } : {}),
})

const square = (size: number): LinearLayer => ({
  id: `square${size}`,
  m: size,
  n: size,
  k: size,
  count: 1,
  dtype: 'float16',
  op: { kind: 'matmul', batch: 1 },
})

describe('aggregate intensity of the paper', () => {
  // The golden figures are rounded to two decimals.
  it.each(aggregates)('$name at $resolution, batch $batch', ({ name, resolution, batch, padded, unpadded, layers }) => {
    const network = analyseNetwork(zoo(name, options(resolution, batch)).layers)
    expect(network.layers).toHaveLength(layers)
    expect(Math.abs(network.padded.intensity - padded)).toBeLessThanOrEqual(0.0051)
    expect(Math.abs(network.unpadded.intensity - unpadded)).toBeLessThanOrEqual(0.0051)
  })

  it.each(layerRanges)('%s at %s, batch %i: layers from %d to %d', (name, resolution, batch, low, high) => {
    const each = analyseNetwork(zoo(name, options(resolution, batch)).layers).layers.map(
      (layer) => layer.padded.intensity,
    )
    expect(Math.abs(Math.min(...each) - low)).toBeLessThanOrEqual(0.0051)
    expect(Math.abs(Math.max(...each) - high)).toBeLessThanOrEqual(0.0051)
  })

  it.each(gigaflops)('%s at %s, batch %i: %d GFLOP', (name, resolution, batch, expected) => {
    const flops = analyseNetwork(zoo(name, options(resolution, batch)).layers).unpadded.flops
    expect(Math.abs(flops / 1e9 - expected)).toBeLessThanOrEqual(0.0051)
  })
})

describe('plans of the paper', () => {
  const columns: DeviceName[] = ['t4', 'v100', 'a100-40', 'h100']
  const cells = planCounts.flatMap(([name, resolution, batch, row]) =>
    row.flatMap((cell, column) =>
      cell ? [{ name, resolution, batch, device: columns[column] as DeviceName, cell }] : [],
    ),
  )
  it.each(cells)(
    '$name at $resolution, batch $batch on $device: $cell',
    ({ name, resolution, batch, device, cell }) => {
      const layers = zoo(name, options(resolution, batch)).layers
      const chosen = choosePerLayer(layers, { device: findDevice(device) }).filter(
        (layer) => layer.scheme === 'thread-one-sided',
      )
      const [count, percent] = cell
      expect(chosen).toHaveLength(count)
      if (percent === undefined) return
      const analysed = analyseNetwork(layers)
      const share = analyseNetwork(chosen.map((layer) => layer.layer)).padded.flops / analysed.padded.flops
      expect(Math.round(share * 100)).toBe(percent)
    },
  )

  it('flips square products on T4 between 512 and 1024', () => {
    const scheme = (size: number) => choosePerLayer([square(size)], { device: findDevice('t4') })[0]?.scheme
    expect([32, 64, 128, 256, 512].map(scheme)).toEqual(Array(5).fill('thread-one-sided'))
    expect([1024, 2048].map(scheme)).toEqual(['global', 'global'])
  })
})

describe('cost model on T4', () => {
  it.each(t4Samples)(
    'reproduces the sample row $shape within 15 %',
    ({ shape: [m, n, k], base, thread, withDot, withoutDot }) => {
      const device = findDevice('t4')
      const layer: LinearLayer = { ...square(8), m, n, k }
      const relative = (scheme: 'thread-one-sided' | 'global', last: boolean) =>
        1 + predict(layer, scheme, { device, last }).overhead
      const within = (value: number, expected: number) =>
        expect(Math.abs(value / expected - 1)).toBeLessThanOrEqual(0.15)
      within(predict(layer, 'none', { device }).base * 1e6, base)
      within(relative('thread-one-sided', true), thread)
      within(relative('global', true), withDot)
      within(relative('global', false), withoutDot)
      // The added time itself, which the ratio alone would not pin down.
      within(predict(layer, 'thread-one-sided', { device }).extra * 1e6, (thread - 1) * base)
      within(predict(layer, 'global', { device, last: true }).extra * 1e6, (withDot - 1) * base)
      within(predict(layer, 'global', { device }).extra * 1e6, (withoutDot - 1) * base)
    },
  )
})
