// What is struck: a chain of layers with its clean answer, and the verdict on a struck answer.
import { strike } from '@ft/core/faults'
import { FtError, type LinearLayer, type ProtectionScheme, type Tensor } from '@ft/core'
import type { Chain, ChainOptions, ChainResult } from '../chain.ts'
import type { Kernels } from '../kernels.ts'
import { hashOfArray } from '../hash.ts'
import type { ChecksumWeights } from '../randomWeights/checksums.ts'
import type { ProtectedWeights } from '../weights.ts'
import { layerOperands } from '../runner/operands.ts'
import type { CampaignLayer, CampaignModel, FaultClass } from './types.ts'
import type { DrawnFault } from './sources.ts'

export interface Subject {
  /** Layers that can be struck, as products. */
  readonly layers: readonly LinearLayer[]
  /** Kind of threshold of the clean run. */
  readonly threshold: string
  /** Hash of all numbers that it computes with, and the activations between. */
  readonly contents: string
  run(drawn: DrawnFault, options: { onFault: 'report' | 'correct' }): Promise<ChainResult>
  classify(output: Tensor): FaultClass
  same(output: Tensor): boolean
  release(): void
}

/** How subjects are checked. */
export interface SubjectChecks {
  readonly scheme: ProtectionScheme
  readonly seed: number
  readonly checksumWeights: ChecksumWeights
}

/** @throws FtError `FAULT_DETECTED` when a run without faults alarms: then nothing that follows would mean anything */
async function createSubject(
  kernels: Kernels,
  network: { layers: readonly CampaignLayer[]; input: Tensor; products: readonly LinearLayer[] },
  { scheme, seed, checksumWeights }: SubjectChecks,
): Promise<Subject> {
  const random = checksumWeights === 'random' ? { checksumWeights, seed } : {}
  const prepared: ProtectedWeights[] = []
  const release = () => {
    for (const weights of prepared) weights.release()
  }
  try {
    for (const { weights, groups } of network.layers)
      prepared.push(
        await kernels.prepare(weights, {
          ...(weights.shape.length === 4 && { kind: 'conv2d', groups: groups ?? 1 }),
          ...random,
        }),
      )
    return { ...(await subjectOf(kernels, { ...network, prepared }, scheme)), release }
  } catch (error) {
    release()
    throw error
  }
}

async function subjectOf(
  kernels: Kernels,
  network: {
    layers: readonly CampaignLayer[]
    input: Tensor
    products: readonly LinearLayer[]
    prepared: readonly ProtectedWeights[]
  },
  scheme: ProtectionScheme,
): Promise<Omit<Subject, 'release'>> {
  const { prepared } = network
  const chain = kernels.chain(
    network.layers.map(({ weights: _, groups: __, ...layer }, i) => ({
      ...layer,
      scheme,
      weights: prepared[i] as ProtectedWeights,
    })),
  )
  const clean = await chain.run(network.input)
  if (clean.reports.some(({ detections }) => detections.length > 0))
    throw new FtError('FAULT_DETECTED', 'runCampaign: a run without faults raised an alarm', { reports: clean.reports })
  return {
    layers: network.products,
    threshold: clean.reports[0]?.threshold.kind ?? 'hard',
    contents: contentsOf(network),
    run(drawn, options) {
      // Each trial on its own: a false alarm would turn its layer to hard bounds for all trials that follow.
      for (const weights of prepared) weights.falseAlarms = 0
      return struckRun(chain, network.input, { drawn, ...options })
    },
    classify: (output) => classify(clean.output, output),
    same: (output) => sameBits(clean.output, output),
  }
}

function contentsOf({ layers, input }: Pick<CampaignModel, 'layers' | 'input'>): string {
  let hash = hashOfArray(input.data)
  for (const { weights, bias } of layers) {
    hash = hashOfArray(weights.data, hash)
    if (bias) hash = hashOfArray(bias.data, hash)
  }
  return `${hash.toString(16)} ${layers.map(({ bias, activation = '' }) => (bias ? `+${activation}` : activation)).join()}`
}

