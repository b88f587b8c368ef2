// A convolution that checks itself: the checks of the implicit product, exact for any stride, padding, dilation and groups.
import { FtError, type Conv2dOptions, type ProtectionScheme, type Tensor } from '@ft/core'
import type { JudgedProduct } from '@ft/tensor-core'
import { channelFigures, tapChecksum } from './activationChecksum.ts'
import { emitFor, judge } from './checks.ts'
import { convGeometry, type ConvGeometry } from './convGeometry.ts'
import type { ProtectionContext, ProtectionOptions, Protected } from './protectedMatmul.ts'
import { assertOutputApart } from './outputs.ts'
import { randomChecksumsOf, type RandomChecksums } from './randomWeights/checksums.ts'
import { assertBare, protectRandomly } from './randomWeights/protect.ts'
import { matrixRows, outputPixels, patchRows } from './randomWeights/rows.ts'
import { lasting, type RowAccess } from './recompute.ts'
import { roundingOf, storedNumber, storedTensor, storedValues, storesFloat16 } from './rounding.ts'
import { isScreened, screened, screenFor } from './screen.ts'
import { assertChance, assertOnFault, settle } from './settle.ts'
import type { ProtectedWeights } from './weights.ts'

/**
 * Convolves and checks. A row of the implicit product is an output pixel, one product a group; the filter checksum is one
 * more output channel (Hari 2020), which equals the row check. Depthwise filters have one column a group: there `row`,
 * `thread-one-sided` and `replication` are one check where the engine's replica is exact, line by line of the output.
 *
 * Shapes: x `[batch, height, width, channels]` (NHWC; or NCHW by `format`), filter `[h, w, channels / groups, out]`.
 */
export async function protectedConv2d(
  { engine, calibration }: ProtectionContext,
  operands: { readonly x: Tensor; readonly filter: ProtectedWeights },
  options: ProtectionOptions & Conv2dOptions = {},
): Promise<Protected> {
  const { x, filter } = operands
  const { scheme = 'row', onFault = 'correct', falseAlarmProbability = 1e-6, emit, format = 'NHWC' } = options
  if (filter.kind !== 'conv2d') throw new FtError('INVALID_ARGUMENT', 'conv2d: these weights were prepared for matmul')
  assertOnFault(onFault, 'conv2d')
  assertChance(falseAlarmProbability, 'conv2d')
  assertOutputApart(options.out, { x, filter: filter.tensor }, 'conv2d')
  const checksums = randomChecksumsOf(filter, { checksumWeights: options.checksumWeights, scheme }, 'conv2d')
  if (checksums)
    return withRandomWeights({ engine, calibration }, { ...operands, checksums }, { ...options, scheme, onFault })

  const rounding = roundingOf(engine.build, 'float32')
  // A replica that is exact needs no threshold, and so no statistics of the input.
  const bare = checksByReplica(scheme, filter) && !emit
  // Sums that the caller wants besides are judged too, and need the statistics.
  const more = emit?.rowSums || emit?.columnSums || emit?.tileSums || emit?.replica
  // One column a group: as many rows as outputs, whose statistics would cost more than the product.
  const byChannel =
    scheme === 'global' && !more && filter.n === 1 && filter.groups === x.shape[format === 'NHWC' ? 3 : 1]
  const calibrated = filter.falseAlarms > 0 ? undefined : calibration
  const screenable = filter.groups === 1 && (scheme === 'row' || bare)
  const m = screenable ? pixelsOf(x, filter, options) : 0
  const screen =
    m > 0 && isScreened(rounding, options)
      ? screenFor(filter, {
          scheme: bare ? 'replication' : 'row',
          build: engine.build,
          rounding,
          m,
          calibration: calibrated,
          falseAlarmProbability,
        })
      : undefined
  const product: JudgedProduct = await engine.conv2d(x, filter.prepared, {
    ...options,
    groups: options.groups ?? filter.groups,
    emit: bare ? { replica: true } : byChannel ? { ...emit, total: true } : emitFor(scheme, emit),
    ...(screen && { limits: screen.limits }),
  })
  if (screen !== undefined && product.passed !== undefined)
    return { output: product.output, report: { ...screened(screen, product.passed), scheme } }

  const channels = filter.n * filter.groups
  const pixels = product.output.data.length / channels
  const geometry = scheme === 'global' ? convGeometry(x, filter.tensor.shape, options) : undefined
  // Sums of an activation before it was rounded to float16 are not those of what was multiplied.
  const chained = storesFloat16(engine.build) ? undefined : options.activationChecksum
  const seen = geometry && storedTensor(engine.build, x)
  const tapSums = geometry && seen && (chained ?? tapChecksum(seen, geometry))
  const judgement = judge({
    product,
    scheme,
    items: filter.groups,
    m: pixels,
    n: filter.n,
    k: filter.k,
    norms: filter.norms,
    rounding,
    calibration: calibrated,
    falseAlarmProbability,
    thresholdFault: options.thresholdFault,
    itemFigures: byChannel && geometry && seen ? channelFigures(seen, geometry) : undefined,
    expectedTotal: geometry && tapSums && groupTotals(tapSums, filter, { ...geometry, build: engine.build }),
  })

  const settled = settle({
    judgement,
    scheme,
    access: () => {
      const { emit: _emit, out: _out, faults, ...plain } = options
      const again = { ...plain, ...lasting(faults) }
      const { output } = product
      return pixelRows({ engine, x, filter, output, options: again, format, pixels, channels, rounding })
    },
    m: pixels,
    n: filter.n,
    onFault,
    where: 'conv2d',
  })
  const report = settled instanceof Promise ? await settled : settled
  for (const { outcome } of report.detections) if (outcome === 'false-alarm') filter.falseAlarms++
  const { nextChecksum } = product
  return { output: product.output, report, ...(nextChecksum && { nextChecksum }) }
}

