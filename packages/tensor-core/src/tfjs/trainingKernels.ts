// The kernels that TensorFlow.js' wasm backend lacks for training convolutional networks and embeddings, on an engine of
// this package. Registering kernels is the one global effect; it is undone by `unregister`.
import { FtError, type SyncMatmulEngine } from '@ft/core'
import { depthwiseFilterGradient, depthwiseInputGradient, filterGradient } from './gradients.ts'
import { segmentSum } from './segmentSum.ts'
import type {
  TfjsConvolution,
  TfjsDType,
  TfjsKernelCall,
  TfjsRegistry,
  TfjsStorage,
  TfjsTensorInfo,
} from './surface.ts'

export interface TrainingKernels {
  /** Names of the kernels that this call registered. */
  readonly registered: readonly string[]
  /** Takes them away again. */
  unregister(): void
}

export interface TrainingKernelsOptions {
  /** TensorFlow.js backend to add to; default 'wasm'. */
  readonly backend?: string
}

/**
 * Registers `Conv2DBackpropFilter`, `DepthwiseConv2dNativeBackpropFilter`, `DepthwiseConv2dNativeBackpropInput` and `UnsortedSegmentSum` on TensorFlow.js' wasm
 * backend, where they are not there yet. The engine must live as long as they are used.
 *
 * Errors: filter gradients are float32 sums over the batch's output pixels, k of them, within (256 + k / 256) 2^-24 of the
 * sum of magnitudes; segment sums are rounded once.
 *
 * @example
 * ```ts no-run
 * const engine = createWasmEngine()
 * const kernels = registerTrainingKernels(tf, engine)
 * await model.fit(images, labels) // on tf.setBackend('wasm')
 * kernels.unregister()
 * ```
 * @throws FtError `INVALID_ARGUMENT` when the engine has no products that return at once (use wasm or reference)
 */
export function registerTrainingKernels(
  tf: TfjsRegistry,
  engine: SyncMatmulEngine,
  { backend = 'wasm' }: TrainingKernelsOptions = {},
): TrainingKernels {
  if (typeof (engine as Partial<SyncMatmulEngine> | undefined)?.conv2dSync !== 'function')
    throw new FtError(
      'INVALID_ARGUMENT',
      "registerTrainingKernels: `engine` must have conv2dSync, as 'wasm' and 'reference' have",
      {},
    )
  const kernels: Record<string, (call: TfjsKernelCall) => TfjsTensorInfo> = {
    Conv2DBackpropFilter(call) {
      const [x, dy] = [operand(call, 'x'), operand(call, 'dy')]
      const convolution = convolutionOf(tf, call, { input: x.shape, depthwise: false })
      const values = filterGradient(engine, { convolution, x: x.values, dy: dy.values })
      return store(call, values, { shape: convolution.filterShape, dtype: 'float32' })
    },
    DepthwiseConv2dNativeBackpropFilter(call) {
      const [x, dy] = [operand(call, 'x'), operand(call, 'dy')]
      const convolution = convolutionOf(tf, call, { input: x.shape, depthwise: true })
      const values = depthwiseFilterGradient(engine, { convolution, x: x.values, dy: dy.values })
      return store(call, values, { shape: convolution.filterShape, dtype: 'float32' })
    },
    DepthwiseConv2dNativeBackpropInput(call) {
      const [dy, filter] = [operand(call, 'dy'), operand(call, 'filter')]
      const { inputShape } = call.attrs as { inputShape: number[] }
      const convolution = convolutionOf(tf, call, { input: inputShape, filter: filter.shape, depthwise: true })
      const values = depthwiseInputGradient(engine, { convolution, dy: dy.values, filter: filter.values })
      return store(call, values, { shape: inputShape, dtype: 'float32' })
    },
    UnsortedSegmentSum: segmentSums,
  }
  const registered = Object.keys(kernels).filter((name) => !tf.getKernel(name, backend))
  for (const kernelName of registered)
    tf.registerKernel({ kernelName, backendName: backend, kernelFunc: kernels[kernelName] as (typeof kernels)[string] })
  return {
    registered,
    unregister: () => {
      for (const name of registered) if (tf.getKernel(name, backend)) tf.unregisterKernel(name, backend)
    },
  }
}

interface Operand {
  readonly values: ArrayLike<number>
  readonly shape: number[]
  readonly dtype: TfjsDType
}

function operand({ inputs, backend }: TfjsKernelCall, name: string): Operand {
  const { dataId, shape, dtype } = inputs[name] as TfjsTensorInfo
  return { values: (backend as TfjsStorage).readSync(dataId), shape, dtype }
}

type Four = [number, number, number, number]

interface ConvolutionAttributes {
  readonly strides: number | [number, number]
  readonly dilations?: number | [number, number]
  readonly pad: never
  readonly dimRoundingMode?: 'floor' | 'round' | 'ceil'
  readonly dataFormat?: 'NHWC' | 'NCHW'
  readonly filterShape: Four
}

/** What a gradient's attributes say of its convolution. TensorFlow.js' gradients know no dilation but depthwise ones. */
function convolutionOf(
  tf: TfjsRegistry,
  call: TfjsKernelCall,
  o: { input: number[]; filter?: number[]; depthwise: boolean },
): TfjsConvolution {
  const attrs = call.attrs as unknown as ConvolutionAttributes
  return tf.backend_util.computeConv2DInfo(
    o.input as Four,
    (o.filter as Four | undefined) ?? attrs.filterShape,
    attrs.strides,
    o.depthwise ? (attrs.dilations ?? 1) : 1,
    attrs.pad,
    attrs.dimRoundingMode,
    o.depthwise,
    tf.backend_util.convertConv2DDataFormat(attrs.dataFormat ?? 'NHWC'),
  )
}

function segmentSums(call: TfjsKernelCall): TfjsTensorInfo {
  const [x, ids] = [operand(call, 'x'), operand(call, 'segmentIds')]
  const { numSegments: count } = call.attrs as { numSegments: number }
  const sums = segmentSum({ x: x.values, shape: x.shape, ids: ids.values, count })
  const values = x.dtype === 'int32' ? Int32Array.from(sums) : Float32Array.from(sums)
  return store(call, values, { shape: [count, ...x.shape.slice(1)], dtype: x.dtype })
}

function store(
  { backend }: TfjsKernelCall,
  values: Float32Array | Int32Array,
  { shape, dtype }: { shape: number[]; dtype: TfjsDType },
): TfjsTensorInfo {
  return { dataId: (backend as TfjsStorage).write(values, shape, dtype), shape, dtype }
}
