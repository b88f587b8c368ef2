// The instance of bench "parm-tail", as functions that stand alone: their texts become workers' modules.

export interface TailWorkerOptions {
  readonly serviceMs: number
}

interface Wire {
  readonly name: string
  readonly datatype: 'FP32'
  readonly shape: readonly number[]
  readonly bytes: Uint8Array
}

/** Serves one query after the other, `serviceMs` each, and returns the recorded outputs that a query carries. */
export function createTailWorker(options: TailWorkerOptions) {
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
      await new Promise((resolve) => setTimeout(resolve, freeAt - now))
      return [{ ...(x as Wire), name: 'y' }]
    },
  }
}

/** Answers a row of 784 numbers with itself, at once. */
export function createEcho() {
  const form = [{ datatype: 'FP32', shape: [-1, 784] }]
  return {
    metadata: {
      platform: 'echo',
      inputs: form.map((one) => ({ name: 'x', ...one })),
      outputs: form.map((one) => ({ name: 'y', ...one })),
    },
    infer: ([x]: readonly Wire[]): Wire[] => [{ ...(x as Wire), name: 'y' }],
  }
}

const moduleOf = (create: (options: TailWorkerOptions) => unknown) =>
  `data:text/javascript,${encodeURIComponent(`export default ${create.toString()}`)}`

/** The modules that worker processes load. */
export const tailWorkerModule = moduleOf(createTailWorker)
export const echoModule = moduleOf(createEcho)
