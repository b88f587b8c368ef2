// Cancelling pairs of bench "abft-coverage": errors of +D and -D within one sum, by D in thresholds, under ones and random weights.
import type { Fault, Tensor } from '@ft/core'
import { createRandom, type Random } from '@ft/core/random'
import { wilson } from '@ft/core/statistics'
import type { Kernels } from '@ft/abft-kernels'
import { bounds, type BenchContext } from './bench.ts'

const [M, K, N] = [64, 256, 64]
/** D beside the check's threshold T: a pair escapes random weights with a chance of at most 4 T / D, the global check with 8 T / D. */
const SIZES = [16, 128, 1024, 8192] as const

type Scheme = 'row' | 'column' | 'global'

/** Pairs that a product takes: one a sum, each in a place of its own. */
const pairsOf: Readonly<Record<Scheme, (random: Random, size: number) => Fault[][]>> = {
  row: (random, size) =>
    Array.from({ length: M }, (_, row) => {
      const [first, second] = random.sample(N, 2) as unknown as [number, number]
      return pair([row, first], [row, second], size)
    }),
  column: (random, size) =>
    Array.from({ length: N }, (_, column) => {
      const [first, second] = random.sample(M, 2) as unknown as [number, number]
      return pair([first, column], [second, column], size)
    }),
  global: (random, size) => {
    const [first, second] = random.sample(M * N, 2) as unknown as [number, number]
    return [pair([Math.floor(first / N), first % N], [Math.floor(second / N), second % N], size)]
  },
}

type Place = readonly [row: number, column: number]

function pair(first: Place, second: Place, value: number): Fault[] {
  return [
    { site: { kind: 'output', row: first[0], column: first[1] }, effect: { kind: 'add', value } },
    { site: { kind: 'output', row: second[0], column: second[1] }, effect: { kind: 'add', value: -value } },
  ]
}

/** Every product has weights of a seed of its own, so that pairs that one seed hides do not stay hidden. */
export async function cancellingPairs(context: BenchContext, kernels: Kernels): Promise<void> {
  for (const scheme of ['row', 'column', 'global'] as const) {
    const products = (scheme === 'global' ? M : 1) * (context.quick ? 4 : 48)
    for (const thresholds of SIZES) {
      const found = { ones: 0, random: 0 }
      let pairs = 0
      for (let product = 0; product < products; product++) {
        const random = createRandom(context.seed).stream(`pairs, ${scheme}`, thresholds * 10_000 + product)
        const a: Tensor = { data: random.fillNormal(new Float32Array(M * K)), shape: [M, K], dtype: 'float32' }
        const weights = await kernels.prepare(
          { data: random.fillNormal(new Float32Array(K * N)), shape: [K, N], dtype: 'float32' },
          { checksumWeights: 'random', seed: random.integer(0, 2 ** 31) },
        )
        const { threshold } = (await kernels.matmul(a, weights, { scheme })).report
        const struck = pairsOf[scheme](random, thresholds * threshold.largest)
        for (const checksumWeights of ['ones', 'random'] as const) {
          const { report } = await kernels.matmul(a, weights, {
            ...{ scheme, checksumWeights, faults: struck.flat(), onFault: 'report' },
          })
          found[checksumWeights] += report.detections.filter(({ outcome }) => outcome === 'reported').length
        }
        pairs += struck.length
        weights.release()
      }
      const least = 1 - (scheme === 'global' ? 8 : 4) / thresholds
      for (const [name, target] of [
        ['ones', '0: the known miss'],
        ['random', `>= ${least}`],
      ] as const) {
        const share = wilson({ successes: found[name], trials: pairs })
        context.emit({
          case: `${scheme}, ${pairs} pairs of +-${thresholds} thresholds`,
          metric: `found with ${name === 'ones' ? 'ones' : 'random weights'}`,
          value: share.value,
          unit: '',
          ...bounds(share),
          target,
        })
      }
    }
  }
}
