// Convolutions as implicit matrix products: the kernels gather what the filter sees while they pack rows of A.
import type { Emit, Fault, Product } from '@ft/core'
import {
  addBias,
  aFloats,
  aPatches,
  applyGelu,
  applyRelu,
  blockSteps,
  descriptorBytes,
  eventBytes,
  fieldA,
  fieldB,
  fieldBias,
  fieldC,
  fieldChannels,
  fieldDilationX,
  fieldDilationY,
  fieldEventCount,
  fieldEvents,
  fieldFlags,
  fieldGroupChannels,
  fieldHeight,
  fieldKernelHeight,
  fieldKernelWidth,
  fieldM,
  fieldOutHeight,
  fieldOutWidth,
  fieldPadLeft,
  fieldPadTop,
  fieldReplicaExpected,
  fieldStrideX,
  fieldStrideY,
  fieldTileActual,
  fieldWidth,
} from '../../assembly/fields.ts'
import type { Conv2dProblem } from '../problem/conv2d.ts'
import { strikeChecksum } from '../problem/checksum-faults.ts'
import { assertFaults } from '../problem/faults.ts'
import type { JudgedProduct } from '../problem/judging.ts'
import { encodeDepthwiseEvents, strikeTaps } from './events.ts'
import { forkRanges } from './kernels.ts'
import { multiply } from './multiply.ts'
import { faultContext, matrixTarget, type Engine, type Operand, type Target } from './product.ts'
import { Output } from './output.ts'
import { transpose2d, type PackedWeights, type Reserve } from './weights.ts'

export interface Conv2dRequest {
  readonly problem: Conv2dProblem
  /** The general form of the weights; made only when it is needed. */
  readonly weights: () => PackedWeights
  /** Weights [taps, channels] of a depthwise convolution. */
  readonly depthwise: number | undefined
  readonly reserve: Reserve
  readonly faults: readonly Fault[] | undefined
  readonly limits: Float64Array | undefined
}

export function convolve(engine: Engine, request: Conv2dRequest): JudgedProduct {
  const { problem, faults } = request
  const x = stageImages(engine, problem)
  const output = new Output(engine.staging, problem)
  // A depthwise filter of more taps than a block would need the general product's blocked sums.
  const few = problem.filter[0] * problem.filter[1] <= blockSteps
  const sums = lineSumsOf(problem.emit)
  // The kernel with a replica has sites for faults, the others leave them to the general product.
  const strikes = faults !== undefined && faults.length > 0
  const own = strikes ? sums === 'twice' && engine.kernels.instrumented : sums !== undefined
  if (request.depthwise !== undefined && own && few && problem.m > 0)
    return strikeDepthwise(engine, { problem, x, weights: request.depthwise, output }, faults ?? [])

  const operand = isMatrix(problem) ? pixelRows(problem, x) : patches(problem, x)
  const target = pixelTarget(engine, problem, output)
  const weights = request.weights()
  return multiply(engine, {
    where: 'conv2d',
    problem,
    weights,
    reserve: request.reserve,
    operand,
    target,
    output,
    faults,
    limits: request.limits,
  })
}

/** Which sums a depthwise convolution makes on the way; undefined where it takes the general product to make them. */
function lineSumsOf(emit: Emit): 'none' | 'twice' | 'totals' | undefined {
  const wishes = Object.entries(emit).flatMap(([name, wish]) => (wish === undefined || wish === false ? [] : [name]))
  if (wishes.length === 0) return 'none'
  if (wishes.length === 1 && wishes[0] === 'replica') return 'twice'
  const columns = emit.nextChecksum === undefined || emit.nextChecksum.kind === 'matmul'
  return columns && wishes.every((name) => name === 'total' || name === 'nextChecksum') ? 'totals' : undefined
}

