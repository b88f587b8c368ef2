// The instance of bench "parm-tail", as a function that stands alone: its text becomes a worker's module.

export interface TailWorkerOptions {
  readonly serviceMs: number
  /** Share of responses that leave late, and by how many milliseconds; the instance is not blocked meanwhile. */
  readonly lateShare: number
  readonly lateMs: readonly [number, number]
  readonly seed: number
}

interface Wire {
  readonly name: string
  readonly datatype: 'FP32'
  readonly shape: readonly number[]
  readonly bytes: Uint8Array
}

/** Serves one query after the other, `serviceMs` each, and returns the recorded outputs that a query carries. */
export function createTailWorker(options: TailWorkerOptions) {
  let state = options.seed >>> 0
  // mulberry32: the function must not import
  const uniform = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t ^= t + Math.imul(t ^ (t >>> 7), 61 | t)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
  let freeAt = 0
  const form = [{ datatype: 'FP32', shape: [-1, 10] }]
  return {
    metadata: {
      platform: 'recorded',
      inputs: form.map((one) => ({ name: 'x', ...one })),
      outputs: form.map((one) => ({ name: 'y', ...one })),
    },
    async infer([x]: readonly Wire[]): Promise<Wire[]> {
      const now = performance.now()
      freeAt = Math.max(now, freeAt) + options.serviceMs
      const [low, high] = options.lateMs
      const late = uniform() < options.lateShare ? low + (high - low) * uniform() : 0
      const wait = freeAt + late - now
      await new Promise((resolve) => setTimeout(resolve, wait))
      return [{ ...(x as Wire), name: 'y' }]
    },
  }
}

/** The module that a worker process loads. */
export const tailWorkerModule = `data:text/javascript,${encodeURIComponent(`export default ${createTailWorker.toString()}`)}`
