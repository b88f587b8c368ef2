// Digests of long sequences of everything that promises the same bits everywhere. Runs in Node and in a page.
import { toBfloat16Array, toFloat16Array } from '../../src/formats.ts'
import { exp, log, log1p } from '../../src/math.ts'
import { bitFlips, randomValues, sampleFaults, saveFaultList, stratifiedFlips } from '../../src/faults.ts'
import { createRandom } from '../../src/random.ts'
import {
  aucInterval,
  bootstrap,
  erfc,
  meanInterval,
  normalQuantile,
  studentQuantile,
  wilson,
} from '../../src/statistics.ts'
import { layers } from './layers.ts'

/** FNV-1a over the bytes of numbers or the characters of a text. */
function hash(values: ArrayLike<number> | string): string {
  const bytes =
    typeof values === 'string'
      ? Uint8Array.from(values, (character) => character.charCodeAt(0))
      : new Uint8Array(Float64Array.from(values).buffer)
  let h = 0x811c9dc5
  for (const byte of bytes) h = Math.imul(h ^ byte, 0x01000193)
  return (h >>> 0).toString(16).padStart(8, '0')
}

const many = (draw: (i: number) => number, length = 20_000) => Float64Array.from({ length }, (_, i) => draw(i))

export function digests(): Record<string, string> {
  const random = (name: string) => createRandom(1234).stream(name)
  const r = random('arguments')
  const normals = random('sample').fillNormal(new Float64Array(500), { mean: 3 })
  const labels = Array.from(normals, (x, i) => (x + (i % 3) > 4 ? 1 : 0))
  const model = [bitFlips({ bits: 2 }), randomValues({ range: [-1, 1] })].map((each) => ({ model: each, share: 1 }))
  const intervals = [
    wilson({ successes: 3, trials: 17 }),
    meanInterval(normals),
    aucInterval({ scores: normals, labels }),
    bootstrap(Array.from(normals.slice(0, 40)), { statistic: (xs) => meanInterval(xs).value, seed: 5, method: 'bca' }),
  ]
  return {
    exp: hash(many(() => exp(r.uniform(-745, 710)))),
    log: hash(many(() => log(exp(r.uniform(-740, 700))))),
    log1p: hash(many(() => log1p(r.uniform(-1, 5)))),
    uint32: hash(many(() => random('a').stream('b', 3).uint32(), 100)),
    uniform: hash(
      many(
        (
          (own) => () =>
            own.uniform()
        )(random('uniform')),
      ),
    ),
    integer: hash(
      many(
        (
          (own) => (i: number) =>
            own.integer(0, 1 + i ** 3)
        )(random('integer')),
      ),
    ),
    normal: hash(
      many(
        (
          (own) => () =>
            own.normal(1, 2)
        )(random('normal')),
      ),
    ),
    exponential: hash(
      many(
        (
          (own) => () =>
            own.exponential(3)
        )(random('exponential')),
      ),
    ),
    binomial: hash(
      many(
        (
          (own) => (i: number) =>
            own.binomial(i % 50, 0.2)
        )(random('binomial')),
      ),
    ),
    fills: hash([
      ...random('fills').fillNormal(new Float32Array(999)),
      ...random('fills').fillUniform(new Float32Array(999), { low: -1 }),
    ]),
    orders: hash([
      ...random('orders').permutation(1000),
      ...random('orders').sample(10_000, 50),
      ...random('orders').sample(100, 50),
    ]),
    formats: hash([...toFloat16Array(normals), ...toBfloat16Array(normals)]),
    faults: hash(saveFaultList(sampleFaults(layers, { model, count: 200, seed: 6 }))),
    stratified: hash(saveFaultList(stratifiedFlips(layers, { perStratum: 3, seed: 7 }).list)),
    intervals: hash(intervals.flatMap(({ value, low, high }) => [value, low, high])),
    quantiles: hash(
      many((i) => normalQuantile((i + 1) / 1001) + studentQuantile((i + 1) / 1001, 3) + erfc(i / 100 - 2), 999),
    ),
  }
}
