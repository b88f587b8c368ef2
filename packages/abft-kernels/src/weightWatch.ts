// Weights at rest: their packed copies are probed with random signs, their tensors compared with what they were.
import { createRandom } from '@ft/core/random'
import { invalidArgument, type Tensor } from '@ft/core'
import { hashOfArray } from './hash.ts'
import type { Kernels } from './kernels.ts'
import type { Report } from './report.ts'
import type { ProtectedWeights } from './weights.ts'

export interface WeightFinding {
  readonly id: string
  /** Whether the original tensor still has the bits that it had when the watch began. */
  readonly tensorIntact: boolean
  /** Whether the engine's packed copy still agrees with the sums that were taken of the weights when they were prepared. */
  readonly packedIntact: boolean
  readonly report: Report
}

export interface WeightWatch {
  /** Verifies the next weights in turn. */
  step(): Promise<WeightFinding>
  /** Verifies all of them. */
  sweep(): Promise<WeightFinding[]>
  /** Verifies one every so often until `stop`; damaged ones go to `onDamage`. */
  start(options: {
    everyMs: number
    onDamage: (finding: WeightFinding) => void
    onError?: (error: unknown) => void
  }): void
  stop(): void
}

/**
 * Watches prepared weights.
 *
 * A probe is a row of random signs times the packed weights, judged by the row check's hard bound or calibrated threshold
 * against the offline sums: a changed weight changes the row's sum by its change, whatever its size. Packed faults below the
 * threshold, and pairs that cancel under the drawn signs, wait for later probes with other signs.
 *
 * Cost: one row of a product, and a hash of the tensor's bytes.
 *
 * @throws FtError `INVALID_ARGUMENT` for no weights
 */
export function watchWeights(
  kernels: Kernels,
  weights: Readonly<Record<string, ProtectedWeights>>,
  options: { seed: number },
): WeightWatch {
  if (typeof weights !== 'object' || weights === null || Object.keys(weights).length === 0)
    throw invalidArgument({ where: 'watchWeights', argument: 'weights' }, 'an object that names at least one', weights)
  const random = createRandom(options.seed).stream('weight watch')
  const entries = Object.entries(weights).map(([id, own]) => ({ id, own, hash: hashOfArray(own.tensor.data) }))
  let turn = 0
  let timer: ReturnType<typeof setInterval> | undefined

  const step = async (): Promise<WeightFinding> => {
    const probe = turn++
    const { id, own, hash } = entries[probe % entries.length] as (typeof entries)[number]
    const report = await probeOnce(kernels, own, (size) => {
      const signs = random.stream('probe', probe)
      return Float32Array.from({ length: size }, () => (signs.bernoulli(0.5) ? 1 : -1))
    })
    const packedIntact = report.detections.every(({ outcome }) => outcome === 'false-alarm')
    return { id, tensorIntact: hashOfArray(own.tensor.data) === hash, packedIntact, report }
  }
  return {
    step,
    async sweep() {
      const findings: WeightFinding[] = []
      for (let i = 0; i < entries.length; i++) findings.push(await step())
      return findings
    },
    start({ everyMs, onDamage, onError }) {
      clearInterval(timer)
      timer = setInterval(() => {
        step().then(
          (finding) => (finding.tensorIntact && finding.packedIntact ? undefined : onDamage(finding)),
          (error: unknown) => onError?.(error),
        )
      }, everyMs)
    },
    stop: () => clearInterval(timer),
  }
}

async function probeOnce(
  kernels: Kernels,
  weights: ProtectedWeights,
  signs: (size: number) => Float32Array,
): Promise<Report> {
  const { kind, k, groups, batch, tensor } = weights
  // Calls on weights must not change what is known of their data.
  const own = { ...weights, release: () => undefined }
  if (kind === 'matmul-int8') {
    const a: Tensor = { data: Int8Array.from(signs(k)), shape: [1, k], dtype: 'int8' }
    return (await kernels.matmulInt8(a, own, { onFault: 'report' })).report
  }
  if (kind === 'conv2d') {
    const [height = 1, width = 1] = tensor.shape
    const x: Tensor = {
      data: signs(k * groups),
      shape: [1, height, width, (k * groups) / (height * width)],
      dtype: 'float32',
    }
    return (await kernels.conv2d(x, own, { onFault: 'report' })).report
  }
  const items = Math.max(1, batch)
  const a: Tensor = { data: signs(items * k), shape: batch > 0 ? [batch, 1, k] : [1, k], dtype: 'float32' }
  return (await kernels.matmul(a, own, { onFault: 'report' })).report
}
