// Buffers of wasm memory that an engine keeps from product to product, so that a product allocates nothing as a rule.
import type { WasmRuntime } from '@ft/core'

export interface Staging {
  /** The address of a named buffer of at least `bytes` bytes; its old contents may be gone. */
  reserve(name: string, bytes: number): number
  releaseAll(): void
}

/** Bytes behind a buffer that vector loads may touch. */
const slack = 64

export function createStaging(runtime: WasmRuntime): Staging {
  const buffers = new Map<string, { address: number; bytes: number }>()
  return {
    reserve(name, bytes) {
      const known = buffers.get(name)
      if (known !== undefined && known.bytes >= bytes) return known.address
      if (known !== undefined) {
        buffers.delete(name)
        runtime.free(known.address)
      }
      const address = runtime.alloc(bytes + slack)
      buffers.set(name, { address, bytes })
      return address
    },
    releaseAll() {
      for (const { address } of buffers.values()) runtime.free(address)
      buffers.clear()
    },
  }
}

/** A view of wasm memory as it is now: making one is cheap, keeping one past an allocation is wrong. */
export function floatsAt(runtime: WasmRuntime, address: number, length: number): Float32Array {
  return new Float32Array(runtime.memory.buffer, address, length)
}

export function doublesAt(runtime: WasmRuntime, address: number, length: number): Float64Array {
  return new Float64Array(runtime.memory.buffer, address, length)
}

export function wordsAt(runtime: WasmRuntime, address: number, length: number): Int32Array {
  return new Int32Array(runtime.memory.buffer, address, length)
}

export function bytesAt(runtime: WasmRuntime, address: number, length: number): Uint8Array {
  return new Uint8Array(runtime.memory.buffer, address, length)
}

/** Where an array lies in the runtime's memory; undefined when it lies elsewhere. */
export function addressOf(runtime: WasmRuntime, data: ArrayBufferView): number | undefined {
  return data.buffer === runtime.memory.buffer ? data.byteOffset : undefined
}

/** Bytes of any typed array. */
export function rawBytes(data: ArrayBufferView): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
}
