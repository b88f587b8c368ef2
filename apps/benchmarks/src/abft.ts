// Bench "abft": what each scheme costs beside the plain product on the wasm engine, alone and in a chain; which is the
// cheapest adequate one; what whole networks pay; what TensorFlow.js models pay; what random checksum weights cost; the schemes
// on WebGPU.
import type { LinearLayer, ProtectionScheme } from '@ft/core'
import { createKernels, type Kernels } from '@ft/abft-kernels'
import { createRunner } from '@ft/abft-kernels/runner'
import { zoo } from '@ft/intensity-guide'
import { columnRanges } from '@ft/tensor-core'
import { createWasmEngine } from '@ft/tensor-core/wasm'
import { randomWeights } from './abftRandomWeights.ts'
import { tfjsModels } from './abftTfjs.ts'
import { schemesOnWebgpu, type WebgpuLayer, type WebgpuLayers } from './abftWebgpu.ts'
import { bounds, type Bench, type BenchContext } from './bench.ts'
import { interleave, type Timed } from './support/interleave.ts'

interface Case {
  readonly name: string
  readonly layer: LinearLayer
  readonly target?: number
  /** The network that the layer is part of, for the sum. */
  readonly network?: string
  /** The parts of the bench that it is in. */
  readonly parts: readonly string[]
}

/** A scheme as it is measured: `global` with its checksums from and for the neighbours, or on its own. */
interface Variant {
  readonly name: string
  readonly scheme: ProtectionScheme
  readonly chained: boolean
}

const all: readonly Variant[] = [
  { name: 'global, chained', scheme: 'global', chained: true },
  { name: 'global', scheme: 'global', chained: false },
  { name: 'row', scheme: 'row', chained: false },
  { name: 'column', scheme: 'column', chained: false },
  { name: 'row-column', scheme: 'row-column', chained: false },
  { name: 'thread-one-sided', scheme: 'thread-one-sided', chained: false },
  { name: 'thread-two-sided', scheme: 'thread-two-sided', chained: false },
  { name: 'replication', scheme: 'replication', chained: false },
]
/** Fewest steps at which the product is not computed twice for less than any checksum costs. */
const REPLICATED = 32
/** Most rows of a product beside which column sums, which multiply one row more, are dearer than all else. */
const THIN = 8
/** Most columns of a product whose replica the engine computes beside it, for less than anything else. */
const TURNED = 4
/**
 * Those that may be the cheapest: the noise of row sums grows with a range's columns, that of column sums with m, and what is
 * added up costs the more beside the product the shorter k is.
 */
const contenders = ({ m, k, n, op }: LinearLayer) =>
  all.filter(
    ({ name }) =>
      ['global, chained', 'row', 'thread-one-sided'].includes(name) ||
      (name === 'column' && m > THIN) ||
      (name === 'replication' && (k < REPLICATED || n / (op.kind === 'conv2d' ? op.groups : 1) <= TURNED)),
  )
/** Smallest error that an adequate scheme sees, as a share of the output's root mean square. */
const ADEQUATE = 1e-4

const dense = (part: string, name: string, m: number, n: number, k: number, target?: number): Case => ({
  name,
  parts: [part],
  layer: { id: name, m, n, k, count: 1, dtype: 'float32', op: { kind: 'matmul', batch: 1 } },
  ...(target !== undefined && { target }),
})

function networkCases(name: string, layers: readonly LinearLayer[], target: number | undefined): Case[] {
  return layers.map((layer) => ({
    name: `${name} ${layer.m}x${layer.n}x${layer.k}${layer.op.kind === 'conv2d' ? ' conv' : ''}`,
    layer: { ...layer, dtype: 'float32' as const },
    ...(target !== undefined && { target }),
    network: name,
    parts: ['resnet50'],
  }))
}

