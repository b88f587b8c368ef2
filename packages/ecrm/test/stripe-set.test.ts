// A set of stripes as bits.
import { expect, it } from 'vitest'
import { createStripeSet } from '../src/shard/stripeSet.ts'

it('has what was added and not taken out, and nothing beyond its end', () => {
  const set = createStripeSet(70)
  const all = [0, 31, 32, 63, 69]
  for (const stripe of all) set.add(stripe)
  const inside = (): number[] => Array.from({ length: 200 }, (_, i) => i).filter((i) => set.has(i))
  expect(inside()).toEqual(all)
  set.remove([31, 69, 5])
  expect(inside()).toEqual([0, 32, 63])
  set.add(2 ** 31)
  set.remove([2 ** 31 + 5])
  expect([set.has(2 ** 31), set.has(2 ** 32)]).toEqual([false, true])
  expect(inside()).toEqual([0, 32, 63])
})