/** The input in wasm memory, channels last. */
function stageImages({ kernels, staging }: Engine, problem: Conv2dProblem): number {
  const { x, format, batch, height, width, channels } = problem
  const here = staging.addressOf(x.data)
  const source = here ?? staging.reserve('A', x.data.byteLength)
  if (here === undefined) staging.write(source, x.data)
  if (format === 'NHWC') return source
  const turned = staging.reserve('A transposed', x.data.byteLength)
  const image = height * width * channels * 4
  for (let b = 0; b < batch; b++) {
    const [from, to] = [source + b * image, turned + b * image]
    transpose2d(kernels, { from, to, rows: channels, columns: height * width, arithmetic: kernels.floats })
  }
  return turned
}

/** A 1x1 convolution without stride or padding: pixels are rows already. */
function isMatrix({ filter, stride, pad }: Conv2dProblem): boolean {
  return filter[0] === 1 && filter[1] === 1 && stride[0] === 1 && stride[1] === 1 && pad.every((p) => p === 0)
}

function pixelRows(problem: Conv2dProblem, x: number): Operand {
  return {
    kind: aFloats,
    stride: problem.channels * 4,
    rowBytes: 0,
    rows: (group) => x + group * problem.filter[2] * 4,
  }
}

function patches(problem: Conv2dProblem, x: number): Operand {
  return {
    kind: aPatches,
    stride: 0,
    rowBytes: 0,
    rows: (group) => x + group * problem.filter[2] * 4,
    fields: geometry(problem),
  }
}

function geometry(problem: Conv2dProblem): [field: number, value: number][] {
  const { height, width, channels, filter, stride, pad, dilation, outHeight, outWidth } = problem
  return [
    [fieldHeight, height],
    [fieldWidth, width],
    [fieldChannels, channels],
    [fieldKernelHeight, filter[0]],
    [fieldKernelWidth, filter[1]],
    [fieldGroupChannels, filter[2]],
    [fieldStrideY, stride[0]],
    [fieldStrideX, stride[1]],
    [fieldPadTop, pad[0]],
    [fieldPadLeft, pad[2]],
    [fieldDilationY, dilation[0]],
    [fieldDilationX, dilation[1]],
    [fieldOutHeight, outHeight],
    [fieldOutWidth, outWidth],
  ]
}

/** Output pixels as rows: streamed when there is one group and channels come last, else computed as a whole. */
function pixelTarget(engine: Engine, problem: Conv2dProblem, output: Output): Target {
  const { staging } = engine
  const { m, n, outChannels, groups, format } = problem
  if (groups === 1 && format === 'NHWC') return matrixTarget(staging, { output, m, n })
  const { address } = output
  const bytes = output.length * 4
  const stride = outChannels * 4
  const whole = format === 'NHWC' && address !== undefined ? address : staging.reserve('C', bytes)
  return {
    stride,
    rowBytes: 0,
    rows: (group) => whole + group * n * 4,
    done(group, _from, to) {
      if (group === groups - 1 && to === m && whole !== address) deliver(engine, problem, { whole, output })
    },
  }
}

/** Copies a whole output, channels last, to where and how it was asked for. */
function deliver(engine: Engine, problem: Conv2dProblem, o: { whole: number; output: Output }): void {
  const { kernels, staging } = engine
  const { batch, outHeight, outWidth, outChannels, format } = problem
  const bytes = o.output.length * 4
  let source = o.whole
  if (format === 'NCHW') {
    source = staging.reserve('C transposed', bytes)
    const image = outHeight * outWidth * outChannels * 4
    for (let b = 0; b < batch; b++) {
      const [from, to] = [o.whole + b * image, source + b * image]
      transpose2d(kernels, { from, to, rows: outHeight * outWidth, columns: outChannels, arithmetic: kernels.floats })
    }
  }
  o.output.take(source, 0, o.output.length)
}

interface Depthwise {
  readonly problem: Conv2dProblem
  /** Addresses of the images and of the weights. */
  readonly x: number
  readonly weights: number
  readonly output: Output
}

