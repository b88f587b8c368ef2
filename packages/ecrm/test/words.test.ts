// Rows as words: of every length, at every place, and nothing beside them.
import { expect, it } from 'vitest'
import { addWords, copyWords } from '../src/shard/words.ts'

const length = 11
const from = Uint32Array.from({ length: 2 * length }, (_, i) => 0x9e3779b1 * (i + 1))
const before = Uint32Array.from({ length: 2 * length }, (_, i) => 0x85ebca77 * (i + 1))

it.each(Array.from({ length: length + 1 }, (_, i) => i))('moves and adds %i words', (count) => {
  for (const [toAt, fromAt] of [
    [0, 0],
    [3, 5],
    [7, 2],
  ] as const) {
    const inside = (i: number): boolean => i >= toAt && i < toAt + count
    const [copied, added] = [before.slice(), before.slice()]
    copyWords(copied, toAt, from, fromAt, count)
    addWords(added, toAt, from, fromAt, count)
    expect(copied).toEqual(before.map((word, i) => (inside(i) ? from[fromAt + i - toAt]! : word)))
    expect(added).toEqual(before.map((word, i) => (inside(i) ? word ^ from[fromAt + i - toAt]! : word)))
  }
})
