// What is between servers and what a worker waits for: the order in which a shard's process does it, on a clock of the test's own.
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { createTurns } from '../src/network/turns.ts'

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setImmediate', 'clearImmediate', 'setTimeout', 'clearTimeout', 'performance'] })
})
afterEach(() => {
  vi.restoreAllMocks()
  vi.useRealTimers()
})

it('does everything in order, worker answers first, however long it takes', () => {
  const done: (number | string)[] = []
  const turns = createTurns(() => done.push('answers'))
  // Each takes longer than a turn should: a turn is a quarter of what waits then.
  const clock = performance.now.bind(performance)
  let spent = 0
  vi.spyOn(performance, 'now').mockImplementation(() => clock() + spent)
  for (let i = 0; i < 8; i++)
    turns.add(() => {
      spent += 1
      done.push(i)
    })
  expect(done).toEqual([])
  vi.runAllTimers()
  expect(done.filter((one) => one !== 'answers')).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
  expect(done.slice(0, 4)).toEqual(['answers', 0, 1, 'answers'])
})

it('waits for the question that a worker announced, and no longer than that', () => {
  const done: string[] = []
  const turns = createTurns(() => undefined)
  turns.hold(7)
  turns.add(() => done.push('delta'))
  vi.advanceTimersByTime(3)
  expect(done).toEqual([])
  turns.release(7)
  vi.advanceTimersByTime(0)
  vi.runAllTimers()
  expect(done).toEqual(['delta'])
})

it('waits only so long for a question that does not come', () => {
  const done: number[] = []
  const turns = createTurns(() => undefined)
  turns.hold(7)
  turns.hold(8)
  turns.add(() => done.push(performance.now()))
  const start = performance.now()
  turns.release(8)
  vi.advanceTimersByTime(20)
  expect(done).toHaveLength(1)
  expect(done[0]! - start).toBeLessThanOrEqual(6)
})

it('waits, too, with what came before the worker said that it asks', () => {
  const done: string[] = []
  const turns = createTurns(() => undefined)
  turns.add(() => done.push('delta'))
  turns.hold(7)
  vi.advanceTimersByTime(3)
  expect(done).toEqual([])
  turns.release(7)
  vi.advanceTimersByTime(1)
  expect(done).toEqual(['delta'])
})

it('does nothing after it was cleared', () => {
  const done: number[] = []
  const turns = createTurns(() => undefined)
  turns.add(() => done.push(1))
  turns.clear()
  vi.runAllTimers()
  expect(done).toEqual([])
})
