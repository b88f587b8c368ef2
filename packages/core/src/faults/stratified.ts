// Single-bit flips stratified by layer and bit: rare but harmful strata get as many trials as the others, and each
// fault carries its weight back to the population.
import { assertInteger, assertOneOf, invalidArgument } from '../guards.ts'
import { bytesPerElement } from '../formats/dtypes.ts'
import { createRandom } from '../random/generator.ts'
import type { Random } from '../random/types.ts'
import type { Fault, FaultList } from '../types/faults.ts'
import type { LinearLayer } from '../types/layers.ts'
import { siteAt, siteDType, sitePopulation, type SiteKind } from './sites.ts'

export interface StratifiedFlipsOptions {
  /** Where the flips strike; default 'accumulator'. */
  readonly site?: SiteKind
  /** Flips in each stratum (a bit of a layer); all of its places when it has fewer. */
  readonly perStratum: number
  readonly seed: number
  /** Bits to sample; default all of the type. The population then has only these. */
  readonly bits?: readonly number[]
  /** Check sums of the scheme, for site 'checksum'; default one a row. */
  readonly checks?: number
}

/** A bit of a layer: what was sampled of how many. */
export interface Stratum {
  readonly layer: string
  readonly bit: number
  /** Opportunities in the whole model: places times calls. */
  readonly population: number
  readonly sampled: number
  /** Share of the whole population; the weights of `stratifiedProportion`. */
  readonly share: number
}

/**
 * Draws flips of every bit of every layer, without repetition within a stratum.
 *
 * Guarantees: the weights of a list average 1, and sum(weight * y) / count estimates the mean of y over the population
 * without bias. A stratum's draws depend on the seed, its layer's id and its bit only.
 *
 * @returns the list and its strata, in the order of the faults
 * @throws FtError `INVALID_ARGUMENT` for no layer, two layers of one id, or a bit outside the type
 * @see Ruospo et al., DATE'23: stratified samples of about 1.5 % matched exhaustive injection
 */
export function stratifiedFlips(
  layers: readonly LinearLayer[],
  options: StratifiedFlipsOptions,
): { list: FaultList; strata: Stratum[] } {
  const { site = 'accumulator', perStratum, seed, checks } = options
  assertInteger(perStratum, { where: 'stratifiedFlips', argument: 'perStratum', min: 1 })
  const ids = layers.map(({ id }) => id)
  if (ids.length === 0 || new Set(ids).size !== ids.length) {
    throw invalidArgument({ where: 'stratifiedFlips', argument: 'layers' }, 'layers with different ids', ids)
  }
  const place = checks === undefined ? { kind: site } : { kind: site, checks }
  const random = createRandom(seed).stream('stratified')
  const groups = layers.flatMap((layer) => {
    const places = sitePopulation(layer, place)
    const indices = (bit: number) =>
      distinct(random.stream(layer.id, bit), { below: places, count: Math.min(perStratum, places) })
    return bitsOf(layer, options).map((bit) => ({ layer, bit, places: places * layer.count, indices: indices(bit) }))
  })
  const population = groups.reduce((sum, { places }) => sum + places, 0)
  const count = groups.reduce((sum, { indices }) => sum + indices.length, 0)
  const faults = groups.flatMap(({ layer, bit, places, indices }) => {
    const weight = places / population / (indices.length / count)
    return indices.map((index): Fault => {
      return {
        layer: layer.id,
        site: siteAt(layer, { ...place, index }),
        effect: { kind: 'flip', bits: [bit] },
        weight,
      }
    })
  })
  const strata = groups.map(({ layer, bit, places, indices }) => {
    return { layer: layer.id, bit, population: places, sampled: indices.length, share: places / population }
  })
  return { list: { schema: 'ft.faults', version: 1, seed, faults }, strata }
}

function bitsOf(layer: LinearLayer, { site = 'accumulator', bits }: StratifiedFlipsOptions): readonly number[] {
  const width = 8 * bytesPerElement(siteDType(layer, site))
  if (bits === undefined) return Array.from({ length: width }, (_, bit) => bit)
  for (const bit of bits) assertInteger(bit, { where: 'stratifiedFlips', argument: 'bits', min: 0, max: width - 1 })
  assertOneOf(new Set(bits).size, { where: 'stratifiedFlips', argument: 'different bits', values: [bits.length] })
  return bits
}

/** Floyd's algorithm, for populations beyond 2^32. The order is not random, and need not be. */
function distinct(random: Random, { below, count }: { below: number; count: number }): number[] {
  const chosen = new Set<number>()
  for (let top = below - count; top < below; top++) {
    const candidate = random.integer(0, top)
    chosen.add(chosen.has(candidate) ? top : candidate)
  }
  return [...chosen]
}
