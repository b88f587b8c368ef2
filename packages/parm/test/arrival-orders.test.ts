// With several parities, whichever units come first decide: every order in which a group's units may come, and every set of
// units that never do.
import { describe, expect, it } from 'vitest'
import { createCoordinator, firstWins, sum, virtualClock, weighted, type Code, type NamedTensor } from '../src/index.ts'

const row = (value: number): NamedTensor[] => [
  { name: 'x', data: Float32Array.of(value), shape: [1, 1], dtype: 'float32' },
]

function* orders(left: readonly number[]): Generator<number[]> {
  if (left.length === 0) yield []
  for (const first of left) for (const rest of orders(left.filter((unit) => unit !== first))) yield [first, ...rest]
}

const difference = [
  [1, 1],
  [1, -1],
]
const codes: [string, Code][] = [
  ['sum, k = 2', sum({ k: 2 })],
  ['weighted, k = 2, r = 2', weighted({ k: 2, r: 2 })],
  ['a sum and a difference', weighted({ k: 2, r: 2, coefficients: difference })],
  ['weighted, k = 3, r = 2', weighted({ k: 3, r: 2 })],
  ['weighted, k = 2, r = 3', weighted({ k: 2, r: 3 })],
]

describe.each(codes)('%s', (_name, code) => {
  const { k, n } = code
  const all = [...orders(Array.from({ length: n }, (_, unit) => unit))]

  it.each([
    ['all units come', n],
    ['only k of them ever come', k],
  ])('answers with the first k units whatever their order, when %s', async (_what, coming) => {
    for (const order of all) {
      const clock = virtualClock()
      const atMs = (unit: number) => 10 * (order.indexOf(unit) + 1)
      const comes = (unit: number) => order.indexOf(unit) < coming
      // A linear model is its own parity model
      const coordinator = createCoordinator({
        code,
        policy: firstWins(),
        clock,
        dispatch: ({ id, inputs }, { done }) => {
          const unit = id % n
          if (comes(unit)) clock.schedule(atMs(unit), () => done(inputs.map((x) => ({ ...x, name: 'y' }))))
        },
      })
      const values = Array.from({ length: k }, (_, i) => 3 ** i)
      const asked = values.map((value) => coordinator.submit({ inputs: row(value) }))
      clock.run()
      const answers = await Promise.all(asked)
      answers.forEach(({ quality, outputs, latencyMs }, slot) => {
        const where = `unit ${slot} of order ${order.join(', ')}`
        const own = atMs(slot)
        expect(quality, where).toBe(own <= 10 * k ? 'exact' : 'reconstructed')
        expect(latencyMs, where).toBe(Math.min(own, 10 * k))
        expect(outputs?.[0]?.data[0], where).toBeCloseTo(values[slot] as number, 4)
      })
      expect(coordinator.open(), order.join()).toEqual({ queries: 0, groups: 0 })
    }
  })
})
