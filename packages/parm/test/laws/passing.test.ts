// Who waits for an instance keeps its turn: a later unit passes it only to an instance that it has no time for, and not to be late
// for certain itself; nobody waits beyond its deadline while an instance takes units.
import { expect, it } from 'vitest'
import { createRandom } from '@ft/core/random'
import { virtualClock, type InferRequest } from '../../src/index.ts'
import { LEAST_LATENCIES } from '../../src/gateway/choose.ts'
import type { Instance } from '../../src/gateway/instance.ts'
import { createPool } from '../../src/gateway/pool.ts'
import { Cancellation } from '../../src/serving/cancellation.ts'
import { floats } from '../support/echo.ts'

interface Unit {
  readonly id: number
  readonly dueMs: number
  /** Whether others waited when it came. */
  readonly behind: boolean
}

async function schedule(seed: number): Promise<{ passed: number; settled: number; faults: string[] }> {
  const random = createRandom(seed)
  const clock = virtualClock()
  const waiting = new Map<number, Unit>()
  const faults: string[] = []
  let [passed, settled] = [0, 0]
  const instances = Array.from({ length: random.integer(2, 4) }, (_, i): Instance => {
    const usualMs = i === 0 ? 10 : random.integer(10, 120)
    const instance: Instance = {
      ...{ name: `i${i}`, domain: `i${i}`, model: 'm', concurrency: 1, outstanding: 0, out: false, unfit: undefined },
      ...{ failuresInRow: 0, answered: 0, failed: 0, latencyMs: usualMs, judged: 1, pauses: 0, answeredAtMs: 0 },
      client: {
        infer: (_model, { request }: { request: InferRequest }) => {
          const id = Buffer.from(request.inputs[0]?.bytes ?? []).readFloatLE(0)
          const unit = waiting.get(id) as Unit
          waiting.delete(id)
          const left = ({ dueMs }: Unit): number => dueMs - clock.now()
          for (const other of waiting.values()) {
            if (other.id > id) continue
            passed++
            if (left(other) >= LEAST_LATENCIES * instance.latencyMs) faults.push(`${id} passed ${other.id}`)
          }
          if (unit.behind && left(unit) < instance.latencyMs) faults.push(`${id} is late for certain`)
          return new Promise((resolve) =>
            clock.schedule(usualMs * random.uniform(0.8, 1.2), () => resolve({ modelName: 'm', outputs: [] })),
          )
        },
        ready: () => Promise.resolve(true),
        metadata: () => Promise.resolve(undefined),
        close: () => Promise.resolve(),
      },
    }
    return instance
  })
  const pool = createPool({ instances, clock, probeEveryMs: 1e6 })
  const count = 40
  for (let now = 0, id = 0; id < count; now += random.integer(1, 8)) {
    clock.advanceTo(now)
    await new Promise((resolve) => setImmediate(resolve))
    const unit = { id: id++, dueMs: now + random.integer(20, 200), behind: waiting.size > 0 }
    waiting.set(unit.id, unit)
    const inputs = [floats('x', [unit.id], [1, 1])]
    const job = { inputs, headers: {}, work: new Cancellation(), placed: new Set<string>(), dueMs: unit.dueMs }
    const end = (): void => {
      waiting.delete(unit.id)
      settled++
    }
    pool.run(job).then(end, end)
  }
  for (let now = clock.now(); settled < count && now < 10_000; now += 5) {
    clock.advanceTo(now)
    await new Promise((resolve) => setImmediate(resolve))
  }
  pool.close()
  return { passed, settled, faults }
}

it('holds over random schedules', async () => {
  let passed = 0
  for (let seed = 0; seed < 40; seed++) {
    const out = await schedule(seed)
    expect({ seed, ...out }).toEqual({ seed, passed: out.passed, settled: 40, faults: [] })
    passed += out.passed
  }
  expect(passed).toBeGreaterThan(20)
})
