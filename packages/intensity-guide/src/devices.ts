// Devices: what they compute and move, with the source of each number. Peaks are dense, without sparsity.
import { FtError, type DType, type ProtectionScheme } from '@ft/core'

export interface Device {
  readonly name: string
  /** Peak multiply-add throughput in FLOP/s for each element type that has a fast path. */
  readonly peak: Readonly<Partial<Record<DType, number>>>
  /** Element type that models are served in here, when the caller names none. */
  readonly dtype: DType
  /** Memory bandwidth in bytes/s. */
  readonly bandwidth: number
  /** Throughput of ordinary (not tensor-core) adds in operations/s: what checksums are made with. */
  readonly adds: number
  readonly latency: Latency
  /**
   * 'paper' counts a product as SC'21 does: m, n and k padded to 8 for tensor cores, groups as dense. 'exact' counts what
   * an engine without tensor cores computes and moves. Default 'paper'.
   */
  readonly counting?: 'paper' | 'exact'
  /** What each scheme adds, fitted to measurements; where it is, it takes the place of the counted work. */
  readonly fitted?: Readonly<Partial<Record<ProtectionScheme, SchemeCost>>>
  /** Where the numbers come from. */
  readonly source: string
}

/** Extra seconds of a scheme by what they grow with; see `predict`. */
export interface SchemeCost {
  readonly call: number
  /** A multiply-add of the product, `m n k`. */
  readonly multiplyAdd: number
  /** An output, `m n`. */
  readonly output: number
  /** An element of the activations, `m k`. */
  readonly input: number
  /** An element of the weights, `k n`. */
  readonly weight: number
}

/** Costs in seconds that do not shrink with the layer. */
export interface Latency {
  /** Starting and ending a kernel. */
  readonly launch: number
  /** One step of k in one tile: the chain that a thin layer cannot hide. */
  readonly step: number
  /** Reducing and storing a layer's global sums in its epilogue. */
  readonly epilogue: number
  /** The extra kernel that finishes the global check. */
  readonly dot: number
  /** Comparing at the end of a thread-level check. */
  readonly compare: number
}

/**
 * T4 at the 900 MHz of the paper's artefact: launch and step fitted to its two sample rows (abft-kernels' docs, 5.583 us
 * at k = 16 and 17.42 us at k = 512), epilogue and dot read from them.
 */
const gpuLatency: Latency = { launch: 5.2e-6, step: 2.387e-8, epilogue: 1.7e-6, dot: 4.6e-6, compare: 0.3e-6 }
const cpuLatency: Latency = { launch: 2e-7, step: 0, epilogue: 0, dot: 1e-7, compare: 0 }

const TERA = 1e12
const GIGA = 1e9

const catalogue = {
  t4: gpu('NVIDIA T4', 65, 320, 8.1, 'NVIDIA T4 data sheet'),
  v100: gpu('NVIDIA V100 SXM2', 125, 900, 15.7, 'NVIDIA V100 data sheet'),
  'a100-40': gpu('NVIDIA A100 40 GB', 312, 1555, 19.5, 'NVIDIA A100 data sheet'),
  'a100-80': gpu('NVIDIA A100 80 GB SXM', 312, 2039, 19.5, 'NVIDIA A100 data sheet'),
  h100: gpu('NVIDIA H100 SXM', 989, 3350, 67, 'NVIDIA H100 data sheet'),
  h200: gpu('NVIDIA H200 SXM', 989, 4800, 67, 'NVIDIA H200 data sheet'),
  b200: gpu('NVIDIA B200', 2250, 8000, 75, 'NVIDIA Blackwell data sheet'),
  l4: gpu('NVIDIA L4', 121, 300, 30.3, 'NVIDIA L4 data sheet'),
  'jetson-agx-xavier': {
    ...gpu('NVIDIA Jetson AGX Xavier', 11, 136.5, 1.4, 'NVIDIA Jetson AGX Xavier data sheet (32 TOPS int8 with DLA)'),
    peak: { float16: 11 * TERA, float32: 1.4 * TERA, int8: 32 * TERA },
    dtype: 'int8',
  },
  'cpu-avx2': {
    name: 'One x86 core, AVX2 with FMA at 3.2 GHz, through WebAssembly',
    peak: { float32: 32 * GIGA, float64: 16 * GIGA },
    dtype: 'float32',
    bandwidth: 18 * GIGA,
    adds: 13 * GIGA,
    latency: cpuLatency,
    counting: 'exact',
    source: 'measured with strict SIMD128 kernels on an AMD EPYC (Zen 3); measureDevice() replaces it',
  },
} satisfies Record<string, Device>

export type DeviceName = keyof typeof catalogue

export const devices: Readonly<Record<DeviceName, Device>> = catalogue

function gpu(name: string, teraflops16: number, gigabytes: number, teraflops32: number, source: string): Device {
  return {
    name,
    peak: { float16: teraflops16 * TERA, bfloat16: teraflops16 * TERA, float32: teraflops32 * TERA },
    dtype: 'float16',
    bandwidth: gigabytes * GIGA,
    // Half-precision adds go two a lane.
    adds: teraflops32 * TERA,
    latency: gpuLatency,
    source,
  }
}

/**
 * Finds a device by name.
 *
 * @throws FtError `INVALID_ARGUMENT` for an unknown one; the message lists the known
 * @example
 * ```ts
 * Math.round(ridge(findDevice('t4'))) // => 203
 * ```
 */
export function findDevice(name: string): Device {
  const found = (catalogue as Record<string, Device>)[name.toLowerCase()]
  if (found) return found
  const known = Object.keys(catalogue)
  throw new FtError('INVALID_ARGUMENT', `findDevice: no device named ${name}; known: ${known.join(', ')}`, {
    name,
    known,
  })
}

/**
 * The device's ratio of compute to bandwidth, in FLOPs a byte (the paper's CMR, section 3.2): layers below it wait
 * for memory, layers above it for arithmetic.
 *
 * @throws FtError `UNSUPPORTED` when the device has no peak for the type
 */
export function ridge(device: Device, dtype: DType = device.dtype): number {
  return peakOf(device, dtype) / device.bandwidth
}

export function peakOf(device: Device, dtype: DType): number {
  const peak = device.peak[dtype]
  if (peak !== undefined) return peak
  throw new FtError(
    'UNSUPPORTED',
    `${device.name} has no peak for ${dtype}; it has ${Object.keys(device.peak).join(', ')}`,
    {
      device: device.name,
      dtype,
    },
  )
}