/** A recommendation model's layers: parts by batch, and by layer, each of which takes well below two minutes. */
function recommendationCases(batch: number): Case[] {
  const made = networkCases(`DLRM, batch ${batch}`, recommendation(batch), batch === 1 ? undefined : 1.1)
  return made.map((item) => ({ ...item, parts: ['dlrm', `dlrm ${batch}`, layerPart(item.layer)] }))
}

/** `dlrm 2048x512x13`: m, n and k. */
const layerPart = ({ m, n, k }: LinearLayer): string => `dlrm ${m}x${n}x${k}`

/** Layers of equal product and geometry once, with how often the network has them. */
function distinct(layers: readonly LinearLayer[]): LinearLayer[] {
  const found = new Map<string, LinearLayer>()
  for (const layer of layers) {
    const key = JSON.stringify([layer.m, layer.n, layer.k, layer.op])
    const known = found.get(key)
    found.set(key, known ? { ...known, count: known.count + layer.count } : layer)
  }
  return [...found.values()]
}

const recommendation = (batch: number) => [
  ...zoo('dlrm-bottom', { batch }).layers,
  ...zoo('dlrm-top', { batch }).layers.map((layer) => ({ ...layer, id: `top ${layer.id}` })),
]

function cases({ quick, part }: BenchContext): Case[] {
  const resnet = networkCases('ResNet-50', distinct(zoo('resnet50', { resolution: [224, 224] }).layers), 1.1)
  const dlrm = [256, 2048].flatMap(recommendationCases)
  const single = recommendationCases(1)
  const squares = [512, 1024].map((size) => dense('squares', `${size} cubed`, size, size, size, 1.03))
  const skinny = [1, 4, 8].map((m) => dense('thin', `m = ${m}, k = n = 1024`, m, 1024, 1024, 1.01))
  if (!quick)
    return [dense('squares', '256 cubed', 256, 256, 256), ...squares, ...skinny, ...resnet, ...dlrm, ...single]
  // Every network stays whole only where it is small.
  return [
    ...squares,
    ...skinny,
    ...resnet.filter((_, i) => i % 5 === 1),
    ...dlrm.filter(({ parts }) => parts.includes('dlrm 256') || parts.slice(1).includes(part ?? '')),
    ...single,
  ]
}

const batches = [1, 256, 2048]
const groups: readonly string[] = [
  ...['squares', 'thin', 'resnet50', 'dlrm'],
  ...batches.map((batch) => `dlrm ${batch}`),
  ...new Set(batches.flatMap((batch) => recommendation(batch).map(layerPart))),
]

export const abft: Bench = {
  name: 'abft',
  title: 'Overhead of checked products on the wasm engine, one thread (CPU figures); part webgpu names its device',
  // 'overhead' is its groups of layers together: 'dlrm' is of batches, and batches are of layers.
  parts: ['memory', 'overhead', ...groups, 'tfjs', 'random-weights', 'webgpu'],
  async run(context) {
    await onWasm(context)
    if (context.wants('webgpu')) await schemesOnWebgpu(context, webgpuLayers(context.quick))
  },
}

/** Sizes of the paper's sweep, and the layers of a recommendation model at its batches. */
function webgpuLayers(quick: boolean): WebgpuLayers {
  const square = (size: number): WebgpuLayer => dense('webgpu', `${size} cubed`, size, size, size)
  const network = (batch: number) => networkCases(`DLRM, batch ${batch}`, distinct(recommendation(batch)), undefined)
  return {
    device: quick
      ? [...[128, 512, 1024].map(square), ...network(1)]
      : [...[32, 64, 128, 256, 512, 1024, 2048].map(square), ...[1, 256, 2048].flatMap(network)],
    software: quick
      ? [...[64, 128].map(square), ...network(1)]
      : [...[64, 128, 256].map(square), ...[1, 256].flatMap(network)],
  }
}

