// A pool on a virtual clock whose instances triple rows of numbers, and what they were asked.
import {
  toNamedTensor,
  toWireTensor,
  virtualClock,
  type InferResponse,
  type OipClient,
  type WireTensor,
} from '../../src/index.ts'
import type { Instance } from '../../src/gateway/instance.ts'
import { createPool, type PoolOptions } from '../../src/gateway/pool.ts'
import type { Job } from '../../src/gateway/unit.ts'
import { Cancellation } from '../../src/serving/cancellation.ts'

export interface Asked {
  readonly instance: string
  readonly atMs: number
  /** First element of each row. */
  readonly rows: readonly number[]
  readonly headers: Readonly<Record<string, string>>
  readonly cut: { by?: unknown }
}

/** What an instance does with a request of these rows. */
export type Behave = (asked: Asked) => {
  readonly ms: number
  readonly error?: Error
  /** Rows of the answer besides those asked. */
  readonly more?: number
}

/** Rows `[1, size]` of one value each. */
export function rowJob(value: number, o: Partial<Job> & { size?: number } = {}): Job & { work: Cancellation } {
  const { size = 2, ...rest } = o
  const x = { name: 'x', data: new Float32Array(size).fill(value), shape: [1, size], dtype: 'float32' as const }
  const work = new Cancellation()
  return { inputs: [toWireTensor(x)], rows: 1, headers: {}, placed: new Set(), dueMs: Infinity, work, ...rest } as never
}

export function firstOf(outputs: readonly WireTensor[]): { shape: readonly number[]; values: number[] } {
  const tensor = outputs[0] && toNamedTensor(outputs[0])
  return { shape: tensor?.shape ?? [], values: Array.from(tensor?.data ?? []) }
}

export function batchingPool(
  names: readonly string[],
  behave: Behave,
  options: Partial<PoolOptions> & { concurrency?: number } = {},
) {
  const { concurrency = 1, ...own } = options
  const clock = virtualClock()
  const asked: Asked[] = []
  const instances = names.map((name): Instance => {
    const client: OipClient = {
      infer: (_model, { request, headers = {}, started }) =>
        new Promise((resolve, reject) => {
          const [x] = request.inputs as [WireTensor]
          const { values } = firstOf([x])
          const count = x.shape[0] as number
          const size = values.length / count
          const rows = values.filter((_, i) => i % size === 0)
          const one: Asked = { instance: name, atMs: clock.now(), rows, headers, cut: {} }
          asked.push(one)
          started?.((reason) => {
            one.cut.by = reason
            reject(reason)
          })
          const { ms, error, more = 0 } = behave(one)
          clock.schedule(ms, () => (error ? reject(error) : resolve(answer(values, [count + more, size]))))
        }),
      ready: () => Promise.resolve(true),
      metadata: () => Promise.resolve(undefined),
      close: () => Promise.resolve(),
    }
    const counts = { outstanding: 0, failuresInRow: 0, answered: 0, failed: 0, latencyMs: 0, judged: 0, pauses: 0 }
    const state = { ...counts, out: false, unfit: undefined, answeredAtMs: 0 }
    return { name, domain: name, model: 'm', concurrency, client, ...state }
  })
  const pool = createPool({
    instances,
    clock,
    outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, -1] }],
    ...own,
  })
  /** To a moment, letting whoever waits for a promise go on after each millisecond. */
  async function advance(toMs: number): Promise<void> {
    for (let ms = clock.now(); ms <= toMs; ms++) {
      clock.advanceTo(ms)
      await settled()
    }
  }
  const settled = () => new Promise<void>((resolve) => setImmediate(resolve))
  return { pool, clock, instances, asked, advance, settled }
}

function answer(values: readonly number[], shape: readonly [number, number]): InferResponse {
  const data = new Float32Array(shape[0] * shape[1])
  data.forEach((_, i) => (data[i] = 3 * (values[i] ?? 0)))
  return { modelName: 'm', outputs: [toWireTensor({ name: 'y', data, shape, dtype: 'float32' })] }
}
