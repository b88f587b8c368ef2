// Tensors as the packages exchange them: plain, structural, row-major. No methods, no disposal.

/** Element types. `float16` and `bfloat16` are stored as their 16-bit patterns in a `Uint16Array`. */
export type DType =
  'float64' | 'float32' | 'float16' | 'bfloat16' | 'int32' | 'uint32' | 'int16' | 'uint16' | 'int8' | 'uint8' | 'bool'

export type TypedArray =
  Float64Array | Float32Array | Int32Array | Uint32Array | Int16Array | Uint16Array | Int8Array | Uint8Array

/**
 * A row-major array with a shape. Structural: any object with these three fields is a tensor.
 *
 * Shapes: `data.length` is the product of `shape`; a scalar has shape `[]`.
 */
export interface Tensor {
  readonly data: TypedArray
  readonly shape: readonly number[]
  readonly dtype: DType
}

/** [height, width] or [vertical, horizontal]. */
export type Pair = readonly [number, number]
/** Padding: [top, bottom, left, right], in elements. */
export type TBLR = readonly [number, number, number, number]
/** Activation shape: [batch, height, width, channels]. */
export type NHWC = readonly [number, number, number, number]
/** Filter shape: [height, width, input channels of a group, output channels]. */
export type HWIO = readonly [number, number, number, number]
