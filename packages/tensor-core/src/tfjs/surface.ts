// The part of TensorFlow.js that this package uses, by shape: any 4.x build of tfjs, tfjs-core or tfjs-node fits.

export type TfjsDType = 'float32' | 'int32' | 'bool' | 'complex64' | 'string'

/** A tensor as TensorFlow.js kernels see it. */
export interface TfjsTensorInfo {
  readonly dataId: object
  readonly shape: number[]
  readonly dtype: TfjsDType
}

/** A backend's storage. */
export interface TfjsStorage {
  readSync(dataId: object): ArrayLike<number>
  write(values: ArrayBufferView, shape: number[], dtype: TfjsDType): object
}

export interface TfjsKernelCall {
  readonly inputs: Readonly<Record<string, TfjsTensorInfo | undefined>>
  readonly attrs?: Readonly<Record<string, unknown>> | undefined
  readonly backend: object
}

export interface TfjsKernel {
  readonly kernelName: string
  readonly backendName: string
  readonly kernelFunc: (call: TfjsKernelCall) => TfjsTensorInfo
}

/** What TensorFlow.js knows of a convolution. */
export interface TfjsConvolution {
  readonly batchSize: number
  readonly inHeight: number
  readonly inWidth: number
  readonly inChannels: number
  readonly outHeight: number
  readonly outWidth: number
  readonly outChannels: number
  readonly strideHeight: number
  readonly strideWidth: number
  readonly dilationHeight: number
  readonly dilationWidth: number
  readonly filterHeight: number
  readonly filterWidth: number
  readonly filterShape: number[]
  readonly dataFormat: 'channelsLast' | 'channelsFirst'
  readonly padInfo: { readonly top: number; readonly left: number }
}

/** Where kernels are registered. */
export interface TfjsRegistry {
  registerKernel(kernel: TfjsKernel): void
  unregisterKernel(kernelName: string, backendName: string): void
  getKernel(kernelName: string, backendName: string): unknown
  readonly backend_util: {
    convertConv2DDataFormat(format: 'NHWC' | 'NCHW'): 'channelsLast' | 'channelsFirst'
    computeConv2DInfo(
      inShape: [number, number, number, number],
      filterShape: [number, number, number, number],
      strides: number | [number, number],
      dilations: number | [number, number],
      pad: never,
      roundingMode?: 'floor' | 'round' | 'ceil',
      depthwise?: boolean,
      dataFormat?: 'channelsFirst' | 'channelsLast',
    ): TfjsConvolution
  }
}

/** Where backends are chosen. */
export interface Tfjs extends TfjsRegistry {
  setBackend(name: string): Promise<boolean>
  getBackend(): string
  ready(): Promise<void>
  backend(): unknown
  tensor2d(values: number[], shape: [number, number]): TfjsTensor
  matMul(a: TfjsTensor, b: TfjsTensor): TfjsTensor
}

export interface TfjsTensor {
  data(): Promise<ArrayLike<number>>
  dispose(): void
}
