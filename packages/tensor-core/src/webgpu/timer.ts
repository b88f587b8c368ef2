// Time of a compute pass by the device's own clock.
/// <reference types="@webgpu/types" />
import type { Lease } from './buffers.ts'
import { mapModeRead, usage } from './constants.ts'
import type { GpuDevice } from './device.ts'

export interface Timer {
  /** For `beginComputePass`. */
  readonly pass: GPUComputePassDescriptor
  /** Records how to bring the times back; after the pass. */
  resolve(encoder: GPUCommandEncoder): void
  /** Nanoseconds; after submission. */
  read(): Promise<number>
}

/** Undefined without the feature 'timestamp-query'. */
export function createTimer(
  { device, features }: GpuDevice,
  take: (bytes: number, flags: number, what: string) => Lease,
): Timer | undefined {
  if (!features.has('timestamp-query')) return undefined
  const querySet = device.createQuerySet({ type: 'timestamp', count: 2 })
  const resolved = take(16, usage.queryResolve | usage.copySource, 'times').buffer
  const back = take(16, usage.mapRead | usage.copyTarget, 'times').buffer
  return {
    pass: { timestampWrites: { querySet, beginningOfPassWriteIndex: 0, endOfPassWriteIndex: 1 } },
    resolve(encoder) {
      encoder.resolveQuerySet(querySet, 0, 2, resolved, 0)
      encoder.copyBufferToBuffer(resolved, 0, back, 0, 16)
    },
    async read() {
      await back.mapAsync(mapModeRead, 0, 16)
      const [begin, end] = new BigInt64Array(back.getMappedRange(0, 16)) as unknown as [bigint, bigint]
      const nanoseconds = Number(end - begin)
      back.unmap()
      querySet.destroy()
      return nanoseconds
    },
  }
}
