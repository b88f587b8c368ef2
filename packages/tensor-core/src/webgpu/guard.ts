// What can go wrong on a device, as errors of this project.
/// <reference types="@webgpu/types" />
import { FtError } from '@ft/core'
import type { GpuDevice } from './device.ts'

export function assertNotLost(gpu: GpuDevice, where: string): void {
  if (gpu.lost !== undefined) throw lostError(gpu.lost, where)
}

function lostError(reason: string, where: string, cause?: unknown): FtError {
  const message = `${where}: the GPU device was lost (${reason}); create another engine`
  return new FtError('ENGINE_UNAVAILABLE', message, { reason }, { cause })
}

/** The error of a failed wait: most often a lost device, of which its promise tells a moment later. */
export async function deviceError(gpu: GpuDevice, where: string, cause: unknown): Promise<FtError> {
  await Promise.race([gpu.device.lost, new Promise((resolve) => setTimeout(resolve, 100))])
  if (gpu.lost !== undefined) return lostError(gpu.lost, where, cause)
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new FtError('ENGINE_UNAVAILABLE', `${where}: the GPU device failed: ${reason}`, {}, { cause })
}

/** Runs calls on the device, and promises that it found nothing wrong with them. */
export function watched<T>(device: GPUDevice, calls: () => T): { value: T; done: Promise<void> } {
  device.pushErrorScope('validation')
  device.pushErrorScope('out-of-memory')
  let done: Promise<void> = Promise.resolve()
  let value: T
  try {
    value = calls()
  } finally {
    done = verdict(device.popErrorScope(), device.popErrorScope())
    // Awaited later, or never when the calls threw.
    done.catch(() => undefined)
  }
  return { value, done }
}

async function verdict(memory: Promise<GPUError | null>, validation: Promise<GPUError | null>): Promise<void> {
  const [full, wrong] = await Promise.all([memory, validation])
  if (full !== null) throw new FtError('UNSUPPORTED', `webgpu: out of device memory: ${full.message}`)
  if (wrong !== null) throw new FtError('ENGINE_UNAVAILABLE', `webgpu: the device refused a call: ${wrong.message}`)
}
