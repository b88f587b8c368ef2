// Random checked products for a given time: what finds a core that computes wrongly now and then.
import { assertNumber, throwIfAborted, type LongRunning, type MatmulEngine } from '@ft/core'
import { createRandom, type Random } from '@ft/core/random'
import type { Calibration } from '../calibrate.ts'
import { createKernels } from '../kernels.ts'
import type { Detection } from '../report.ts'

export interface SoakOptions extends LongRunning {
  readonly engine: MatmulEngine
  readonly seconds: number
  readonly seed: number
  readonly calibration?: Calibration
  /** Called for every check that failed, false alarms included. */
  readonly onDetection?: (detection: Detection & { product: number }) => void
}

export interface SoakResult {
  readonly products: number
  readonly checks: number
  readonly multiplyAdds: number
  readonly seconds: number
  /** Confirmed faults: transient ones that were corrected, and lasting ones. */
  readonly faults: number
  readonly falseAlarms: number
  /** Products whose repetition, as the last of a round, had other bits than the first time. */
  readonly unrepeatable: number
}

/** Products of one round, after which the first of them is computed again. */
const ROUND = 16

/**
 * Multiplies random matrices, checked by rows and columns, until the time is over; repeats one product of every round and
 * compares its bits.
 */
export async function soak(options: SoakOptions): Promise<SoakResult> {
  const { engine, seconds, seed, calibration, signal, onProgress, onDetection } = options
  assertNumber(seconds, { where: 'soak', argument: 'seconds', min: 0.001 })
  const kernels = createKernels({ engine, ...(calibration && { calibration }) })
  const random = createRandom(seed).stream('soak')
  const counts = { products: 0, checks: 0, multiplyAdds: 0, faults: 0, falseAlarms: 0, unrepeatable: 0 }
  const start = performance.now()
  const elapsed = () => (performance.now() - start) / 1000

  const multiply = async (product: number): Promise<Uint32Array> => {
    const { a, b, m, n, k } = operands(random.stream('product', product))
    const weights = await kernels.prepare(b)
    try {
      const { output, report } = await kernels.matmul(a, weights, { scheme: 'row-column' })
      counts.products++
      counts.checks += report.checks
      counts.multiplyAdds += m * n * k
      for (const detection of report.detections) {
        onDetection?.({ ...detection, product })
        if (detection.outcome === 'false-alarm') counts.falseAlarms++
        else counts.faults++
      }
      return new Uint32Array(Float32Array.from(output.data as Float32Array).buffer)
    } finally {
      weights.release()
    }
  }

  for (let product = 0; elapsed() < seconds || product === 0; product += ROUND) {
    let first: Uint32Array | undefined
    for (let i = 0; i < ROUND && (elapsed() < seconds || i === 0); i++) {
      throwIfAborted(signal, 'soak')
      const bits = await multiply(product + i)
      first ??= bits
      onProgress?.({
        phase: 'soak',
        done: Math.min(seconds, elapsed()),
        total: seconds,
        note: `${counts.faults} faults`,
      })
    }
    const again = await multiply(product)
    if (!again.every((word, i) => word === first?.[i])) counts.unrepeatable++
  }
  return { ...counts, seconds: elapsed() }
}

function operands(random: Random) {
  const [m, k, n] = [random.integer(1, 192), random.integer(16, 768), random.integer(1, 256)]
  const matrix = (name: string, rows: number, columns: number) => ({
    data: random.stream(name).fillNormal(new Float32Array(rows * columns)),
    shape: [rows, columns],
    dtype: 'float32' as const,
  })
  return { m, n, k, a: matrix('a', m, k), b: matrix('b', k, n) }
}
