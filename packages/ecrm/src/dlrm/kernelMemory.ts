// This package's kernels on arrays of the caller: they are copied into WebAssembly memory of this thread, and what is computed back.
import type { WasmModule, WasmRuntime } from '@ft/core'
import { createWasmRuntime, loadKernels } from '@ft/tensor-core/wasm'
import { kernels } from '../generated/kernels.ts'

/** Room for the largest call so far. Calls are over when they return, so that one is enough for all models of a thread. */
interface Desk {
  readonly runtime: WasmRuntime
  readonly functions: WasmModule['exports']
  address: number
  bytes: number
}
let desk: Desk | undefined

export interface KernelArrays {
  readonly inputs: readonly Float32Array[]
  readonly outputs: readonly Float32Array[]
}

/** Calls a kernel with `sizes` and then the addresses of inputs and outputs. Without fused multiply-add: the same bits on every machine. */
export function throughMemory(name: string, sizes: readonly number[], { inputs, outputs }: KernelArrays): void {
  const { functions, runtime, address } = deskFor([...inputs, ...outputs])
  const { buffer } = runtime.memory
  let next = address
  const views = [...inputs, ...outputs].map(({ length }) => {
    const view = new Float32Array(buffer, next, length)
    next += spaceOf(length)
    return view
  })
  inputs.forEach((input, i) => views[i]!.set(input))
  functions[name]!(...sizes, ...views.map(({ byteOffset }) => byteOffset))
  outputs.forEach((output, i) => output.set(views[inputs.length + i]!))
}

function deskFor(arrays: readonly Float32Array[]): Desk {
  if (desk === undefined) {
    const runtime = createWasmRuntime({ threads: 1, relaxed: false })
    desk = { runtime, functions: loadKernels(runtime, '@ft/ecrm', kernels).exports, address: 0, bytes: 0 }
  }
  const needed = arrays.reduce((sum, { length }) => sum + spaceOf(length), 0)
  if (needed > desk.bytes) {
    if (desk.bytes > 0) desk.runtime.free(desk.address)
    desk.bytes = 0
    desk.address = desk.runtime.alloc(needed)
    desk.bytes = needed
  }
  return desk
}

/** Bytes, so that the next array begins at a line of the cache. */
const spaceOf = (length: number): number => Math.ceil((length * 4) / 64) * 64
