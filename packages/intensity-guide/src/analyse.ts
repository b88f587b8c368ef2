// FLOPs, bytes and arithmetic intensity of linear layers, by the paper's rule and by true traffic.
import { FtError, type DType, type LinearLayer } from '@ft/core'
import { bytesPerElement } from '@ft/core/formats'

/** Work and traffic of a layer, all its calls together. */
export interface Work {
  readonly flops: number
  readonly bytes: number
  /** FLOPs a byte. */
  readonly intensity: number
}

export interface LayerAnalysis {
  readonly layer: LinearLayer
  /** The paper's rule: m, n, k padded to multiples of 8, every operand of the implicit product read once. */
  readonly padded: Work
  /** The same rule without padding. */
  readonly unpadded: Work
  /** What a perfect cache would move: each input pixel once, grouped products as they are. Not the paper's figure. */
  readonly traffic: Work
}

export interface NetworkAnalysis {
  readonly layers: readonly LayerAnalysis[]
  /** Aggregates are ratios of sums, not means of ratios. */
  readonly padded: Work
  readonly unpadded: Work
  readonly traffic: Work
}

/** The multiple that tensor-core kernels pad m, n and k to. */
const PADDING = 8

/**
 * Analyses one layer.
 *
 * Formula (SC'21, section 3.3): intensity = 2 m n k / (b (m n + m k + n k)), b bytes an element. Grouped and depthwise
 * convolutions count as dense there, and a convolution's input as its expanded m x k matrix.
 *
 * @param options.dtype - counts bytes as if the layer had this type; default the layer's own
 * @throws FtError `INVALID_ARGUMENT` when m, n, k or count is not a positive integer
 * @example
 * ```ts
 * const layer = { id: 'fc', m: 1024, n: 1024, k: 1024, count: 1, dtype: 'float16', op: { kind: 'matmul', batch: 1 } } as const
 * analyseLayer(layer).padded.intensity // => ~341.33
 * ```
 */
export function analyseLayer(layer: LinearLayer, options: { dtype?: DType } = {}): LayerAnalysis {
  for (const name of ['m', 'n', 'k', 'count'] as const) {
    if (!Number.isSafeInteger(layer[name]) || layer[name] < 1) {
      throw new FtError(
        'INVALID_ARGUMENT',
        `analyse: layer ${layer.id}: ${name} must be a positive integer, got ${layer[name]}`,
        {
          layer: layer.id,
          [name]: layer[name],
        },
      )
    }
  }
  const width = bytesPerElement(options.dtype ?? layer.dtype)
  const { m, n } = layer
  const groups = layer.op.kind === 'conv2d' ? layer.op.groups : 1
  const k = layer.k * groups
  const calls = layer.count * (layer.op.kind === 'matmul' ? layer.op.batch : 1)
  const pad = (size: number) => Math.ceil(size / PADDING) * PADDING
  return {
    layer,
    padded: product(pad(m), pad(n), pad(k), width, calls),
    unpadded: product(m, n, k, width, calls),
    traffic: work(2 * m * n * layer.k * calls, trafficElements(layer) * width * calls),
  }
}

/** Analyses every layer and their aggregate. */
export function analyseNetwork(layers: readonly LinearLayer[], options: { dtype?: DType } = {}): NetworkAnalysis {
  const analysed = layers.map((layer) => analyseLayer(layer, options))
  return {
    layers: analysed,
    padded: total(analysed.map((layer) => layer.padded)),
    unpadded: total(analysed.map((layer) => layer.unpadded)),
    traffic: total(analysed.map((layer) => layer.traffic)),
  }
}

function work(flops: number, bytes: number): Work {
  return { flops, bytes, intensity: flops / bytes }
}

function product(m: number, n: number, k: number, width: number, calls: number): Work {
  return work(2 * m * n * k * calls, width * (m * n + m * k + n * k) * calls)
}

function total(works: readonly Work[]): Work {
  const sum = (pick: (work: Work) => number) => works.reduce((all, item) => all + pick(item), 0)
  return work(
    sum((item) => item.flops),
    sum((item) => item.bytes),
  )
}

function trafficElements({ m, n, k, op }: LinearLayer): number {
  if (op.kind === 'matmul') return m * k + k * n + m * n
  const [batch, height, width, channels] = op.x
  return batch * height * width * channels + k * n + m * n
}
