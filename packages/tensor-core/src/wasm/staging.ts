// Wasm memory as the engine uses it: buffers kept from product to product, so that a product allocates nothing as a
// rule, and views that follow the memory when it grows.
import type { WasmRuntime } from '@ft/core'

/** Bytes behind a buffer that vector loads may touch. */
const slack = 64

export class Staging {
  readonly runtime: WasmRuntime
  readonly #buffers = new Map<string, { address: number; bytes: number }>()
  #buffer: ArrayBufferLike
  #bytes: Uint8Array
  #words: Int32Array
  #floats: Float32Array
  #doubles: Float64Array

  constructor(runtime: WasmRuntime) {
    this.runtime = runtime
    this.#buffer = runtime.memory.buffer
    this.#bytes = new Uint8Array(this.#buffer)
    this.#words = new Int32Array(this.#buffer)
    this.#floats = new Float32Array(this.#buffer)
    this.#doubles = new Float64Array(this.#buffer)
  }

  /** The address of a named buffer of at least `bytes` bytes; its old contents may be gone. */
  reserve(name: string, bytes: number): number {
    const known = this.#buffers.get(name)
    if (known !== undefined && known.bytes >= bytes) return known.address
    if (known !== undefined) {
      this.#buffers.delete(name)
      this.runtime.free(known.address)
    }
    const address = this.runtime.alloc(bytes + slack)
    this.#buffers.set(name, { address, bytes })
    return address
  }

  releaseAll(): void {
    for (const { address } of this.#buffers.values()) this.runtime.free(address)
    this.#buffers.clear()
  }

  /** All of memory as bytes. Views are good until the next allocation. */
  get bytes(): Uint8Array {
    this.#refresh()
    return this.#bytes
  }

  get words(): Int32Array {
    this.#refresh()
    return this.#words
  }

  get floats(): Float32Array {
    this.#refresh()
    return this.#floats
  }

  get doubles(): Float64Array {
    this.#refresh()
    return this.#doubles
  }

  #refresh(): void {
    const { buffer } = this.runtime.memory
    if (buffer === this.#buffer) return
    this.#buffer = buffer
    this.#bytes = new Uint8Array(buffer)
    this.#words = new Int32Array(buffer)
    this.#floats = new Float32Array(buffer)
    this.#doubles = new Float64Array(buffer)
  }

  /** Where an array lies in this memory; undefined when it lies elsewhere. */
  addressOf(data: ArrayBufferView): number | undefined {
    return data.buffer === this.runtime.memory.buffer ? data.byteOffset : undefined
  }

  /** Copies an array to an address. */
  write(address: number, data: ArrayBufferView): void {
    // The usual case, without a view of its bytes.
    if (data instanceof Float32Array && (address & 3) === 0) this.floats.set(data, address >>> 2)
    else this.bytes.set(rawBytes(data), address)
  }

  clear(address: number, bytes: number): void {
    this.bytes.fill(0, address, address + bytes)
  }
}

/** Bytes of any typed array. */
function rawBytes(data: ArrayBufferView): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
}
