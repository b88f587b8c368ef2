// The order of recovery in the background: rows that were updated most come first, all come in the end.
import { expect, it } from 'vitest'
import { lockstep } from '../support/lockstep.ts'

it.each([1, 2, 3])('the sweep takes the most updated rows first, r = %i', (r) => {
  const net = lockstep({ r, servers: 2 + r, ranges: [{ rows: 600, scale: 1 }] })
  const hot = [7, 90, 41, 3]
  let id = 0
  hot.forEach((row, i) => {
    for (let times = 0; times < 4 - i; times++) net.push(0, ++id, [row])
  })
  net.run()
  net.crash(0)
  net.announce()
  // The first step asks what is hot and does not wait for the answer; the next ones follow it.
  net.shards[0]!.step(1)
  net.run()
  const { storage } = net.shards[0]!
  const order: number[] = []
  for (let step = 0; step < 4; step++) {
    const before = storage.dataState.slice()
    net.shards[0]!.step(1)
    net.run()
    storage.dataState.forEach((state, row) => state !== before[row] && order.push(row))
  }
  expect(order).toEqual(hot)
  expect(net.recover()).toBe(true)
})
