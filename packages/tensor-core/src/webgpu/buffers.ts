// GPU buffers of one engine: used again when they come back, so that a product allocates nothing that the one before
// it had; all of them counted.
/// <reference types="@webgpu/types" />
import { FtError } from '@ft/core'

export interface BufferUse {
  readonly live: number
  readonly bytes: number
}

/** A buffer with the bytes that are asked for; it may be larger. */
export interface Lease {
  readonly buffer: GPUBuffer
  readonly bytes: number
}

/** Most bytes that wait for another use. */
const idleLimit = 256 << 20

/** Sizes in steps of a quarter of a power of two: at most a fifth of a buffer is unused. */
export function roomFor(bytes: number): number {
  if (bytes <= 256) return 256
  const step = 2 ** (Math.floor(Math.log2(bytes - 1)) - 2)
  return Math.ceil(bytes / step) * step
}

export class Buffers {
  readonly #device: GPUDevice
  readonly #idle = new Map<string, GPUBuffer[]>()
  readonly #all = new Set<GPUBuffer>()
  #idleBytes = 0
  #bytes = 0

  constructor(device: GPUDevice) {
    this.#device = device
  }

  /** Buffers that exist, in use or waiting. */
  get use(): BufferUse {
    return { live: this.#all.size, bytes: this.#bytes }
  }

  /** @throws `UNSUPPORTED` for more bytes than the adapter's buffers or bindings hold */
  take(bytes: number, flags: number, o: { where: string; what: string; binding?: boolean }): Lease {
    const { maxBufferSize, maxStorageBufferBindingSize } = this.#device.limits
    const limit = o.binding === false ? maxBufferSize : Math.min(maxBufferSize, maxStorageBufferBindingSize)
    const needed = Math.max(16, Math.ceil(bytes / 16) * 16)
    if (needed > limit)
      throw new FtError(
        'UNSUPPORTED',
        `${o.where}: ${o.what} take ${bytes} bytes; a buffer of this adapter holds ${limit}: split the product`,
        { bytes, limit },
      )
    const size = Math.min(roomFor(needed), limit)
    const waiting = this.#idle.get(`${flags} ${size}`)?.pop()
    if (waiting !== undefined) {
      this.#idleBytes -= size
      return { buffer: waiting, bytes: needed }
    }
    const buffer = this.#device.createBuffer({ size, usage: flags })
    this.#all.add(buffer)
    this.#bytes += size
    return { buffer, bytes: needed }
  }

  give({ buffer }: Lease): void {
    if (!this.#all.has(buffer)) return
    if (this.#idleBytes + buffer.size > idleLimit) {
      this.#destroy(buffer)
      return
    }
    this.#idleBytes += buffer.size
    const key = `${buffer.usage} ${buffer.size}`
    const waiting = this.#idle.get(key)
    if (waiting === undefined) this.#idle.set(key, [buffer])
    else waiting.push(buffer)
  }

  /** Gives back a buffer whose state is not known: it is not used again. */
  drop({ buffer }: Lease): void {
    if (this.#all.has(buffer)) this.#destroy(buffer)
  }

  #destroy(buffer: GPUBuffer): void {
    buffer.destroy()
    this.#all.delete(buffer)
    this.#bytes -= buffer.size
  }

  close(): void {
    for (const buffer of [...this.#all]) this.#destroy(buffer)
    this.#idle.clear()
    this.#idleBytes = 0
  }
}
