// Where a campaign's faults come from: models of the core at the engine's sites, and two places outside the product.
import type { Fault, FaultEffect, FaultSite, LinearLayer, ProtectionScheme } from '@ft/core'
import {
  bitFlips,
  carries,
  doubledTerms,
  drawSite,
  droppedTerms,
  randomValues,
  sitePopulation,
  weightFlips,
  type FaultModel,
} from '@ft/core/faults'
import type { Random } from '@ft/core/random'

/** One drawn event. */
export interface DrawnFault {
  /** Faults that the instrumented engine injects. */
  readonly faults: readonly Fault[]
  /** A bit of an element of the input, wrong in memory before the product reads it. */
  readonly input?: { readonly position: number; readonly bit: number }
  /** What happens to the first threshold. */
  readonly threshold?: FaultEffect
  readonly bit: number | null
}

export interface FaultSource {
  readonly name: string
  readonly site: string
  /** Schemes that have the site; default all. */
  readonly schemes?: readonly ProtectionScheme[]
  /** Whether no check can see it: the product is right for what it was given. */
  readonly invisible?: boolean
  population(layer: LinearLayer): number
  draw(layer: LinearLayer, random: Random): DrawnFault
}

/** A source of a model of `@ft/core/faults`. */
export function sourceOf(model: FaultModel, options: { schemes?: readonly ProtectionScheme[] } = {}): FaultSource {
  return {
    name: model.name,
    site: model.name.split('@')[1] ?? 'accumulator',
    ...(options.schemes && { schemes: options.schemes }),
    population: (layer) => model.population(layer),
    draw(layer, random) {
      const faults = model.draw(layer, random).map((fault) => ({ ...fault, site: siteOfItem(layer, fault.site) }))
      return { faults, bit: bitOf(faults) }
    },
  }
}

/** The layer's own view, all groups of a convolution side by side, as the engine counts: one product a group, one after the other. */
function siteOfItem({ m, n, k, op }: LinearLayer, site: FaultSite): FaultSite {
  if (op.kind !== 'conv2d' || op.groups === 1 || site.kind === 'checksum' || site.kind === 'index') return site
  const columns = n / op.groups
  const group = Math.floor(site.kind === 'operand' ? site.step / k : site.column / columns)
  const place = { ...site, ...('column' in site && { column: site.column % columns }) }
  if (place.kind === 'packed-weight') return { ...place, step: group * k + place.step }
  if (place.kind === 'operand') return { ...place, row: group * m + place.row, step: place.step % k }
  return { ...place, row: group * m + place.row }
}

function bitOf([first, ...others]: readonly Fault[]): number | null {
  if (!first || others.length > 0) return null
  const { effect } = first
  if (effect.kind === 'flip') return effect.bits.length === 1 ? (effect.bits[0] as number) : null
  return 'bit' in effect ? effect.bit : null
}

/** The global check's sums are not registers of the engine: nothing to strike there. */
const registers: readonly ProtectionScheme[] = ['row', 'row-column']

/** Sums are float64 on the engines that have an instrumented build: 64 bits. */
const checksumFlips: FaultSource = {
  name: 'flip-1@checksum',
  site: 'checksum',
  schemes: registers,
  population: (layer) => sitePopulation(layer, { kind: 'checksum', ...groupSumsOf(layer) }),
  draw: (layer, random) => {
    const site = drawSite(layer, { kind: 'checksum', random, ...groupSumsOf(layer) })
    const bit = random.integer(0, 63)
    return { faults: [{ layer: layer.id, site, effect: { kind: 'flip', bits: [bit] } }], bit }
  },
}

/**
 * Sums of a convolution's groups. Depthwise ones may have one an output line and channel instead of one a row (an exact
 * replica), fewer than rows: those are struck that every engine has.
 */
function groupSumsOf({ m, op }: LinearLayer): { checks?: number } {
  if (op.kind !== 'conv2d' || op.groups === 1) return {}
  if (op.filter[2] !== 1 || op.filter[3] !== op.groups) return { checks: m * op.groups }
  const [width, taps, left, right] = [op.x[2], op.filter[1], op.pad[2], op.pad[3]]
  const outWidth = Math.floor((width + left + right - (taps - 1) * op.dilation[1] - 1) / op.stride[1]) + 1
  return { checks: (m / outWidth) * op.groups }
}

const inputFlips: FaultSource = {
  name: 'flip-1@input',
  site: 'input',
  invisible: true,
  population: (layer) => sizeOfInput(layer),
  draw: (layer, random) => {
    const bit = random.integer(0, 31)
    return { faults: [], input: { position: random.integer(0, sizeOfInput(layer) - 1), bit }, bit }
  },
}

const thresholdFlips: FaultSource = {
  name: 'flip-1@threshold',
  site: 'threshold',
  population: () => 1,
  draw: (_, random) => {
    const bit = random.integer(0, 31)
    return { faults: [], threshold: { kind: 'flip', bits: [bit] }, bit }
  },
}

function sizeOfInput({ m, k, op }: LinearLayer): number {
  return op.kind === 'matmul' ? op.batch * m * k : op.x.reduce((all, size) => all * size, 1)
}

/** Single flips at every site, carries, wrong terms, random values, damaged packed weights. */
export function allSources(): FaultSource[] {
  return [
    ...(['operand', 'packed-weight', 'accumulator', 'output'] as const).map((site) => sourceOf(bitFlips({ site }))),
    checksumFlips,
    thresholdFlips,
    inputFlips,
    sourceOf(bitFlips({ bits: 2, adjacent: true })),
    sourceOf(carries()),
    sourceOf(droppedTerms()),
    sourceOf(doubledTerms()),
    sourceOf(randomValues({ site: 'output' })),
    sourceOf(weightFlips()),
  ]
}