/** What the parts on the wasm engine share. */
async function onWasm(context: BenchContext): Promise<void> {
  const engine = createWasmEngine({ threads: 1 })
  try {
    if (context.wants('memory')) await memory(context, createKernels({ engine }))
    if (context.wants('tfjs')) await tfjsModels(context)
    const wanted = (parts: readonly string[]) => context.wants('overhead') || parts.some((part) => context.wants(part))
    if (!wanted(groups) && !context.wants('random-weights')) return
    const { calibration } = await createKernels({ engine }).calibrated({ trials: 4, seed: context.seed + 1 })
    context.note(`engine build ${engine.build}`)
    if (context.wants('random-weights')) await randomWeights(context, { engine, calibration })
    const runner = createRunner({ engine, ...(calibration && { calibration }), shareOperands: true })
    const sums = new Map<string, { base: number; best: number }>()
    const known = cases(context)
    for (const item of known.filter(({ parts }) => wanted(parts))) {
      const { base, best } = await measure(context, { runner, item })
      // Of a network whose layers are not all measured there is no sum.
      if (item.network === undefined || best === undefined) continue
      if (!known.every(({ network, parts }) => network !== item.network || wanted(parts))) continue
      const sum = sums.get(item.network) ?? { base: 0, best: 0 }
      sum.base += item.layer.count * base
      sum.best += item.layer.count * best
      sums.set(item.network, sum)
    }
    for (const [network, { base, best }] of sums) {
      if (context.quick && network === 'ResNet-50') continue
      context.emit({
        case: network,
        metric: 'sum of the cheapest adequate',
        value: best,
        unit: 'ms',
        baseline: { case: 'none', value: base },
        ratio: best / base,
        ...(network === 'DLRM, batch 1' && { target: 'ratio <= 1.5' }),
      })
    }
  } finally {
    await engine.dispose()
  }
}

/** What protection keeps for as long as the weights live, beside weights and one pass of activations. */
async function memory(context: BenchContext, kernels: Kernels): Promise<void> {
  const networks = [
    { name: 'ResNet-50', layers: zoo('resnet50', { resolution: [224, 224] }).layers },
    { name: 'DLRM, batch 256', layers: recommendation(256) },
    { name: 'ShuffleNet', layers: zoo('shufflenet', {}).layers },
  ]
  for (const { name, layers } of networks) {
    let [own, kept, passing] = [0, 0, 0]
    for (const { m, n, k, op, count } of layers) {
      const filterGroups = op.kind === 'conv2d' ? op.groups : 1
      const shape = op.kind === 'conv2d' ? op.filter : [k, n]
      const weights = await kernels.prepare(
        { data: new Float32Array(shape.reduce((all, size) => all * size, 1)), shape, dtype: 'float32' },
        { kind: op.kind, groups: filterGroups },
      )
      // Of one column alone the norms are four numbers. Row sums lie in the engine's memory, range by range, where the filter is not
      // depthwise: there they are its values.
      const { ranges } = columnRanges(weights.n)
      const depthwise = filterGroups > 1 && weights.n === 1 && weights.prepared.exactReplica === true
      const norms = weights.norms.reduce((bytes, { columnSquares, columnSums, columnAbsolute, rows }) => {
        const columns = [columnSquares, columnSums, columnAbsolute].reduce((sum, { byteLength }) => sum + byteLength, 0)
        const held = columns + 3 * 8 * rows.ranges.length
        return bytes + (weights.n === 1 ? 4 * 8 : held)
      }, 0)
      const arrays = norms + (depthwise ? 0 : 8 * ranges * filterGroups * weights.k)
      own += count * 4 * (weights.tensor.data.length + m * n)
      kept += count * arrays
      // Both sides of the row check, and sum, minimum, maximum and sum of squares of each row, freed after each layer; of a
      // depthwise filter both sides alone, an output line and channel at a time.
      const lines = depthwise ? m / outputWidth(op) : 0
      passing = Math.max(passing, filterGroups * (depthwise ? lines * 2 * 8 : m * (ranges * 2 * 8 + 2 * 8 + 2 * 4)))
      weights.release()
    }
    const share = { case: name, unit: '% of weights and activations' }
    context.emit({
      ...share,
      metric: 'kept for row checks (numbers, without the objects that hold them)',
      value: (100 * kept) / own,
      target: '<= 2',
    })
    context.emit({
      ...share,
      metric: 'and sums of the largest layer',
      value: (100 * (kept + passing)) / own,
      target: '<= 2',
    })
  }
}

