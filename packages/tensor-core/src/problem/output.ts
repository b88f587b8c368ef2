// Outputs that nobody gave: made here, where an output too large for the process is an error that says so.
import { FtError, type DType, type Tensor } from '@ft/core'

export interface OutputPlace {
  readonly kind: 'matmul' | 'conv2d'
  readonly integer: boolean
  readonly outShape: readonly number[]
  readonly outType: DType
}

/** @throws FtError `UNSUPPORTED` for more numbers than an array, or this process, can hold */
export function newOutput(place: OutputPlace): Tensor {
  const { integer, outShape, outType } = place
  const size = outShape.reduce((a, b) => a * b, 1)
  try {
    return { data: integer ? new Int32Array(size) : new Float32Array(size), shape: outShape, dtype: outType }
  } catch (cause) {
    const where = place.kind === 'conv2d' ? 'conv2d' : integer ? 'matmulInt8' : 'matmul'
    throw new FtError(
      'UNSUPPORTED',
      `${where}: no room for an output of shape [${outShape.join(', ')}], ${4 * size} bytes; split the product`,
      { bytes: 4 * size },
      { cause },
    )
  }
}
