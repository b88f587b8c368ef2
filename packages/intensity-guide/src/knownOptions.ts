// What a plan is chosen by, checked: a misspelt option would be a default that nobody asked for.
import { assertNumber, assertOneOf, assertOptionNames, FtError, type PlanTarget } from '@ft/core'
import type { ChooseOptions } from './choosePerLayer.ts'
import { isRecord } from './models/network.ts'
import { targetSchemes } from './targets.ts'

const names: Readonly<Record<keyof ChooseOptions, true>> = {
  device: true,
  target: true,
  dtype: true,
  rule: true,
  sensitivity: true,
  band: true,
  measurements: true,
  detectable: true,
  schemes: true,
}

/**
 * @param more - names of options beside those of `ChooseOptions`
 * @throws FtError `INVALID_ARGUMENT` for options without a device, of another name or of another kind
 */
export function checkChooseOptions(
  options: ChooseOptions,
  { where, more = [] }: { where: string; more?: readonly string[] },
): void {
  const fail = (message: string) => new FtError('INVALID_ARGUMENT', `${where}: ${message}`)
  if (!isRecord(options)) throw fail("needs options: at least { device: findDevice('t4') } or its like")
  assertOptionNames(options, { ...names, ...Object.fromEntries(more.map((name) => [name, true as const])) }, where)
  const { device, target = 'wasm', rule = 'intensity', sensitivity = 0, band = 0 } = options
  if (!isRecord(device) || !isRecord(device.peak) || !isRecord(device.latency)) {
    const got = typeof device === 'string' ? `'${String(device)}'` : isRecord(device) ? 'other fields' : String(device)
    throw fail(
      `device must be what findDevice(name) or measureDevice gives, or { name, peak, dtype, bandwidth, adds, latency, source }; got ${got}`,
    )
  }
  assertOneOf(target, { where, argument: 'target', values: Object.keys(targetSchemes) as PlanTarget[] })
  assertOneOf(rule, { where, argument: 'rule', values: ['intensity', 'cost'] })
  assertNumber(sensitivity === Infinity ? 0 : sensitivity, { where, argument: 'sensitivity', min: 0 })
  assertNumber(band, { where, argument: 'band', min: 0 })
}
