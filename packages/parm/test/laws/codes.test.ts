// Laws of every code over every erasure pattern: with a model for which the code's promise holds exactly, whatever can be
// decoded is right, and `canDecode` says when that is.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isFtError } from '@ft/core'
import { createRandom } from '@ft/core/random'
import { concat, replication, sum, unitId, weighted, type Code, type NamedTensor } from '../../src/index.ts'

const named = (name: string, data: ArrayLike<number>, shape: readonly number[]): NamedTensor => ({
  name,
  data: Float32Array.from(data),
  shape,
  dtype: 'float32',
})

const random = createRandom(7)
const matrix = random.stream('w').fillNormal(new Float32Array(6 * 4))

/** A linear model: its own parity model, since F(sum) = sum of F. */
function linear(inputs: readonly NamedTensor[]): NamedTensor[] {
  const x = (inputs[0] as NamedTensor).data
  const y = Array.from({ length: 4 }, (_, j) => {
    let value = 0
    for (let i = 0; i < 6; i++) value += (x[i] as number) * (matrix[i * 4 + j] as number)
    return value
  })
  return [named('y', y, [1, 4])]
}

function* patterns(n: number): Generator<Set<number>> {
  for (let bits = 0; bits < 2 ** n; bits++)
    yield new Set(Array.from({ length: n }, (_, i) => i).filter((i) => bits & (1 << i)))
}

const codes: [string, Code, (got: Set<number>) => boolean][] = [
  ...[1, 2, 3, 4, 5].map((k): [string, Code, (got: Set<number>) => boolean] => [
    `sum k=${k}`,
    sum({ k }),
    (got) => got.size >= k,
  ]),
  ...[
    [2, 2],
    [3, 2],
    [4, 3],
    [5, 3],
  ].map(([k = 0, r = 0]): [string, Code, (got: Set<number>) => boolean] => [
    `weighted k=${k} r=${r}`,
    weighted({ k, r }),
    (got) => got.size >= k,
  ]),
  ['replication k=1', replication(), (got) => got.size > 0],
  [
    'replication k=2 x3',
    replication({ k: 2, copies: 3 }),
    (got) => [0, 1].every((s) => [s, s + 2, s + 4].some((u) => got.has(u))),
  ],
]

describe.each(codes)('%s', (_name, code, decodable) => {
  it('decodes a linear model from every decodable pattern and refuses the others', () => {
    const group = Array.from({ length: code.k }, (_, i) => [
      named('x', random.stream('x', i).fillNormal(new Float32Array(6)), [1, 6]),
    ])
    const outputs = code.encode(group).map(linear)
    for (const got of patterns(code.n)) {
      expect(code.canDecode(got)).toBe(decodable(got))
      const map = new Map([...got].map((unit) => [unit, outputs[unit] as NamedTensor[]]))
      if (!decodable(got)) {
        expect(() => code.decode(map)).toThrow()
        continue
      }
      const decoded = code.decode(map)
      for (let i = 0; i < code.k; i++) {
        const expected = linear(group[i] as NamedTensor[])[0] as NamedTensor
        const actual = decoded.outputs[i]?.[0] as NamedTensor
        const received = got.has(i) || code.name === 'replication'
        expect(decoded.quality[i]).toBe(received ? 'exact' : 'reconstructed')
        // float32 rounding of parity inputs (weights up to 5^2, six products of size ~1) times the condition of a 3 x 3
        // Vandermonde block, at most about 2e3: 2^-24 * 25 * 6 * 2e3 < 0.02; received outputs are passed on unchanged
        const tolerance = received ? 0 : code.name === 'sum' ? 2 ** -24 * 64 * code.k : 0.02
        actual.data.forEach((value, e) =>
          expect(Math.abs(value - (expected.data[e] as number))).toBeLessThanOrEqual(tolerance),
        )
      }
    }
  })

  it('names a model for every unit: the deployed one for queries', () => {
    for (let unit = 0; unit < code.k; unit++) expect(code.modelFor(unit)).toBe('base')
    for (let unit = code.k; unit < code.n; unit++)
      expect(code.modelFor(unit) === 'base').toBe(code.name === 'replication')
  })
})

describe('sum', () => {
  it('is exact for integers, whatever is lost', () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(fc.integer({ min: -1000, max: 1000 }), { minLength: 3, maxLength: 3 }), {
          minLength: 2,
          maxLength: 6,
        }),
        fc.nat(),
        (rows, pick) => {
          const code = sum({ k: rows.length })
          const units = code.encode(rows.map((row) => [named('x', row, [1, 3])]))
          const lost = pick % rows.length
          const got = new Map(units.map((unit, i) => [i, unit]))
          got.delete(lost)
          expect(Array.from(code.decode(got).outputs[lost]?.[0]?.data ?? [])).toEqual(rows[lost])
        },
      ),
    )
  })

  it('shortens only when its parity model was trained for it', () => {
    expect(sum({ k: 3 }).shorten).toBeUndefined()
    expect(sum({ k: 3, shortGroups: true }).shorten?.(2)?.k).toBe(2)
    expect(sum({ k: 3, shortGroups: true }).shorten?.(3)).toBeUndefined()
  })

  it('encodes uint8 inputs in float32, without wrapping', () => {
    const pixels: NamedTensor = { name: 'x', data: Uint8Array.of(200, 255), shape: [1, 2], dtype: 'uint8' }
    const parity = sum({ k: 2 }).encode([[pixels], [pixels]])[2]?.[0]
    expect(parity?.dtype).toBe('float32')
    expect(Array.from(parity?.data ?? [])).toEqual([400, 510])
  })
})

