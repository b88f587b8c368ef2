// A sequence of layers in which the global check's prediction comes from the layer before (SC'21, section 3.1): each
// layer's epilogue adds up its activation for the next one, which then needs no pass over its input.
import {
  FtError,
  type Activation,
  type Fault,
  type FaultEffect,
  type NextChecksum,
  type Pair,
  type ProtectionScheme,
  type TBLR,
  type Tensor,
} from '@ft/core'
import { assertNames, chainNames } from './knownOptions.ts'
import { protectedConv2d } from './protectedConv2d.ts'
import { protectedMatmul, type Protected, type ProtectionContext } from './protectedMatmul.ts'
import { statusOf, type Report } from './report.ts'
import { storesFloat16 } from './rounding.ts'
import { faultDetected, type OnFault } from './settle.ts'
import type { ProtectedWeights } from './weights.ts'

export interface ChainLayer {
  /** Names the layer in reports and fault lists; default its position. */
  readonly id?: string
  readonly weights: ProtectedWeights
  /** Default 'global'. */
  readonly scheme?: ProtectionScheme
  readonly bias?: Tensor
  readonly activation?: Activation
  /** Of a convolution; defaults as `conv2d`. */
  readonly stride?: Pair
  readonly pad?: TBLR
  readonly dilation?: Pair
}

export interface ChainOptions {
  readonly onFault?: OnFault
  readonly falseAlarmProbability?: number
  /** Faults of an instrumented engine; `fault.layer` is the layer's id. */
  readonly faults?: readonly Fault[]
  /** Strikes the first threshold of the first layer: see `ProtectionOptions`. */
  readonly thresholdFault?: FaultEffect
  /** Called with each layer's output before the next layer reads it. */
  readonly onActivation?: (id: string, activation: Tensor) => void
}

export interface ChainResult {
  readonly output: Tensor
  /** The gravest layer's. */
  readonly status: Report['status']
  readonly reports: readonly (Report & { readonly id: string })[]
}

export interface Chain {
  /**
   * Where each layer's prediction comes from: 'fused' from the previous layer's epilogue, 'pass' from a pass over its
   * input (the first layer; a dense layer behind a convolution), 'own' for schemes that need none.
   */
  readonly links: readonly ('fused' | 'pass' | 'own')[]
  run(x: Tensor, options?: ChainOptions): Promise<ChainResult>
}

interface Step extends ChainLayer {
  readonly id: string
  readonly scheme: ProtectionScheme
  /** What this layer makes for the next. */
  readonly next: NextChecksum | undefined
}

/**
 * Chains layers.
 *
 * A chained global check also covers the activation between two layers: what the first layer's registers held is what the
 * second layer's product must agree with. When only that differs, the first layer runs again (outcome 'restored').
 *
 * Shapes: matmul layers take `[m, k]`, convolutions NHWC; a dense layer behind a convolution reads each image as a row.
 *
 * @throws FtError `INVALID_ARGUMENT` for no layers or two of one id
 */
export function createChain(context: ProtectionContext, layers: readonly ChainLayer[]): Chain {
  if (layers.length === 0) throw new FtError('INVALID_ARGUMENT', 'chain: `layers` must not be empty, got []')
  const steps = layers.map((layer, i): Step => {
    const following = layers[i + 1]
    return {
      ...layer,
      id: layer.id ?? String(i),
      scheme: layer.scheme ?? 'global',
      // Stored in float16, the activation is no longer what was added up.
      next: following && !storesFloat16(context.engine.build) ? nextOf(layer, following) : undefined,
    }
  })
  if (new Set(steps.map((step) => step.id)).size !== steps.length)
    throw new FtError('INVALID_ARGUMENT', 'chain: layers must have different ids', { ids: steps.map(({ id }) => id) })
  const links = steps.map((step, i) => (step.scheme !== 'global' ? 'own' : steps[i - 1]?.next ? 'fused' : 'pass'))
  return {
    links,
    async run(x, options) {
      assertNames(options, chainNames, 'chain.run')
      return runChain(context, steps, { x, options: options ?? {} })
    },
  }
}

/** The checksum that `following` predicts from, where `layer` can make it. */
function nextOf(layer: ChainLayer, following: ChainLayer): NextChecksum | undefined {
  if ((following.scheme ?? 'global') !== 'global') return undefined
  if (layer.weights.kind !== following.weights.kind) return undefined
  // Random weights: the layer's activation comes behind its check, and the next one's rows are weighted, not added up.
  if (layer.weights.random ?? following.weights.random) return undefined
  if (following.weights.kind === 'matmul') return { kind: 'matmul' }
  const [height = 1, width = 1] = following.weights.tensor.shape
  return {
    kind: 'conv2d',
    kernel: [height, width],
    stride: following.stride ?? [1, 1],
    pad: following.pad ?? [0, 0, 0, 0],
    dilation: following.dilation ?? [1, 1],
  }
}

