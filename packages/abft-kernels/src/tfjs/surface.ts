// The part of TensorFlow.js that this package uses, by shape: any 4.x build of tfjs, tfjs-node or tfjs-core with its
// backends fits.

export interface TfTensor {
  readonly dataId: object
  readonly shape: number[]
  readonly dtype: string
  data(): Promise<ArrayLike<number>>
  dispose(): void
}

export type TfInputs = Readonly<Record<string, TfTensor | undefined>>
export type TfAttributes = Readonly<Record<string, unknown>>

export interface TfEngine {
  runKernel(name: string, inputs: never, attributes?: never): unknown
}

/** The module `@tensorflow/tfjs`, or `tfjs-core` with a backend: what tells it from another. */
export interface TfModule {
  engine(): TfEngine
  backend(): { floatPrecision(): 16 | 32 }
  tidy(work: never): unknown
}

/** Its operations. */
export interface Tf extends TfModule {
  keep(tensor: never): unknown
  tensor(values: Float32Array, shape: number[]): TfTensor
  abs(x: TfTensor): TfTensor
  add(a: TfTensor, b: TfTensor): TfTensor
  sub(a: TfTensor, b: TfTensor): TfTensor
  mul(a: TfTensor, b: TfTensor | number): TfTensor
  div(a: TfTensor, b: TfTensor): TfTensor
  maximum(a: TfTensor, b: TfTensor | number): TfTensor
  sum(x: TfTensor, axis?: number | number[], keepDims?: boolean): TfTensor
  max(x: TfTensor): TfTensor
  matMul(a: TfTensor, b: TfTensor, transposeA?: boolean, transposeB?: boolean): TfTensor
  reshape(x: TfTensor, shape: number[]): TfTensor
  lessEqual(a: TfTensor, b: TfTensor): TfTensor
  equal(a: TfTensor, b: TfTensor): TfTensor
  logicalNot(x: TfTensor): TfTensor
  cast(x: TfTensor, dtype: 'float32'): TfTensor
  isFinite(x: TfTensor): TfTensor
  stack(tensors: TfTensor[]): TfTensor
  relu(x: TfTensor): TfTensor
  relu6(x: TfTensor): TfTensor
  elu(x: TfTensor): TfTensor
  sigmoid(x: TfTensor): TfTensor
  prelu(x: TfTensor, alpha: TfTensor): TfTensor
  leakyRelu(x: TfTensor, alpha?: number): TfTensor
}

/** A LayersModel or GraphModel, as far as this needs it. */
export interface TfModel {
  predict(inputs: never, options?: never): unknown
}

/** What `work` makes is freed but for its result. */
export function tidy(tf: Tf, work: () => TfTensor): TfTensor {
  return (tf.tidy as (work: () => TfTensor) => TfTensor)(work)
}

/** A tensor that outlives the tidying around it. */
export function keep(tf: Tf, tensor: TfTensor): TfTensor {
  return (tf.keep as (tensor: TfTensor) => TfTensor)(tensor)
}
