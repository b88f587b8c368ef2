// What libraries that look for WebGPU in the global scope need to find it in Node: the one shim of this package, put in
// place by `exposeWebgpu` alone. In a browser, and where a program has put a `navigator.gpu`, nothing is touched.
/// <reference types="@webgpu/types" />
import { openDevice } from './webgpu/device.ts'

/**
 * Makes `navigator.gpu` and the WebGPU constants global in Node, from the process's own device (npm `webgpu`).
 *
 * @throws `ENGINE_UNAVAILABLE` with the reason when there is no WebGPU here
 */
export async function exposeWebgpu(): Promise<void> {
  const { gpu } = await openDevice()
  const scope = globalThis as { navigator?: { gpu?: GPU; userAgent?: string } }
  if (scope.navigator?.gpu !== undefined) return
  const peer = 'webgpu'
  const { globals } = (await import(/* @vite-ignore */ peer)) as { globals: Record<string, unknown> }
  for (const [name, value] of Object.entries(globals))
    if (!(name in globalThis)) Object.assign(globalThis, { [name]: value })
  if (scope.navigator === undefined)
    Object.defineProperty(globalThis, 'navigator', { value: { gpu, userAgent: 'Node' }, configurable: true })
  else Object.defineProperty(scope.navigator, 'gpu', { value: gpu, configurable: true })
}
