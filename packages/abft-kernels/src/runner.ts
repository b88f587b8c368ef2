// Subpath /runner: layers of a network run and described on one engine, for whoever measures or chooses protection
// without knowing this package (intensity-guide loads it by name).
import {
  assertOneOf,
  FtError,
  type Conv2dOptions,
  type DType,
  type EngineName,
  type LayerRunner,
  type LinearLayer,
  type MatmulEngine,
  type ProtectionScheme,
  type Tensor,
} from '@ft/core'
import { createEngine } from '@ft/tensor-core'
import { columnChecksum, tapChecksum } from './activationChecksum.ts'
import type { Calibration } from './calibrate.ts'
import { convGeometry } from './convGeometry.ts'
import { createKernels, type Kernels } from './kernels.ts'
import { checksumWeightKinds, takesRandomWeights, type ChecksumWeights } from './randomWeights/checksums.ts'
import { layerOperands } from './runner/operands.ts'
import { smallestDetectable } from './runner/smallestDetectable.ts'
import type { ProtectedWeights } from './weights.ts'

export interface RunnerOptions {
  readonly engine: MatmulEngine
  /** Thresholds fitted to the engine's build; without it hard bounds, which see less. */
  readonly calibration?: Calibration
  /** Chance of a first-stage alarm of a clean product. Default 1e-6. */
  readonly falseAlarmProbability?: number
  /**
   * All schemes of a layer work on the same operands while any of them is prepared: what they differ by is then theirs alone, and
   * not that of where their operands lie, which is some per cent of a product of few rows. Default false.
   */
  readonly shareOperands?: boolean
  /**
   * What checksums weigh their terms with (`ProtectOptions.checksumWeights`). Default 'ones'. With 'random' `schemes` lists those
   * that take them, of floats; nothing is chained.
   */
  readonly checksumWeights?: ChecksumWeights
  /** What the machine is called in plans. Default the engine's build. */
  readonly device?: string
}

/** Every scheme of this package. */
export const allSchemes: readonly ProtectionScheme[] = [
  'none',
  'global',
  'row',
  'column',
  'row-column',
  'thread-one-sided',
  'thread-two-sided',
  'replication',
]

/**
 * Makes a runner on an engine.
 *
 * Layers run in float32 whatever float type they are served in, on an engine that stores float16 with operands rounded to it;
 * 8-bit integers exactly; batches of integers and integer convolutions are not run (`schemes` is empty). `schemes` lists what
 * the engine has sums for. `prepare(..., { chained: true })` measures a layer in the middle of a network: its input's
 * checksum is there already, and it makes the next layer's.
 *
 * @throws FtError `FINGERPRINT_MISMATCH` for a calibration of another build
 * @example
 * ```ts
 * import { createReferenceEngine } from '@ft/tensor-core/reference'
 * import { createRunner } from '@ft/abft-kernels/runner'
 * const runner = createRunner({ engine: createReferenceEngine() })
 * const layer = { id: 'fc', m: 4, n: 8, k: 16, count: 1, dtype: 'float32', op: { kind: 'matmul', batch: 1 } } as const
 * const { run, release } = await runner.prepare(layer, 'row', { seed: 1, chained: false })
 * await run()
 * release()
 * runner.schemes(layer).includes('row') // => true
 * ```
 */
export function createRunner(options: RunnerOptions): LayerRunner {
  const { engine, calibration, falseAlarmProbability = 1e-6, device = engine.build, shareOperands = false } = options
  const { checksumWeights = 'ones' } = options
  assertOneOf(checksumWeights, { where: 'runner', argument: 'options.checksumWeights', values: checksumWeightKinds })
  const random = checksumWeights === 'random'
  const kernels = createKernels({ engine, ...(calibration && { calibration }) })
  const context = { build: engine.build, calibration, falseAlarmProbability, random }
  const openOwn: OpenLayers = (layer, seed) => openLayer(kernels, { layer, seed, random })
  const open = shareOperands ? sharing(openOwn) : openOwn
  const schemes = (layer: LinearLayer): ProtectionScheme[] => {
    if (!runs(layer)) return []
    if (random)
      return isInteger(layer.dtype)
        ? ['none']
        : allSchemes.filter((scheme) => scheme === 'none' || takesRandomWeights(scheme))
    return schemesOf(engine, layer)
  }
  const assertRuns = (layer: LinearLayer, scheme: ProtectionScheme): void => {
    assertOneOf(scheme, { where: 'runner', argument: 'scheme', values: allSchemes })
    if (!runs(layer))
      throw new FtError(
        'UNSUPPORTED',
        `runner: layer ${layer.id} (${layer.dtype}, batch ${layer.op.kind === 'matmul' ? layer.op.batch : 1}) is not run here`,
        { layer: layer.id },
      )
    if (!schemes(layer).includes(scheme))
      throw new FtError('UNSUPPORTED', `runner: ${engine.build} has no sums for scheme '${scheme}'`, { scheme })
  }
  return {
    device,
    build: engine.build,
    schemes,
    async prepare(layer, scheme, { seed, chained }) {
      assertRuns(layer, scheme)
      return prepareLayer(kernels, await open(layer, seed), { layer, scheme, chained, falseAlarmProbability })
    },
    smallestDetectable(layer, scheme) {
      assertRuns(layer, scheme)
      return smallestDetectable(layer, scheme, context)
    },
  }
}

