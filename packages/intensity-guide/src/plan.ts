// Plans as documents: made from a network, totalled, saved, read back with every field checked.
import {
  FtError,
  type LinearLayer,
  type PlannedLayer,
  type PlanTarget,
  type ProtectionPlan,
  type ProtectionScheme,
} from '@ft/core'
import { choosePerLayer, type ChooseOptions } from './choosePerLayer.ts'
import { predict } from './cost.ts'
import { wrongIntervalField, wrongLayerField } from './fields.ts'
import { isRecord } from './models/network.ts'
import { targetSchemes } from './targets.ts'
import type { Network } from './zoo/index.ts'

/**
 * Plans a network's protection.
 *
 * @param network - a zoo network, or any `{ name, layers, fingerprint? }`
 * @throws FtError `INVALID_ARGUMENT` for a network without layers or with two layers of one id
 * @example
 * ```ts
 * import { findDevice, zoo } from '@ft/intensity-guide'
 * const plan = planNetwork(zoo('resnet50', { resolution: [1080, 1920] }), { device: findDevice('t4') })
 * plan.layers.filter((layer) => layer.scheme === 'thread-one-sided').length // => 37
 * ```
 */
export function planNetwork(network: Network & { fingerprint?: string }, options: ChooseOptions): ProtectionPlan {
  checkNetwork(network)
  return planDocument(network, options, choosePerLayer(network.layers, options))
}

/** The document around planned layers. */
export function planDocument(
  network: Network & { fingerprint?: string },
  { target = 'wasm', device }: Pick<ChooseOptions, 'target' | 'device'>,
  layers: readonly PlannedLayer[],
): ProtectionPlan {
  const { name } = network
  return {
    schema: 'ft.plan',
    version: 1,
    target,
    model: { name, fingerprint: network.fingerprint ?? shapesFingerprint(network.layers) },
    device: device.name,
    layers,
  }
}

/** @throws FtError `INVALID_ARGUMENT` for a network without layers or with two layers of one id */
export function checkNetwork({ name, layers }: Network): void {
  if (!Array.isArray(layers)) {
    throw new FtError('INVALID_ARGUMENT', 'planNetwork: a network is { name, layers }, as readOnnx and zoo give it')
  }
  if (layers.length === 0) throw new FtError('INVALID_ARGUMENT', `planNetwork: ${name} has no linear layers`, { name })
  const ids = new Set(layers.map((layer) => layer.id))
  if (ids.size === layers.length) return
  const message = `planNetwork: ${name} has two layers with one id; ids must be unique`
  throw new FtError('INVALID_ARGUMENT', message, { name })
}

export interface PlanTotals {
  /** Predicted time of the unprotected network in seconds. */
  readonly base: number
  /** Extra time as a share of `base`, had every layer this scheme. Only schemes that every layer could have. */
  readonly uniform: Readonly<Partial<Record<ProtectionScheme, number>>>
  /** Extra time of the plan as a share of `base`. */
  readonly guided: number
}

/** Totals of a plan by the cost model: all-global, all-thread-level, replication and the guided choice. */
export function planTotals(plan: ProtectionPlan, options: Pick<ChooseOptions, 'device' | 'dtype'>): PlanTotals {
  const at = (layer: LinearLayer, scheme: ProtectionScheme, index: number) =>
    predict(layer, scheme, { ...options, last: index === plan.layers.length - 1 })
  const sum = (value: (layer: PlannedLayer, index: number) => number) =>
    plan.layers.reduce((all, layer, index) => all + value(layer, index), 0)
  const base = sum((item, index) => at(item.layer, 'none', index).base)
  const uniform: Partial<Record<ProtectionScheme, number>> = {}
  for (const scheme of targetSchemes[plan.target]) {
    if (!plan.layers.every((layer) => has(layer, scheme))) continue
    uniform[scheme] = sum((item, index) => at(item.layer, scheme, index).extra) / base
  }
  return { base, uniform, guided: sum((item, index) => at(item.layer, item.scheme, index).extra) / base }
}

function has({ scheme, alternatives }: PlannedLayer, wanted: ProtectionScheme): boolean {
  return scheme === wanted || alternatives.some((other) => other.scheme === wanted)
}

/** FNV-1a over shapes: for networks that come without a model file's fingerprint. */
function shapesFingerprint(layers: readonly LinearLayer[]): string {
  let hash = 0x811c9dc5
  for (const byte of new TextEncoder().encode(JSON.stringify(layers.map(({ id, m, n, k, op }) => [id, m, n, k, op])))) {
    hash = Math.imul(hash ^ byte, 0x01000193)
  }
  return `shapes-${(hash >>> 0).toString(16).padStart(8, '0')}`
}

