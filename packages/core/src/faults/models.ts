// Fault models that strike one place: bit flips, carries, stuck bits, random values, wrong terms, damaged weights.
// A model draws the faults of one physical event; `sampleFaults` makes lists of them.
import { assertInteger, assertNumber, assertOneOf } from '../guards.ts'
import { bytesPerElement } from '../formats/dtypes.ts'
import { fromBits } from '../formats/bits.ts'
import type { Random } from '../random/types.ts'
import type { Fault, FaultEffect } from '../types/faults.ts'
import type { LinearLayer } from '../types/layers.ts'
import { drawSite, extentOf, siteDType, sitePopulation, type SiteKind } from './sites.ts'

/** A kind of physical event. */
export interface FaultModel {
  readonly name: string
  /** Draws the faults of one event: usually one, for patterns such as a whole row many. */
  draw(layer: LinearLayer, random: Random): Fault[]
  /** Opportunities in one call of a layer, to choose among layers. */
  population(layer: LinearLayer): number
}

/** Where a model strikes. */
export interface SiteOptions {
  /** Default 'accumulator'. */
  readonly site?: SiteKind
  /** Check sums of the scheme, for site 'checksum'; default one a row. */
  readonly checks?: number
}

/**
 * Flips `bits` different bits of one value (1 to 4; default 1).
 *
 * @param options.adjacent - neighbouring bits, as multi-bit upsets often are; default false: any bits
 * @param options.within - lowest and highest bit to flip; default the whole value
 */
export function bitFlips(
  options: SiteOptions & { bits?: 1 | 2 | 3 | 4; adjacent?: boolean; within?: readonly [number, number] } = {},
): FaultModel {
  const { bits = 1, adjacent = false, within } = options
  assertOneOf(bits, { where: 'bitFlips', argument: 'bits', values: [1, 2, 3, 4] })
  return singleSite(`flip-${bits}${adjacent ? '-adjacent' : ''}`, options, (width, random) => {
    const [low, high] = within ?? [0, width - 1]
    assertInteger(low, { where: 'bitFlips', argument: 'within[0]', min: 0, max: width - bits })
    assertInteger(high, { where: 'bitFlips', argument: 'within[1]', min: low + bits - 1, max: width - 1 })
    if (adjacent) {
      const first = random.integer(low, high - bits + 1)
      return { kind: 'flip', bits: Array.from({ length: bits }, (_, i) => first + i) }
    }
    return { kind: 'flip', bits: Array.from(random.sample(high - low + 1, bits, { ascending: true }), (b) => low + b) }
  })
}

/** A wrong or missing carry: adds or subtracts a power of two to the pattern read as an integer. */
export function carries(options: SiteOptions = {}): FaultModel {
  return singleSite('carry', options, (width, random) => ({
    kind: 'carry',
    bit: random.integer(0, width - 1),
    sign: random.bernoulli(0.5) ? 1 : -1,
  }))
}

/** One bit stuck at 0 or 1 for one product; persistent when asked. Half of them change nothing, as in hardware. */
export function stuckBits(options: SiteOptions & { persistent?: boolean } = {}): FaultModel {
  const model = singleSite('stuck', options, (width, random) => ({
    kind: 'stuck',
    bit: random.integer(0, width - 1),
    at: random.bernoulli(0.5) ? 1 : 0,
  }))
  return options.persistent === true ? persistently(model) : model
}

/**
 * Replaces a value.
 *
 * @param options.range - uniform values of this range; default a uniform bit pattern of the type, which for floats
 * spreads over all magnitudes and includes infinities and NaN
 */
export function randomValues(options: SiteOptions & { range?: readonly [number, number] } = {}): FaultModel {
  const { range, site = 'accumulator' } = options
  for (const end of range ?? []) assertNumber(end, { where: 'randomValues', argument: 'range' })
  return singleSite('random-value', options, (width, random, layer) => {
    if (range) return { kind: 'set', value: random.uniform(range[0], range[1]) }
    return { kind: 'set', value: fromBits(random.uint32() >>> (32 - width), siteDType(layer, site)) }
  })
}

/** Leaves one multiply-add out. */
export function droppedTerms(): FaultModel {
  return singleSite('dropped-term', { site: 'accumulator' }, () => ({ kind: 'drop-term' }))
}

/** Does one multiply-add twice. */
export function doubledTerms(): FaultModel {
  return singleSite('doubled-term', { site: 'accumulator' }, () => ({ kind: 'double-term' }))
}

/** Flips bits of a packed weight, which stays wrong for every product until it is packed again. */
export function weightFlips(options: { bits?: 1 | 2 | 3 | 4; adjacent?: boolean } = {}): FaultModel {
  return persistently(bitFlips({ ...options, site: 'packed-weight' }))
}

/**
 * Flips bits of one id of an embedding look-up, so that the sum takes another row, or one that is not there.
 *
 * The layer is the bag as a product: `k` is the number of ids a bag sums, `m` the bags, so that a call reads `m k` ids
 * (times `op.batch`).
 *
 * @param options.bits - different bits to flip; default 1
 * @param options.width - low bits that can be struck; default 32, ids being int32
 */
export function indexFlips(options: { bits?: 1 | 2 | 3 | 4; width?: number } = {}): FaultModel {
  const { bits = 1, width = 32 } = options
  assertOneOf(bits, { where: 'indexFlips', argument: 'bits', values: [1, 2, 3, 4] })
  assertInteger(width, { where: 'indexFlips', argument: 'width', min: bits, max: 32 })
  const ids = (layer: LinearLayer): number => {
    const { rows, steps } = extentOf(layer)
    return rows * steps
  }
  return {
    name: `flip-${bits}@index`,
    population: ids,
    draw: (layer, random) => [
      {
        layer: layer.id,
        site: { kind: 'index', position: random.integer(0, ids(layer) - 1) },
        effect: { kind: 'flip', bits: Array.from(random.sample(width, bits, { ascending: true })) },
      },
    ],
  }
}

function singleSite(
  name: string,
  { site: kind = 'accumulator', checks }: SiteOptions,
  effect: (width: number, random: Random, layer: LinearLayer) => FaultEffect,
): FaultModel {
  const where = checks === undefined ? { kind } : { kind, checks }
  return {
    name: `${name}@${kind}`,
    population: (layer) => sitePopulation(layer, where),
    draw(layer, random) {
      const width = 8 * bytesPerElement(siteDType(layer, kind))
      const site = drawSite(layer, { ...where, random })
      return [{ layer: layer.id, site, effect: effect(width, random, layer) }]
    },
  }
}

function persistently(model: FaultModel): FaultModel {
  return {
    ...model,
    name: `persistent-${model.name}`,
    draw: (layer, random) => model.draw(layer, random).map((fault) => ({ ...fault, persistent: true })),
  }
}