/** Kernels of GPU.js give the sums of a row and of its own tile, and none of integers: see the engine. */
const gpujsSchemes: readonly ProtectionScheme[] = ['none', 'row', 'thread-one-sided', 'replication']

function schemesOf({ name }: MatmulEngine, { dtype }: LinearLayer): ProtectionScheme[] {
  if (name !== 'gpujs') return [...allSchemes]
  return isInteger(dtype) ? ['none'] : [...gpujsSchemes]
}

function runs({ dtype, op }: LinearLayer): boolean {
  const floating = dtype === 'float32' || dtype === 'float16' || dtype === 'bfloat16' || dtype === 'float64'
  return floating || (isInteger(dtype) && op.kind === 'matmul' && op.batch === 1)
}

function isInteger(dtype: DType): boolean {
  return dtype === 'int8' || dtype === 'uint8'
}

/** A layer's operands, its weights as kernels take them. */
interface OpenLayer {
  readonly input: Tensor
  readonly tensor: Tensor
  readonly weights: ProtectedWeights
  release(): void
}

type OpenLayers = (layer: LinearLayer, seed: number) => Promise<OpenLayer>

async function openLayer(
  kernels: Kernels,
  { layer, seed, random }: { layer: LinearLayer; seed: number; random: boolean },
): Promise<OpenLayer> {
  const { input, weights: tensor } = layerOperands(layer, seed)
  const { op } = layer
  const integer = isInteger(layer.dtype)
  const weights = await kernels.prepare(tensor, {
    kind: integer ? 'matmul-int8' : op.kind,
    groups: op.kind === 'conv2d' ? op.groups : 1,
    ...(random && !integer && { checksumWeights: 'random', seed }),
  })
  return { input, tensor, weights, release: () => weights.release() }
}

/** Opens layers once for all who hold them. */
function sharing(openOwn: OpenLayers): OpenLayers {
  const held = new Map<string, { readonly opened: Promise<OpenLayer>; holders: number }>()
  return async (layer, seed) => {
    const key = JSON.stringify([layer, seed])
    const entry = held.get(key) ?? { opened: openOwn(layer, seed), holders: 0 }
    held.set(key, entry)
    entry.holders++
    const drop = (): boolean => --entry.holders === 0 && held.delete(key)
    const { weights, ...rest } = await entry.opened.catch((error: unknown) => {
      drop()
      throw error
    })
    let released = false
    const release = (): void => {
      if (released) return
      released = true
      if (drop()) rest.release()
    }
    // False alarms are each scheme's own.
    return { ...rest, weights: { ...weights }, release }
  }
}

interface Wish {
  readonly layer: LinearLayer
  readonly scheme: ProtectionScheme
  readonly chained: boolean
  readonly falseAlarmProbability: number
}

function prepareLayer(
  kernels: Kernels,
  { input, tensor, weights, release }: OpenLayer,
  { layer, scheme, chained, falseAlarmProbability }: Wish,
): { run(): Promise<void>; release(): void } {
  const { op } = layer
  const geometry: Conv2dOptions = op.kind === 'conv2d' ? { stride: op.stride, pad: op.pad, dilation: op.dilation } : {}
  const integer = isInteger(layer.dtype)
  // Checksums of batches, of integers and with random weights have no place in a chain.
  const chain = chained && scheme === 'global' && !integer && weights.batch === 0 && !weights.random
  const options = {
    scheme,
    falseAlarmProbability,
    ...(chain && {
      activationChecksum:
        op.kind === 'matmul' ? columnChecksum(input) : tapChecksum(input, convGeometry(input, tensor.shape, geometry)),
      emit: { nextChecksum: { kind: 'matmul' as const } },
    }),
  }
  return {
    run: integer
      ? async () => void (await kernels.matmulInt8(input, weights, { scheme }))
      : op.kind === 'matmul'
        ? async () => void (await kernels.matmul(input, weights, options))
        : async () => void (await kernels.conv2d(input, weights, { ...options, ...geometry })),
    release,
  }
}

export interface LoadRunnerOptions {
  /** Default 'auto': the fastest engine there is. */
  readonly engine?: EngineName | 'auto'
  /** Default 1: overheads are stated for one thread. */
  readonly threads?: number
  readonly device?: string
  /** Calibrate first (about two seconds). Default true. */
  readonly calibrate?: boolean
  readonly seed?: number
}

/** A runner with an engine of its own. */
export interface OwnedRunner extends LayerRunner {
  dispose(): Promise<void>
}

/**
 * The runner of a module loaded by name: makes an engine, calibrates it, and gives a runner that owns it.
 *
 * @throws FtError `ENGINE_UNAVAILABLE`
 */
export async function loadRunner(options: LoadRunnerOptions = {}): Promise<OwnedRunner> {
  const { engine: name = 'auto', threads = 1, device, calibrate = true, seed = 1 } = options
  // Other engines have no threads to choose.
  const engine = await createEngine(name, name === 'wasm' || name === 'auto' ? { threads } : {})
  const plain = createKernels({ engine })
  const { calibration } = calibrate ? await plain.calibrated({ seed, trials: 4 }) : plain
  const runner = createRunner({ engine, ...(calibration && { calibration }), ...(device !== undefined && { device }) })
  return { ...runner, dispose: () => engine.dispose() }
}

/** What a command line that loads this module by name calls. @alias */
export default loadRunner