/** The same convolution, checked with random weights instead of the sums that the engine makes. */
async function withRandomWeights(
  context: ProtectionContext,
  { x, filter, checksums }: { x: Tensor; filter: ProtectedWeights; checksums: RandomChecksums },
  options: ProtectionOptions & Conv2dOptions & Required<Pick<ProtectionOptions, 'scheme' | 'onFault'>>,
): Promise<Protected> {
  const { engine } = context
  const { groups, k, n, tensor } = filter
  const { bias, activation, emit: _emit, out: _out, faults, format = 'NHWC', ...plain } = options
  const channels = n * groups
  assertBare(options, { engine, channels, where: 'conv2d' })
  const bare = { ...plain, format, groups: options.groups ?? groups }
  // The engine says first what is wrong with the shapes.
  const product = await engine.conv2d(x, filter.prepared, {
    ...bare,
    emit: { rowStatistics: true },
    ...(options.out && { out: options.out }),
    ...(faults && { faults }),
  })
  const geometry = convGeometry(x, tensor.shape, options)
  const pixels = product.output.data.length / channels
  const area = geometry.outHeight * geometry.outWidth
  const channelsLast = format === 'NHWC'
  const seen = storedTensor(engine.build, x).data
  const weights = storedTensor(engine.build, tensor).data
  return protectRandomly({
    ...{ context, where: 'conv2d', weights: filter, checksums, items: groups, m: pixels, options, product },
    rows: {
      a: (group) => patchRows(seen, { geometry, group, groups }),
      b: (group) => matrixRows(weights, { count: k, length: n, first: group * n, step: channels }),
      c: (group) => outputPixels(product.output.data, { pixels, area, channels, n, group, channelsLast }),
    },
    access: () =>
      pixelRows({
        ...{ engine, x, filter, output: product.output, options: { ...bare, ...lasting(faults) }, format },
        ...{ pixels, channels, rounding: roundingOf(engine.build, 'float32') },
      }),
    finish: {
      ...{ bias, activation },
      channelOf: channelsLast ? (index) => index % channels : (index) => Math.floor(index / area) % channels,
    },
  })
}

/** Output pixels; 0 of operands and options that the engine refuses, which it says better. */
function pixelsOf(x: Tensor, filter: ProtectedWeights, options: Conv2dOptions): number {
  const lists = [(x as Partial<Tensor> | null)?.shape, options.stride ?? [], options.dilation ?? [], options.pad ?? []]
  if (!lists.every((list) => Array.isArray(list)) || x.shape.length !== 4) return 0
  const { batch, outHeight, outWidth } = convGeometry(x, filter.tensor.shape, options)
  const pixels = batch * outHeight * outWidth
  return Number.isSafeInteger(pixels) && pixels > 0 ? pixels : 0
}

/**
 * Whether an exact replica, which needs no threshold and so no statistics, is all of the check. Depthwise: a row of a one-column
 * product is its own sum, and the fold of one column is that column, so checking rows or register tiles from one side computes the
 * product again; the replica does that in one pass. Other rows are predicted from sums that tell also of packed weights that changed.
 */
function checksByReplica(scheme: ProtectionScheme, { prepared, tensor, groups, n }: ProtectedWeights): boolean {
  if (prepared.exactReplica !== true) return false
  return scheme === 'replication' || (groups > 1 && n === 1 && tensor.shape[2] === 1 && byReplica.has(scheme))
}

