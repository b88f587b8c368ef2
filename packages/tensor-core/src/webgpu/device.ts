// The one GPU device of a process. The object that gives adapters, the adapter and the device live as long as the
// process: Dawn crashes when the garbage collector takes one of them while the device is in use. So they are held on
// `globalThis[Symbol.for('ft.webgpu')]`, where two copies of this package meet; the one global state of the library.
/// <reference types="@webgpu/types" />
import { FtError } from '@ft/core'
import type { create } from 'webgpu'
import { findMatrices, matrixFeatures, type MatrixShape } from './matrices.ts'
import type { Tile } from './tile.ts'

export interface GpuDevice {
  readonly gpu: GPU
  readonly adapter: GPUAdapter
  readonly device: GPUDevice
  /** Vendor, architecture and description, for `build` strings and tuning. */
  readonly name: string
  /** Whether the adapter computes on the processor. */
  readonly software: boolean
  readonly features: ReadonlySet<string>
  /** Blocks of subgroup matrices, where the device has them. */
  readonly matrices: MatrixShape | undefined
  /** Why the device is gone; undefined while it works. */
  lost: string | undefined
}

interface Holder {
  gpu: GPU | undefined
  current: Promise<GpuDevice> | undefined
  /** Measured tiles of large products, by adapter and storage. */
  readonly tuned: Map<string, Tile>
  /** Lost devices with their adapters: kept from the garbage collector. */
  readonly past: GpuDevice[]
}

const key = Symbol.for('ft.webgpu')

function holder(): Holder {
  const place = globalThis as { [key]?: Holder }
  return (place[key] ??= { gpu: undefined, current: undefined, tuned: new Map(), past: [] })
}

/** Features that engines use where the adapter has them. */
const wanted = ['shader-f16', 'timestamp-query'] as const
const extraFeatures = matrixFeatures.filter((feature) => feature !== 'shader-f16')

/**
 * The process's device; opens it at the first call and again after it was lost.
 *
 * @throws `ENGINE_UNAVAILABLE` with the reason: no WebGPU, no adapter, no device
 */
export async function openDevice(): Promise<GpuDevice> {
  const held = holder()
  if (held.current !== undefined) {
    const device = await held.current
    if (device.lost === undefined) return device
    if (!held.past.includes(device)) {
      held.past.push(device)
      held.current = undefined
    }
  }
  held.current ??= requestDevice(held).catch((error: unknown) => {
    held.current = undefined
    throw error
  })
  return held.current
}

async function requestDevice(held: Holder): Promise<GpuDevice> {
  const gpu = (held.gpu ??= await findGpu())
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' }).catch(() => null)
  if (adapter === null)
    throw unavailable(
      'WebGPU is there, but it has no adapter (a driver is missing, or the browser has it switched off)',
    )
  const matrices = findMatrices(adapter)
  const features = [...wanted.filter((feature) => adapter.features.has(feature)), ...(matrices ? extraFeatures : [])]
  const { maxBufferSize, maxStorageBufferBindingSize, maxComputeWorkgroupStorageSize } = adapter.limits
  let device: GPUDevice
  try {
    device = await adapter.requestDevice({
      // A feature that browsers only have behind a switch is in no list of types yet.
      requiredFeatures: features as GPUFeatureName[],
      requiredLimits: {
        ...{ maxBufferSize, maxStorageBufferBindingSize },
        // Tiles with matrices are larger where they may be.
        ...(matrices && { maxComputeWorkgroupStorageSize }),
      },
    })
  } catch (cause) {
    throw unavailable('the adapter gives no device', cause)
  }
  const { info } = adapter
  const opened: GpuDevice = {
    gpu,
    adapter,
    device,
    name: nameOf(info),
    software: info.isFallbackAdapter || /swiftshader|llvmpipe|lavapipe|warp|basic render/i.test(nameOf(info)),
    features: new Set(features),
    matrices,
    lost: undefined,
  }
  void device.lost.then(({ reason, message }) => {
    opened.lost = message === '' ? reason : `${reason}: ${message}`
  })
  return opened
}

/** Tiles that were measured in this process, for the devices of now and later. */
export const measuredTiles = (): Map<string, Tile> => holder().tuned

function nameOf({ vendor, architecture, description, device }: GPUAdapterInfo): string {
  const parts = [vendor, architecture, description === '' ? device : description]
  return parts.filter((part) => part !== '').join(' ') || 'unnamed adapter'
}

/** `navigator.gpu` in browsers and where a program put one; else the package `webgpu`. */
async function findGpu(): Promise<GPU> {
  const own = (globalThis as { navigator?: { gpu?: GPU } }).navigator?.gpu
  if (own !== undefined) return own
  if ((globalThis as { process?: { versions?: { node?: string } } }).process?.versions?.node === undefined)
    throw unavailable('this browser, or this page (WebGPU needs https or localhost), has no navigator.gpu')
  // Named by a variable, so that bundlers for browsers do not look for a package that only Node needs.
  const peer = 'webgpu'
  let module: { create: typeof create }
  try {
    module = (await import(/* @vite-ignore */ peer)) as typeof module
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw unavailable(`Node has no WebGPU of its own and 'webgpu' does not load (npm install webgpu): ${reason}`, cause)
  }
  // Dawn counts subgroup matrices among what a page must not have unasked; this process trusts its own kernels.
  return module.create(['enable-dawn-features=allow_unsafe_apis'])
}

function unavailable(reason: string, cause?: unknown): FtError {
  return new FtError('ENGINE_UNAVAILABLE', `createWebgpuEngine: ${reason}`, { name: 'webgpu' }, { cause })
}

/** What the engine would be here, or why it is not there. */
export async function describeWebgpu(): Promise<{ available: boolean; detail: string }> {
  try {
    const { name, software, features } = await openDevice()
    const extras = [...(software ? ['software: slow'] : []), ...features]
    return { available: true, detail: [name, ...extras].join(', ') }
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    return { available: false, detail: message.replace('createWebgpuEngine: ', '') }
  }
}