/** The convolution under its faults, of which there may be none. */
function strikeDepthwise(engine: Engine, o: Depthwise, faults: readonly Fault[]): Product {
  if (faults.length === 0) return convolveDepthwise(engine, o, new Uint8Array())
  const { problem, weights } = o
  const context = faultContext({ where: 'conv2d', problem, ownWeights: true })
  assertFaults(faults, context)
  const { runtime } = engine.kernels
  const restore = strikeTaps(runtime, { address: weights, taps: problem.k, channels: problem.outChannels }, faults)
  try {
    const product = convolveDepthwise(engine, o, encodeDepthwiseEvents(faults, context))
    for (const { site, effect } of faults)
      if (site.kind === 'checksum') strikeChecksum(product, { site, effect, context })
    return product
  } finally {
    restore()
  }
}

function convolveDepthwise(engine: Engine, o: Depthwise, events: Uint8Array): Product {
  const { kernels, staging } = engine
  const { problem, x, weights, output } = o
  const { batch, outHeight, outWidth, outChannels, bias, activation, format } = problem
  const { address } = output
  const whole = format === 'NHWC' && address !== undefined ? address : staging.reserve('C', output.length * 4)
  const biasAddress = bias === undefined ? 0 : staging.reserve('bias', outChannels * 4)
  if (bias !== undefined) staging.write(biasAddress, bias.data)

  const lines = batch * outHeight
  const sumBytes = outChannels * lines * 8
  const sums = lineSumsOf(problem.emit)
  // Reserving may make the memory grow, and then views of it are void: all of it comes before the descriptor is written.
  const sumsAddress = sums === 'none' ? 0 : staging.reserve('sums', 2 * sumBytes)
  const eventsAddress = events.length === 0 ? 0 : staging.reserve('events', events.length)
  if (events.length > 0) staging.write(eventsAddress, events)
  const descriptor = staging.reserve('descriptor', descriptorBytes)
  const words = staging.words.subarray(descriptor >>> 2, (descriptor + descriptorBytes) >>> 2)
  const flags = activation === 'relu' ? applyRelu : activation === 'gelu' ? applyGelu : 0
  words[fieldFlags / 4] = flags | (bias === undefined ? 0 : addBias)
  words[fieldA / 4] = x
  words[fieldB / 4] = weights
  words[fieldC / 4] = whole
  words[fieldBias / 4] = biasAddress
  words[fieldEvents / 4] = eventsAddress
  words[fieldEventCount / 4] = events.length / eventBytes
  for (const [field, value] of geometry(problem)) words[field / 4] = value
  if (sums !== 'none') {
    words[fieldTileActual / 4] = sumsAddress
    words[fieldReplicaExpected / 4] = sumsAddress + sumBytes
    words[fieldM / 4] = lines
  }
  const workPerLine = outWidth * outChannels * problem.k
  forkRanges(kernels, {
    fn: sums === 'twice' ? 'depthwiseTwice' : sums === 'totals' ? 'depthwiseTotals' : 'depthwise',
    total: lines,
    least: Math.max(1, Math.ceil(262_144 / workPerLine)),
    args: (from, to) => [descriptor, from, to],
  })
  if (whole !== address) deliver(engine, problem, { whole, output })
  const made = output.tensor()
  if (sums === 'none') return { output: made }
  const sumsFrom = (address: number): Float64Array =>
    staging.doubles.slice(address / 8, address / 8 + outChannels * lines)
  const [actual, expected] = [sumsFrom(sumsAddress), sumsFrom(sumsAddress + sumBytes)]
  if (sums === 'totals') {
    const { total, nextChecksum } = problem.emit
    return {
      output: made,
      ...(total === true && { total: byChannel(actual, outChannels) }),
      ...(nextChecksum && {
        nextChecksum: { data: byChannel(expected, outChannels), shape: [outChannels], dtype: 'float64' as const },
      }),
    }
  }
  const replica = { tileRows: outWidth, tileColumns: 1, grid: [lines, 1], exact: true, actual, expected } as const
  return { output: made, replica }
}

/** Sums `[channels, lines]` added up over lines, in their order. */
function byChannel(sums: Float64Array, channels: number): Float64Array {
  const lines = sums.length / channels
  const totals = new Float64Array(channels)
  for (let c = 0, at = 0; c < channels; c++) {
    let total = 0
    for (const end = at + lines; at < end; at++) total += sums[at] as number
    totals[c] = total
  }
  return totals
}