function outputWidth(op: LinearLayer['op']): number {
  if (op.kind === 'matmul') return 1
  const taps = (op.filter[1] - 1) * op.dilation[1] + 1
  return Math.floor((op.x[2] + op.pad[2] + op.pad[3] - taps) / op.stride[1]) + 1
}

interface Run {
  readonly runner: ReturnType<typeof createRunner>
  readonly item: Case
}

async function measure(context: BenchContext, { runner, item }: Run): Promise<{ base: number; best?: number }> {
  const { layer, name, target } = item
  const adequate = ({ scheme }: Variant) => runner.smallestDetectable(layer, scheme) <= ADEQUATE
  const shown = context.quick ? contenders(layer).filter(adequate) : all
  const open = (scheme: ProtectionScheme, chained: boolean) =>
    runner.prepare(layer, scheme, { seed: context.seed, chained })
  const plain = await open('none', false)
  const made = await Promise.all(
    shown.map(async (variant) => ({ variant, run: await open(variant.scheme, variant.chained) })),
  )
  // Large outputs are collected now and then, on some product and not on others: samples hold many of them.
  const shortestMs = layer.m * layer.n > 2 ** 16 ? 30 : 4
  // As in a program that has run for a while: what its compiler thinks worth compiling is compiled, or the first half of the
  // samples of a small product is of one program and the second of another.
  const warmUp = Math.max(3, Math.min(1000, Math.ceil(2 ** 33 / (layer.m * layer.n * layer.k))))
  // The control is the plain product again: its interval has to hold 1, or the machine is too noisy to say anything.
  const rivals = [
    { name: 'none', run: plain.run },
    { name: 'control', run: plain.run },
    ...made.map(({ variant, run }) => ({ name: variant.name, run: run.run })),
  ]
  const rounds = context.quick ? 31 : 61
  const timed = await interleave(rivals, { rounds, warmUp, seed: context.seed, shortestMs, repeatAs: 'none' })
  const base = timed.medianOf('none')
  const emit = (metric: string, rival: string, wanted?: number) =>
    emitRatio(context, { name, metric, rival, wanted, timed })
  emit('control', 'control')
  for (const { name: rival } of shown) emit(rival, rival)
  const fit = shown.filter(adequate)
  const ratioOf = (variant: Variant) => timed.ratio(variant.name, 'none').value
  const best = fit.reduce<Variant | undefined>(
    (found, variant) => (found === undefined || ratioOf(variant) < ratioOf(found) ? variant : found),
    undefined,
  )
  plain.release()
  for (const { run } of made) run.release()
  if (best === undefined) {
    context.note(`${name}: no scheme sees errors of ${ADEQUATE} rms`)
    return { base }
  }
  emit(`cheapest adequate: ${best.name}`, best.name, target)
  return { base, best: timed.medianOf(best.name) }
}

function emitRatio(
  context: BenchContext,
  o: { name: string; metric: string; rival: string; wanted: number | undefined; timed: Timed },
): void {
  const ratio = o.timed.ratio(o.rival, 'none')
  context.emit({
    case: o.name,
    metric: o.metric,
    value: o.timed.medianOf(o.rival),
    unit: 'ms',
    baseline: { case: 'none', value: o.timed.medianOf('none') },
    ratio: ratio.value,
    ...bounds(ratio),
    ...(o.wanted !== undefined && { target: `ratio <= ${o.wanted}` }),
  })
}
