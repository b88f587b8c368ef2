import { describe, expect, it } from 'vitest'
import { isFtError } from '../src/index.ts'
import { createRandom, restoreRandom, type Random, type RandomState } from '../src/random.ts'

const draws = (random: Random, count = 8) => Array.from({ length: count }, () => random.uint32())

describe('streams', () => {
  it('depend on seed, name and index, and on nothing else', () => {
    const used = createRandom(5)
    used.stream('a').uniform()
    draws(used, 100)
    expect(draws(used.stream('b'))).toEqual(draws(createRandom(5).stream('b')))
    const names = ['', 'a', 'b', 'ab', 'ba', 'aa', 'A', 'é', '0']
    const all = [
      ...names.flatMap((name) => [0, 1, 2, -1, 2 ** 32, 2 ** 40].map((i) => draws(createRandom(5).stream(name, i)))),
      ...[0, 1, -1, 2 ** 32, 2 ** 33, 2 ** 53 - 1, -(2 ** 53) + 1].map((seed) => draws(createRandom(seed))),
      ...names.map((name) => draws(createRandom(5).stream('x').stream(name))),
    ]
    expect(new Set(all.map(String)).size).toBe(all.length)
  })

  it('keep apart a name inside a name and the joined name', () => {
    const random = createRandom(1)
    expect(draws(random.stream('a').stream('b'))).not.toEqual(draws(random.stream('ab')))
  })

  it('start alike when made twice', () => {
    const random = createRandom(1)
    expect(draws(random.stream('a'))).toEqual(draws(random.stream('a')))
  })
})

describe('state', () => {
  it('survives JSON and continues with the same bits, half a pair of normals included', () => {
    const random = createRandom(3).stream('x')
    random.normal()
    const copy = restoreRandom(JSON.parse(JSON.stringify(random.state())) as RandomState)
    const rest = (r: Random) => [r.normal(), r.normal(), ...draws(r), ...draws(r.stream('y'))]
    expect(rest(copy)).toEqual(rest(random))
  })

  const good = createRandom(3).state()
  it.each([
    ['null', null],
    ['a string', 'ft.random'],
    ['another schema', { ...good, schema: 'ft.faults' }],
    ['three words', { ...good, state: [1, 2, 3] }],
    ['a negative word', { ...good, state: [1, 2, 3, -4] }],
    ['a fractional word', { ...good, key: [1, 2, 3, 0.5] }],
    ['a word beyond 32 bits', { ...good, key: [1, 2, 3, 2 ** 32] }],
    ['all zeros', { ...good, state: [0, 0, 0, 0] }],
    ['no key', { ...good, key: undefined }],
    ['NaN as the spare', { ...good, spare: NaN }],
    ['no spare', { ...good, spare: undefined }],
  ])('that is %s is refused', (_, state) => {
    expect(() => restoreRandom(state as unknown as RandomState)).toThrow(
      expect.objectContaining({ code: 'CORRUPT_DATA' }) as Error,
    )
  })

  it('of a newer version is refused by name', () => {
    const newer = { ...good, version: 2 } as unknown as RandomState
    expect(() => restoreRandom(newer)).toThrow(expect.objectContaining({ code: 'VERSION_UNSUPPORTED' }) as Error)
  })
})

describe('arguments', () => {
  const random = createRandom(1)
  it.each<[string, () => unknown]>([
    ['seed 0.5', () => createRandom(0.5)],
    ['seed NaN', () => createRandom(NaN)],
    ['seed 2^53', () => createRandom(2 ** 53)],
    ['stream index 0.5', () => random.stream('a', 0.5)],
    ['integer(1, 0)', () => random.integer(1, 0)],
    ['integer(0, 0.5)', () => random.integer(0, 0.5)],
    ['integer over 2^53 values', () => random.integer(-(2 ** 53) + 1, 2 ** 53 - 1)],
    ['uniform(1, 0)', () => random.uniform(1, 0)],
    ['uniform(0, Infinity)', () => random.uniform(0, Infinity)],
    ['uniform over all numbers', () => random.uniform(-Number.MAX_VALUE, Number.MAX_VALUE)],
    ['normal(NaN)', () => random.normal(NaN)],
    ['normal(0, -1)', () => random.normal(0, -1)],
    ['exponential(0)', () => random.exponential(0)],
    ['bernoulli(1.1)', () => random.bernoulli(1.1)],
    ['bernoulli(NaN)', () => random.bernoulli(NaN)],
    ['binomial(-1, 0.5)', () => random.binomial(-1, 0.5)],
    ['binomial(1, 2)', () => random.binomial(1, 2)],
    ['permutation(1.5)', () => random.permutation(1.5)],
    ['pick of nothing', () => random.pick([])],
    ['sample(3, 4)', () => random.sample(3, 4)],
    ['sample(2^32, 1)', () => random.sample(2 ** 32, 1)],
    ['fillUniform from 1 to 0', () => random.fillUniform(new Float32Array(1), { low: 1, high: 0 })],
    ['fillNormal with NaN', () => random.fillNormal(new Float32Array(1), { standardDeviation: NaN })],
  ])('%s is INVALID_ARGUMENT', (_, call) => {
    let caught: unknown
    try {
      call()
    } catch (error) {
      caught = error
    }
    expect(isFtError(caught, 'INVALID_ARGUMENT')).toBe(true)
  })

  it('are named in the message', () => {
    expect(() => random.bernoulli(2)).toThrow('random.bernoulli: `p` must be a probability in [0, 1], got 2')
  })
})

describe('draws', () => {
  it('are one number where the range has one', () => {
    const random = createRandom(2)
    expect(random.integer(5, 5)).toBe(5)
    expect(random.uniform(2, 2)).toBe(2)
    expect(random.normal(4, 0)).toBe(4)
    expect([random.bernoulli(0), random.bernoulli(1)]).toEqual([false, true])
    expect([random.binomial(9, 0), random.binomial(9, 1), random.binomial(0, 0.3)]).toEqual([0, 9, 0])
    expect([...random.permutation(1), ...random.sample(0, 0), ...random.permutation(0)]).toEqual([0])
  })

  it('fill arrays with the numbers that single calls give', () => {
    const one = createRandom(8)
    const many = createRandom(8)
    const uniform = many.fillUniform(new Float64Array(5))
    expect([...uniform]).toEqual(Array.from({ length: 5 }, () => one.uniform()))
    const normal = many.fillNormal(new Float32Array(7), { mean: 2, standardDeviation: 3 })
    expect([...normal]).toEqual(Array.from({ length: 7 }, () => Math.fround(one.normal(2, 3))))
  })

  it('stay below `high` where rounding would reach it', () => {
    const random = createRandom(4)
    const low = 1
    const high = 1 + 2 ** -23 // the next float32
    expect([...random.fillUniform(new Float32Array(1000), { low, high })].every((x) => x === low)).toBe(true)
    const next = 1 + Number.EPSILON
    for (let i = 0; i < 1000; i++) expect(random.uniform(1, next)).toBe(1)
    const unit = random.fillUniform(new Float32Array(1_000_000))
    expect(unit.every((x) => x >= 0 && x < 1)).toBe(true)
  })
})