/** Serialises a plan as JSON, which has no infinity: what an unprotected layer detects becomes null. */
export function savePlan(plan: ProtectionPlan): string {
  return JSON.stringify(plan, null, 2)
}

const bounds: ReadonlySet<unknown> = new Set<PlannedLayer['bound']>(['compute', 'memory', 'measure'])

/**
 * Reads a plan back.
 *
 * @param options.fingerprint, options.target - the model and the target it must be for
 * @throws FtError `CORRUPT_DATA` (says where), `VERSION_UNSUPPORTED`, or `FINGERPRINT_MISMATCH` for the plan of
 * another model or target
 */
export function parsePlan(text: string, options: { fingerprint?: string; target?: PlanTarget } = {}): ProtectionPlan {
  const plan = parseJson(text)
  const fail = (where: string, expected: string): never => {
    throw new FtError('CORRUPT_DATA', `parsePlan: ${where} must be ${expected}`, { where, expected })
  }
  if (!isRecord(plan) || plan['schema'] !== 'ft.plan') return fail('schema', '"ft.plan"')
  if (plan['version'] !== 1) {
    throw new FtError(
      'VERSION_UNSUPPORTED',
      `parsePlan: version ${String(plan['version'])} is not supported; this reads 1`,
      {
        version: plan['version'],
      },
    )
  }
  const target = plan['target']
  if (typeof target !== 'string' || !Object.hasOwn(targetSchemes, target)) {
    return fail('target', `one of ${Object.keys(targetSchemes).join(', ')}`)
  }
  const model = plan['model']
  if (!isRecord(model) || typeof model['name'] !== 'string' || typeof model['fingerprint'] !== 'string') {
    return fail('model', '{ name, fingerprint }')
  }
  if (typeof plan['device'] !== 'string') return fail('device', 'a string')
  if (!Array.isArray(plan['layers'])) return fail('layers', 'an array')
  const schemes: readonly string[] = ['none', ...targetSchemes[target as ProtectionPlan['target']]]
  plan['layers'].forEach((item: unknown, index) => {
    const where = `layers[${index}]`
    if (!isRecord(item) || typeof item['id'] !== 'string') return fail(where, 'an object with an id')
    if (typeof item['scheme'] !== 'string' || !schemes.includes(item['scheme']))
      return fail(`${where}.scheme`, schemes.join(' | '))
    for (const number of ['intensity', 'predictedOverhead']) {
      if (!Number.isFinite(item[number])) return fail(`${where}.${number}`, 'a number')
    }
    const { smallestDetectable: seen, scheme } = item
    if (!(seen === null ? scheme === 'none' : typeof seen === 'number' && seen >= 0))
      return fail(`${where}.smallestDetectable`, 'a number of at least 0')
    if (!bounds.has(item['bound'])) return fail(`${where}.bound`, [...bounds].join(' | '))
    if (!Array.isArray(item['alternatives'])) return fail(`${where}.alternatives`, 'an array')
    item['alternatives'].forEach((other: unknown, at) => {
      const sound = isRecord(other) && schemes.includes(other['scheme'] as string) && Number.isFinite(other['overhead'])
      if (!sound) fail(`${where}.alternatives[${at}]`, '{ scheme, overhead }')
    })
    const measured = item['measured']
    const wrong =
      wrongLayerField(item['layer'], `${where}.layer`) ??
      (measured === undefined ? undefined : wrongIntervalField(measured, `${where}.measured`))
    if (wrong !== undefined) return fail(wrong.where, wrong.expected)
    return undefined
  })
  if (options.fingerprint !== undefined && options.fingerprint !== model['fingerprint']) {
    throw new FtError(
      'FINGERPRINT_MISMATCH',
      `parsePlan: the plan is for model ${model['name']} (${model['fingerprint']}), not for ${options.fingerprint}; make a new plan`,
      { expected: options.fingerprint, got: model['fingerprint'] },
    )
  }
  if (options.target !== undefined && options.target !== target) {
    throw new FtError(
      'FINGERPRINT_MISMATCH',
      `parsePlan: the plan is for target ${target}, not for ${options.target}; make a new plan with that target`,
      { expected: options.target, got: target },
    )
  }
  const layers = (plan['layers'] as { smallestDetectable: number | null }[]).map((layer) => ({
    ...layer,
    smallestDetectable: layer.smallestDetectable ?? Infinity,
  }))
  return { ...(plan as unknown as ProtectionPlan), layers: layers as unknown as ProtectionPlan['layers'] }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new FtError('CORRUPT_DATA', 'parsePlan: not JSON', {}, { cause })
  }
}