describe('concat', () => {
  it.each([
    [2, 28, 28, 0, 0],
    [4, 28, 28, 0, 0],
    [9, 28, 28, 1, 1],
    [2, 5, 7, 0, 1],
    [4, 5, 7, 1, 1],
    [9, 9, 9, 0, 0],
  ] as const)(
    'k=%i of %i x %i: constant images keep their value in their cell, the padding is zero',
    (k, height, width, bottom, right) => {
      for (const layout of ['HWC', 'CHW'] as const) {
        const code = concat({ k, image: { height, width, channels: 2, layout } })
        expect(code.padding).toEqual({ bottom, right })
        const at = (y: number, x: number, c: number) =>
          layout === 'HWC' ? (y * width + x) * 2 + c : (c * height + y) * width + x
        const image = (i: number) => {
          const data = new Float32Array(height * width * 2)
          for (let y = 0; y < height; y++)
            for (let x = 0; x < width; x++) for (let c = 0; c < 2; c++) data[at(y, x, c)] = 10 * (i + 1) + c
          return [named('image', data, [1, height * width * 2])]
        }
        const parity = code.encode(Array.from({ length: k }, (_, i) => image(i)))[k]?.[0]?.data ?? []
        const cell = { h: (height - bottom) / code.grid.rows, w: (width - right) / code.grid.columns }
        for (let y = 0; y < height; y++)
          for (let x = 0; x < width; x++)
            for (let c = 0; c < 2; c++) {
              const outside = y >= height - bottom || x >= width - right
              const member = Math.floor(y / cell.h) * code.grid.columns + Math.floor(x / cell.w)
              // Weights are normalised in float64: their sum is 1 to about 1e-15, the value is rounded to float32 once
              expect(parity[at(y, x, c)]).toBeCloseTo(outside ? 0 : 10 * (member + 1) + c, 4)
            }
      }
    },
  )

  it('halves with the taps 1/8, 3/8, 3/8, 1/8, renormalised at the edges', () => {
    const code = concat({ k: 2, image: { height: 1, width: 8 } })
    const impulse = (at: number) => [
      named(
        'image',
        Float32Array.from({ length: 8 }, (_, x) => Number(x === at)),
        [1, 8],
      ),
    ]
    const response = (at: number) => Array.from(code.encode([impulse(at), impulse(at)])[2]?.[0]?.data ?? []).slice(0, 4)
    // Output 1 covers inputs 1..4; output 0 covers -1..2, of which 0..2 exist: 3/8, 3/8, 1/8 over 7/8
    expect([1, 2, 3, 4].map((at) => response(at)[1])).toEqual([0.125, 0.375, 0.375, 0.125])
    expect([0, 1, 2].map((at) => response(at)[0])).toEqual([3 / 7, 3 / 7, 1 / 7].map(Math.fround))
  })

  it('refuses what is not one image', () => {
    const code = concat({ k: 2, image: { height: 4, width: 4 } })
    const bad = [named('x', new Float32Array(15), [1, 15])]
    expect(() => code.encode([bad, bad])).toThrow(/one image of 4 x 4 x 1/)
  })
})

it('gives units dense ids with the parity last in its group', () => {
  expect([0, 1].map((group) => unitId(sum({ k: 2 }), { group, slot: 2 }))).toEqual([2, 5])
  expect([0, 1, 2].map((group) => unitId(sum({ k: 3 }), { group, slot: 3 }))).toEqual([3, 7, 11])
})

it('refuses members of different shapes, coefficients with a singular part, and too few outputs', () => {
  const a = [named('x', [1, 2], [1, 2])]
  const b = [named('x', [1, 2], [2, 1])]
  const code = (run: () => unknown) => {
    try {
      run()
    } catch (error) {
      return isFtError(error) ? error.code : 'other'
    }
    return 'none'
  }
  expect(code(() => sum({ k: 2 }).encode([a, b]))).toBe('SHAPE_MISMATCH')
  expect(code(() => sum({ k: 2 }).encode([a]))).toBe('INVALID_ARGUMENT')
  expect(code(() => sum({ k: 2 }).decode(new Map([[2, a]])))).toBe('UNRECOVERABLE')
  expect(
    code(() =>
      weighted({
        k: 2,
        r: 2,
        coefficients: [
          [1, 2],
          [2, 4],
        ],
      }),
    ),
  ).toBe('INVALID_ARGUMENT')
  const half: NamedTensor = { name: 'x', data: new Uint16Array(2), shape: [1, 2], dtype: 'float16' }
  expect(code(() => sum({ k: 2 }).encode([[half], [half]]))).toBe('UNSUPPORTED')
})