function struckRun(
  chain: Chain,
  input: Tensor,
  { drawn, onFault }: { drawn: DrawnFault; onFault: 'report' | 'correct' },
): Promise<ChainResult> {
  let x = input
  if (drawn.input) {
    x = { ...input, data: input.data.slice() }
    strike(x, { index: drawn.input.position, effect: { kind: 'flip', bits: [drawn.input.bit] } })
  }
  const options: ChainOptions = {
    onFault,
    ...(drawn.faults.length > 0 && { faults: drawn.faults }),
    ...(drawn.threshold && { thresholdFault: drawn.threshold }),
  }
  return chain.run(x, options)
}

/** One subject a layer, with random operands: layers on their own. */
export async function subjectsOfShapes(
  kernels: Kernels,
  shapes: readonly LinearLayer[],
  checks: SubjectChecks,
): Promise<Subject[]> {
  for (const { id, op } of shapes)
    if (op.kind === 'matmul' && op.batch > 1)
      throw new FtError('UNSUPPORTED', `runCampaign: layer ${id} is a batch of products; give one of them`, {
        layer: id,
      })
  const subjects: Subject[] = []
  for (const layer of shapes) {
    const { op, id } = layer
    const { input, weights } = layerOperands(layer, checks.seed)
    const geometry =
      op.kind === 'conv2d' ? { groups: op.groups, stride: op.stride, pad: op.pad, dilation: op.dilation } : {}
    try {
      subjects.push(
        await createSubject(kernels, { layers: [{ id, weights, ...geometry }], input, products: [layer] }, checks),
      )
    } catch (error) {
      for (const subject of subjects) subject.release()
      throw error
    }
  }
  return subjects
}

export async function subjectOfModel(kernels: Kernels, model: CampaignModel, checks: SubjectChecks): Promise<Subject> {
  return createSubject(kernels, { layers: model.layers, input: model.input, products: productsOf(model) }, checks)
}

/** The model's layers as products: shapes followed through the network. */
export function productsOf(model: CampaignModel): LinearLayer[] {
  let shape = model.input.shape
  return model.layers.map((layer): LinearLayer => {
    const { id, weights, groups = 1, stride = [1, 1], pad = [0, 0, 0, 0], dilation = [1, 1] } = layer
    const common = { id, count: 1, dtype: 'float32' as const }
    if (weights.shape.length === 2) {
      const [k = 1, n = 1] = weights.shape
      const m = shape.reduce((all, size) => all * size, 1) / k
      shape = [m, n]
      return { ...common, m, n, k, op: { kind: 'matmul', batch: 1 } }
    }
    const [batch = 1, height = 1, width = 1, channels = 1] = shape
    const [kh = 1, kw = 1, per = 1, out = 1] = weights.shape
    const down = Math.floor((height + pad[0] + pad[1] - (kh - 1) * dilation[0] - 1) / stride[0]) + 1
    const across = Math.floor((width + pad[2] + pad[3] - (kw - 1) * dilation[1] - 1) / stride[1]) + 1
    shape = [batch, down, across, out]
    return {
      ...common,
      m: batch * down * across,
      n: out,
      k: kh * kw * per,
      op: {
        kind: 'conv2d',
        x: [batch, height, width, channels],
        filter: [kh, kw, per, out],
        stride,
        pad,
        dilation,
        groups,
      },
    }
  })
}

function classify(clean: Tensor, struck: Tensor): FaultClass {
  if (sameBits(clean, struck)) return 'masked'
  const finite = (tensor: Tensor) => (tensor.data as Float32Array).every(Number.isFinite)
  if (!finite(struck) && finite(clean)) return 'unusable'
  const width = clean.shape[clean.shape.length - 1] ?? 1
  for (let from = 0; from < clean.data.length; from += width)
    if (largestAt(clean.data, from, width) !== largestAt(struck.data, from, width)) return 'critical'
  return 'benign'
}

function largestAt(data: ArrayLike<number>, from: number, width: number): number {
  let at = from
  for (let i = from + 1; i < from + width; i++) if ((data[i] as number) > (data[at] as number)) at = i
  return at
}

function sameBits(a: Tensor, b: Tensor): boolean {
  const words = ({ data }: Tensor) => new Uint32Array(data.buffer, data.byteOffset, data.length)
  const [x, y] = [words(a), words(b)]
  return x.every((word, i) => word === y[i])
}
