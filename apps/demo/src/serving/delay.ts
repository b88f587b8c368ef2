// The troubles of a real worker: a fixed service time, one query after the other, and a share of responses that leave late.
import { createRandom } from '@ft/core/random'

export interface Troubles {
  /** Milliseconds a query takes at least. */
  readonly serviceMs: number
  /** Share of responses that leave late, and by how many milliseconds. The worker goes on meanwhile. */
  readonly lateShare: number
  readonly lateMs: readonly [number, number]
  readonly seed: number
}

/** Each call: resolves when a query that came now may be answered. */
export function createDelay({ serviceMs, lateShare, lateMs: [low, high], seed }: Troubles): () => Promise<void> {
  const random = createRandom(seed).stream('troubles')
  let freeAt = 0
  return () => {
    const now = performance.now()
    freeAt = Math.max(now, freeAt) + serviceMs
    const late = random.bernoulli(lateShare) ? low + (high - low) * random.uniform() : 0
    return new Promise((resolve) => setTimeout(resolve, freeAt + late - now))
  }
}
