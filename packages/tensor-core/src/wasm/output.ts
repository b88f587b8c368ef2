// Outputs of products: given by the caller, or made once their numbers are there.
import type { Tensor } from '@ft/core'
import { newOutput, type OutputPlace } from '../problem/output.ts'
import type { Staging } from './staging.ts'

export interface OutputRequest extends OutputPlace {
  readonly out: Tensor | undefined
}

/** One product's output on its way out of wasm memory. */
export class Output {
  /** Elements. */
  readonly length: number
  /** Where a given output lies in wasm memory, to be computed in place. */
  readonly address: number | undefined
  readonly #request: OutputRequest
  readonly #staging: Staging
  #data: Float32Array | Int32Array | undefined

  constructor(staging: Staging, request: OutputRequest) {
    const { out, outShape } = request
    this.#request = request
    this.#staging = staging
    this.#data = out?.data as Float32Array | Int32Array | undefined
    this.length = outShape.reduce((x, y) => x * y, 1)
    this.address = out === undefined ? undefined : staging.addressOf(out.data)
  }

  /**
   * Copies `length` numbers from an address to `offset`. An output that comes in one piece is made as a copy of it: a new array
   * would be filled with zeros first.
   */
  take(address: number, offset: number, length: number): void {
    const { words, floats } = this.#staging
    const from = address >>> 2
    const integer = this.#request.outType === 'int32'
    const numbers = (integer ? words : floats).subarray(from, from + length)
    if (this.#data !== undefined || length < this.length) this.#array().set(numbers, offset)
    else this.#data = integer ? new Int32Array(numbers) : new Float32Array(numbers)
  }

  #array(): Float32Array | Int32Array {
    return (this.#data ??= newOutput(this.#request).data as Float32Array | Int32Array)
  }

  /** The finished output. */
  tensor(): Tensor {
    const { out, outShape, outType } = this.#request
    return out ?? { data: this.#array(), shape: outShape, dtype: outType }
  }
}