async function runChain(
  context: ProtectionContext,
  steps: readonly Step[],
  { x, options }: { x: Tensor; options: ChainOptions },
): Promise<ChainResult> {
  const { onFault = 'correct' } = options
  const reports: (Report & { id: string })[] = []
  let input = x
  let before: { step: Step; input: Tensor } | undefined
  let checksum: Float64Array | undefined
  for (const step of steps) {
    const shaped = shapedFor(step, input)
    const { thresholdFault: _, ...later } = options
    let done = await runStep(context, step, { input: shaped, checksum, options: before ? later : options })
    let report = done.report
    if (before && checksum && onlyTotalDiffers(report)) {
      // The layer's own rows are right for the input that it read: either that input, or its checksum, had changed.
      const made = await runStep(context, before.step, {
        input: before.input,
        checksum: undefined,
        options: { onFault },
      })
      if (!sameBits(made.output, input)) {
        const again =
          onFault === 'correct'
            ? await runStep(context, step, {
                input: shapedFor(step, made.output),
                checksum: undefined,
                options: { onFault },
              })
            : done
        step.weights.falseAlarms -= report.detections.filter(({ outcome }) => outcome === 'false-alarm').length
        report = relabelled(report, onFault === 'correct' ? 'restored' : 'reported')
        if (onFault === 'throw') throw faultDetected(`chain, input of layer ${step.id}`, report)
        if (onFault === 'correct') done = again
      }
    }
    reports.push({ ...report, id: step.id })
    before = { step, input: shaped }
    input = done.output
    // Corrected rows are not the ones that were added up.
    const trusted = report.status === 'clean' && step.next !== undefined
    checksum = trusted ? (done.nextChecksum?.data as Float64Array | undefined) : undefined
    options.onActivation?.(step.id, input)
  }
  return { output: input, status: statusOf(reports.flatMap((report) => report.detections)), reports }
}

function shapedFor(step: Step, input: Tensor): Tensor {
  if (step.weights.kind !== 'matmul' || input.shape.length === 2) return input
  const rows = input.shape[0] ?? 1
  return { ...input, shape: [rows, input.data.length / rows] }
}

function runStep(
  context: ProtectionContext,
  step: Step,
  { input, checksum, options }: { input: Tensor; checksum: Float64Array | undefined; options: ChainOptions },
): Promise<Protected> {
  const { weights, scheme, next, bias, activation, stride, pad, dilation } = step
  const faults = options.faults?.filter((fault) => fault.layer === step.id)
  const shared = {
    scheme,
    ...(options.onFault && { onFault: options.onFault }),
    ...(options.falseAlarmProbability !== undefined && { falseAlarmProbability: options.falseAlarmProbability }),
    ...(options.thresholdFault && { thresholdFault: options.thresholdFault }),
    ...(checksum && { activationChecksum: checksum }),
    ...(next && { emit: { nextChecksum: next } }),
    ...(faults && faults.length > 0 && { faults }),
    ...(bias && { bias }),
    ...(activation && { activation }),
  }
  if (weights.kind === 'matmul') return protectedMatmul(context, { a: input, weights }, shared)
  const geometry = { ...(stride && { stride }), ...(pad && { pad }), ...(dilation && { dilation }) }
  return protectedConv2d(context, { x: input, filter: weights }, { ...shared, ...geometry })
}

function onlyTotalDiffers({ detections }: Report): boolean {
  return (
    detections.length > 0 &&
    detections.every(
      ({ region, outcome }) => region.kind === 'product' && (outcome === 'check-fault' || outcome === 'false-alarm'),
    )
  )
}

function relabelled(report: Report, outcome: 'restored' | 'reported'): Report {
  const detections = report.detections.map((detection) => ({ ...detection, outcome }))
  return { ...report, detections, status: statusOf(detections) }
}

function sameBits(a: Tensor, b: Tensor): boolean {
  const words = ({ data }: Tensor) => new Uint32Array(data.buffer, data.byteOffset, data.length)
  const [x, y] = [words(a), words(b)]
  return x.length === y.length && x.every((word, i) => word === y[i])
}