/** Schemes that an exact replica of a depthwise convolution carries out. */
export const byReplica: ReadonlySet<ProtectionScheme> = new Set(['row', 'thread-one-sided', 'replication'])

/**
 * sum(Y) of each group: its taps' checksums times its weights' row sums. Those of one column are its values: the tensor has them,
 * and a copy in an engine that has changed since does not agree with them.
 */
function groupTotals(
  taps: Float64Array,
  filter: ProtectedWeights,
  { kernel: [kh, kw], channels, build }: ConvGeometry & { build: string },
): Float64Array {
  const { groups, k, n, tensor, prepared } = filter
  const perGroup = channels / groups
  const own = n === 1
  const sums = own ? storedValues(build, tensor.data) : prepared.rowSums
  return Float64Array.from({ length: groups }, (_, group) => {
    let total = 0
    for (let tap = 0; tap < kh * kw; tap++) {
      for (let c = 0; c < perGroup; c++) {
        const step = tap * perGroup + c
        const weight = sums[own ? step * groups + group : group * k + step] as number
        total += (taps[tap * channels + group * perGroup + c] as number) * weight
      }
    }
    return total
  })
}

interface PixelRows {
  readonly engine: ProtectionContext['engine']
  readonly x: Tensor
  readonly filter: ProtectedWeights
  readonly output: Tensor
  readonly options: Omit<Conv2dOptions, 'out' | 'emit'>
  readonly format: 'NHWC' | 'NCHW'
  readonly pixels: number
  readonly channels: number
  readonly rounding: ReturnType<typeof roundingOf>
}

function pixelRows({ engine, x, filter, output, options, format, channels, rounding }: PixelRows): RowAccess {
  const g = convGeometry(x, filter.tensor.shape, options)
  const [kh, kw] = g.kernel
  const perGroup = g.channels / filter.groups
  const out = output.data as Float32Array
  const area = g.outHeight * g.outWidth
  const place = (item: number, row: number, j: number): number => {
    const channel = item * filter.n + j
    if (format === 'NHWC') return row * channels + channel
    return Math.floor(row / area) * channels * area + channel * area + (row % area)
  }
  /** What the filter sees at an output pixel: all channels, `[kh, kw, channels]`, zeros outside the image. */
  const patch = (row: number): Float32Array => {
    const values = new Float32Array(kh * kw * g.channels)
    const [image, oy, ox] = [Math.floor(row / area), Math.floor((row % area) / g.outWidth), row % g.outWidth]
    for (let r = 0; r < kh; r++) {
      for (let s = 0; s < kw; s++) {
        const y = oy * g.stride[0] - g.pad[0] + r * g.dilation[0]
        const column = ox * g.stride[1] - g.pad[2] + s * g.dilation[1]
        if (y < 0 || y >= g.height || column < 0 || column >= g.width) continue
        const from = image * g.step.image + y * g.step.y + column * g.step.x
        for (let c = 0; c < g.channels; c++)
          values[(r * kw + s) * g.channels + c] = x.data[from + c * g.step.channel] as number
      }
    }
    return storedValues(engine.build, values)
  }
  const groupOf = (values: Float32Array, item: number) =>
    values.subarray(item * filter.n, (item + 1) * filter.n).slice()
  return {
    engine,
    rounding,
    k: filter.k,
    read: (item, row) => Float32Array.from({ length: filter.n }, (_, j) => out[place(item, row, j)] as number),
    write: (item, row, values) => values.forEach((value, j) => (out[place(item, row, j)] = value)),
    operand: (item, row) => {
      const all = patch(row)
      return Float32Array.from({ length: filter.k }, (_, step) => {
        const [tap, c] = [Math.floor(step / perGroup), step % perGroup]
        return all[tap * g.channels + item * perGroup + c] as number
      })
    },
    weight: (item, step, j) =>
      storedNumber(engine.build, filter.tensor.data[step * channels + item * filter.n + j] as number),
    async rerun(item, row) {
      // The pixel's patch as an image of its own: the same taps in the same order, and so the same bits.
      const image: Tensor = { data: patch(row), shape: [1, kh, kw, g.channels], dtype: 'float32' }
      const { bias, activation } = options
      const kept = { groups: filter.groups, ...lasting(options.faults) }
      const rest = { ...kept, ...(bias ? { bias } : {}), ...(activation ? { activation } : {}) }
      const final = await engine.conv2d(image, filter.prepared, rest)
      const plain = bias || activation ? await engine.conv2d(image, filter.prepared, kept) : final
      return {
        final: groupOf(final.output.data as Float32Array, item),
        plain: groupOf(plain.output.data as Float32Array, item),
      }
    },
  }
}
