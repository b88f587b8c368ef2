// Operands on their way to the device.
/// <reference types="@webgpu/types" />
import type { TypedArray } from '@ft/core'
import { toFloat16Array } from '@ft/core/formats'
import { usage } from './constants.ts'
import type { Buffers, Lease } from './buffers.ts'
import type { Storage } from './shader/variant.ts'

export const input = usage.storage | usage.copyTarget

/** Bytes of an array as the kernels read it: float32 words, float16 pairs or int8 fours, whole words. */
export function storedBytes(length: number, storage: Storage): number {
  return Math.ceil((length * (storage === 'float32' ? 4 : storage === 'float16' ? 2 : 1)) / 4) * 4
}

/** Copies an operand into a buffer; the caller may change the array afterwards. */
export function upload(
  device: GPUDevice,
  buffers: Buffers,
  o: { data: TypedArray; storage: Storage; where: string; what: string },
): Lease {
  const lease = buffers.take(storedBytes(o.data.length, o.storage), input, o)
  if (o.data.length === 0) return lease
  write(device, lease, o.storage === 'float16' ? toFloat16Array(o.data as Float32Array) : o.data)
  return lease
}

/** Writes an array to the start of a buffer. */
export function write(device: GPUDevice, { buffer }: Lease, data: ArrayBufferView): void {
  const { byteLength } = data
  let bytes = new Uint8Array(data.buffer, data.byteOffset, byteLength)
  // Writes are of whole words and from memory of one thread.
  if (byteLength % 4 !== 0 || !(bytes.buffer instanceof ArrayBuffer)) {
    const copy = new Uint8Array(Math.ceil(byteLength / 4) * 4)
    copy.set(bytes)
    bytes = copy
  }
  device.queue.writeBuffer(buffer, 0, bytes as Uint8Array<ArrayBuffer>)
}
