// What profiling measured, as a document: times by shape and scheme, round by round, so that any interval, half or total
// can be taken from it later.
import { FtError, type LinearLayer, type ProtectionScheme } from '@ft/core'
import { wrongLayerField } from '../fields.ts'
import { isRecord } from '../models/network.ts'

/** A scheme, or the unprotected product measured a second time: its ratio to 'none' shows what the machine's noise is. */
export type Arm = ProtectionScheme | 'control'

export interface ProfiledShape {
  /** See `shapeKey`. */
  readonly key: string
  /** A layer of this shape. */
  readonly layer: LinearLayer
  /** Milliseconds of one call, one sample a round. The i-th samples of all arms were taken in the same round. */
  readonly times: Readonly<Partial<Record<Arm, readonly number[]>>>
}

/** Belongs to one device and one build of its engine: nothing is carried from one to another. */
export interface Profile {
  readonly schema: 'ft.profile'
  readonly version: 1
  readonly device: string
  readonly build: string
  /** 'network': shapes were measured in the same passes, so that a round is one of all of them. Else each shape on its own. */
  readonly order?: 'network'
  readonly shapes: readonly ProfiledShape[]
}

/**
 * Names what a layer's time depends on: geometry, element type, activation, and whether its checksum comes from the layer
 * before. Layers of one key are measured once.
 *
 * @example
 * ```ts
 * const layer = { id: 'fc', m: 8, n: 16, k: 32, count: 1, dtype: 'float32', op: { kind: 'matmul', batch: 1 } } as const
 * shapeKey(layer) // => 'matmul 1 x 8x16x32 float32'
 * ```
 */
export function shapeKey(layer: LinearLayer, options: { chained?: boolean } = {}): string {
  const { op, m, n, k, dtype, activation } = layer
  const geometry =
    op.kind === 'matmul'
      ? `matmul ${op.batch} x ${m}x${n}x${k}`
      : `conv2d ${op.x.join('x')} * ${op.filter.join('x')}, stride ${op.stride.join('x')}, pad ${op.pad.join(',')}, ` +
        `dilation ${op.dilation.join('x')}, ${op.groups} groups`
  return [`${geometry} ${dtype}`, activation, options.chained ? 'chained' : undefined].filter(Boolean).join(', ')
}

/** Serialises a profile as JSON. */
export function saveProfile(profile: Profile): string {
  return JSON.stringify(profile)
}

/**
 * Reads a profile back.
 *
 * @param options.device, options.build - what it must have been measured on
 * @throws FtError `CORRUPT_DATA` (says where), `VERSION_UNSUPPORTED`, or `FINGERPRINT_MISMATCH` for another device or build
 */
export function parseProfile(text: string, options: { device?: string; build?: string } = {}): Profile {
  const profile = parseJson(text)
  if (!isRecord(profile) || profile['schema'] !== 'ft.profile') throw corrupt('schema', '"ft.profile"')
  if (profile['version'] !== 1) {
    const { version } = profile
    throw new FtError('VERSION_UNSUPPORTED', `parseProfile: version ${String(version)}; this reads 1`, { version })
  }
  for (const name of ['device', 'build'] as const) {
    const [expected, got] = [options[name], profile[name]]
    if (typeof got !== 'string') throw corrupt(name, 'a string')
    if (expected !== undefined && expected !== got) {
      throw new FtError(
        'FINGERPRINT_MISMATCH',
        `parseProfile: the profile was measured with ${name} ${got}, not ${expected}; measure again`,
        { expected, got },
      )
    }
  }
  if (profile['order'] !== undefined && profile['order'] !== 'network') throw corrupt('order', '"network", or left out')
  if (!Array.isArray(profile['shapes'])) throw corrupt('shapes', 'an array')
  profile['shapes'].forEach((shape: unknown, index) => checkShape(shape, `shapes[${index}]`))
  const rounds = new Set((profile['shapes'] as ProfiledShape[]).map(({ times }) => times.none?.length))
  if (profile['order'] === 'network' && rounds.size > 1) throw corrupt('shapes', 'shapes of the same rounds')
  return profile as unknown as Profile
}

const arms: ReadonlySet<string> = new Set<Arm>([
  'none',
  'control',
  'global',
  'row',
  'column',
  'row-column',
  'thread-one-sided',
  'thread-two-sided',
  'replication',
])

function checkShape(shape: unknown, where: string): void {
  if (!isRecord(shape) || typeof shape['key'] !== 'string') throw corrupt(where, 'an object with a key')
  const { layer, times } = shape
  const wrong = wrongLayerField(layer, `${where}.layer`)
  if (wrong !== undefined) throw corrupt(wrong.where, wrong.expected)
  if (!isRecord(times) || !Array.isArray(times['none'])) throw corrupt(`${where}.times`, 'times with those of none')
  const rounds = times['none'].length
  for (const [arm, samples] of Object.entries(times)) {
    if (!arms.has(arm)) throw corrupt(`${where}.times`, `times of known schemes, got ${arm}`)
    const sound =
      Array.isArray(samples) && samples.length === rounds && samples.every((time) => Number.isFinite(time) && time > 0)
    if (!sound) throw corrupt(`${where}.times.${arm}`, `${rounds} positive numbers`)
  }
}

function corrupt(where: string, expected: string): FtError {
  return new FtError('CORRUPT_DATA', `parseProfile: ${where} must be ${expected}`, { where, expected })
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new FtError('CORRUPT_DATA', 'parseProfile: not JSON', {}, { cause })
  }
}
