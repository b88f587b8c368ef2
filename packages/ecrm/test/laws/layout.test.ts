// The balance law and the bijection, for every k + r <= N <= 8 and more.
import { describe, expect, it } from 'vitest'
import { isFtError } from '@ft/core'
import { createLayout } from '../../src/layout.ts'

const sizes: (readonly [number, number, number])[] = []
for (let servers = 2; servers <= 8; servers++)
  for (let k = 1; k < servers; k++) for (let r = 1; r <= Math.min(2, servers - k); r++) sizes.push([k, r, servers])
sizes.push([4, 1, 10], [4, 2, 11], [8, 2, 16])

describe.each(sizes.flatMap((size) => [0, 1, 40].map((bare) => [...size, bare] as const)))(
  'k = %i, r = %i, N = %i, %i rows without parity',
  (k, r, servers, bare) => {
    const coded = k * servers * 3 + 1
    const rows = coded + bare
    const layout = createLayout({ rows, bare, k, r, servers, seed: 5 })

    it('is a bijection of ids and of every row of a server', () => {
      const seen = new Set<string>()
      for (let id = 0; id < rows; id++) {
        const place = layout.placeOf(id)
        expect(layout.idOf(place)).toBe(id)
        const server = layout.serverOf(place)
        const local = layout.localOf(place)
        expect(local).toBeLessThan(layout.dataRows)
        expect(layout.dataPlace(server, local)).toEqual(place)
        seen.add(`${server}:${local}`)
      }
      expect(seen.size).toBe(rows)
      // Every other number of a server is of no row.
      let none = 0
      for (let server = 0; server < servers; server++)
        for (let local = 0; local < layout.dataRows; local++)
          if (layout.idOf(layout.dataPlace(server, local)) < 0) none++
      expect(none).toBe(layout.dataRows * servers - rows)
      for (let server = 0; server < servers; server++)
        for (let local = 0; local < layout.parityRows; local++) {
          const place = layout.parityPlace(server, local)
          expect([layout.serverOf(place), layout.localOf(place)]).toEqual([server, local])
          expect(place.position).toBeGreaterThanOrEqual(k)
        }
    })

    it('says the same of many rows as of each', () => {
      const ids = Uint32Array.from({ length: rows }, (_, i) => rows - 1 - i)
      const out = { servers: new Uint16Array(rows), locals: new Uint32Array(rows) }
      layout.locate(ids, out)
      const places = Array.from(ids, (id) => layout.placeOf(id))
      expect(Array.from(out.servers)).toEqual(places.map((place) => layout.serverOf(place)))
      expect(Array.from(out.locals)).toEqual(places.map((place) => layout.localOf(place)))
      for (let stripe = 0; stripe < layout.stripes; stripe++) {
        const expected = new Array<number>(servers).fill(-1)
        for (let position = k; position < k + r; position++)
          expected[layout.serverOf({ stripe, position })] = layout.localOf({ stripe, position })
        expect(expected.map((_, server) => layout.parityLocal(server, stripe))).toEqual(expected)
        for (let position = 0; position < k; position++)
          expected[layout.serverOf({ stripe, position })] = layout.localOf({ stripe, position })
        expect(expected.map((_, server) => layout.localIn(server, stripe))).toEqual(expected)
      }
    })

    it('has those without parity last: by id, by stripe, and on every server', () => {
      for (let id = 0; id < rows; id++) {
        const place = layout.placeOf(id)
        expect(place.stripe < layout.stripes).toBe(id < coded)
        expect(layout.localOf(place) < layout.firstBare).toBe(id < coded)
      }
      const alone = createLayout({ rows: coded, k, r, servers, seed: 5 })
      expect([layout.stripes, layout.parityRows, layout.firstBare]).toEqual([
        alone.stripes,
        alone.parityRows,
        alone.dataRows,
      ])
      for (let id = 0; id < coded; id++) expect(layout.placeOf(id)).toEqual(alone.placeOf(id))
      // As many on each server, but for the last group.
      expect(layout.dataRows - layout.firstBare).toBe(Math.ceil(bare / (k * servers)) * k)
    })

    it('puts the rows of a stripe on different servers', () => {
      for (let stripe = 0; stripe < layout.stripes; stripe++) {
        const on = Array.from({ length: k + r }, (_, position) => layout.serverOf({ stripe, position }))
        expect(new Set(on).size).toBe(k + r)
      }
    })

    it('gives every server k data and r parity rows of any N consecutive stripes', () => {
      for (const start of [0, 1, servers - 1]) {
        const data = new Array<number>(servers).fill(0)
        const parity = new Array<number>(servers).fill(0)
        for (let stripe = start; stripe < start + servers; stripe++)
          for (let position = 0; position < k + r; position++)
            (position < k ? data : parity)[layout.serverOf({ stripe, position })]!++
        expect(data).toEqual(new Array(servers).fill(k))
        expect(parity).toEqual(new Array(servers).fill(r))
      }
    })
  },
)

it('separates neighbours: the 64 most frequent ids of a sorted list share no stripe', () => {
  const layout = createLayout({ rows: 100_000, k: 4, r: 1, servers: 5 })
  expect(new Set(Array.from({ length: 64 }, (_, id) => layout.placeOf(id).stripe)).size).toBe(64)
})

it('stays a bijection where products pass 2^53', () => {
  const layout = createLayout({ rows: 2 ** 31, k: 4, r: 1, servers: 5 })
  for (let i = 0; i < 10_000; i++) {
    const id = (i * 214_748 + 2 ** 31 - 1 - i) % 2 ** 31
    expect(layout.idOf(layout.placeOf(id))).toBe(id)
  }
})

it.each([
  { rows: 10, k: 4, r: 1, servers: 4 },
  { rows: 0, k: 4, r: 1, servers: 5 },
  { rows: 10, k: 250, r: 7, servers: 300 },
  { rows: 10.5, k: 4, r: 1, servers: 5 },
])('refuses %j', (options) => {
  expect(() => createLayout(options)).toThrow(expect.toSatisfy((e) => isFtError(e, 'INVALID_ARGUMENT')))
})
