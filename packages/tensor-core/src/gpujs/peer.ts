// gpu.js, an optional peer: the part of it that this engine uses, by shape.
import { FtError } from '@ft/core'

export type GpujsMode = 'webasm' | 'cpu' | 'webgpu'

type Rows = readonly Float32Array[]

/** A kernel; its modes give values or promises, version 3 will give promises only. */
export interface GpujsKernel {
  (...operands: (Rows | number)[]): unknown
  setOutput(size: readonly [columns: number, rows: number]): unknown
  destroy(): void
}

export interface Gpujs {
  createKernel(source: string, settings: object): GpujsKernel
  destroy(): Promise<void>
}

/** Named by a variable, so that bundlers do not look for a package that this engine alone needs. */
const name = 'gpu.js'

export async function loadGpujs(): Promise<new (settings: { mode: GpujsMode }) => Gpujs> {
  type Module = { GPU: new (settings: { mode: GpujsMode }) => Gpujs }
  try {
    const loaded = (await import(/* @vite-ignore */ /* webpackIgnore: true */ name)) as Module & { default?: Module }
    return loaded.GPU ?? (loaded.default as Module).GPU
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new FtError(
      'ENGINE_UNAVAILABLE',
      `createGpujsEngine: gpu.js does not load (npm install gpu.js): ${reason}`,
      { name: 'gpujs' },
      { cause },
    )
  }
}
