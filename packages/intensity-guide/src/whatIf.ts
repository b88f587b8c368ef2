// What if: the same question for other batches, resolutions, prompts or devices, a row each.
import { analyseNetwork } from './analyse.ts'
import type { ChooseOptions } from './choosePerLayer.ts'
import { ridge } from './devices.ts'
import { planNetwork, planTotals } from './plan.ts'
import type { Network } from './zoo/index.ts'

export interface WhatIfCase {
  readonly label: string
  readonly network: Network
  readonly options: ChooseOptions
}

export interface WhatIfRow {
  readonly label: string
  /** FLOPs a byte of the whole network, as the device counts. */
  readonly intensity: number
  readonly ridge: number
  /** Layers whose scheme is a thread-level one, and their share of the FLOPs. */
  readonly threadLevel: number
  readonly threadLevelWork: number
  /** Predicted overheads: the guided plan's, and those of one scheme everywhere where every layer can have it. */
  readonly guided: number
  readonly global: number | undefined
  readonly threadOneSided: number | undefined
}

/**
 * Plans each case by the cost model.
 *
 * @throws FtError as `planNetwork`
 * @example
 * ```ts
 * import { findDevice, zoo } from '@ft/intensity-guide'
 * const options = { device: findDevice('t4') }
 * const cases = [1, 2048].map((batch) => ({ label: `batch ${batch}`, network: zoo('dlrm-top', { batch }), options }))
 * whatIf(cases).map(({ threadLevel }) => threadLevel) // => [3, 2]
 * ```
 */
export function whatIf(cases: readonly WhatIfCase[]): WhatIfRow[] {
  return cases.map(({ label, network, options }) => {
    const { device, dtype = device.dtype } = options
    const plan = planNetwork(network, options)
    const counted = device.counting === 'exact' ? 'unpadded' : 'padded'
    const work = analyseNetwork(network.layers, { dtype })
    const thread = plan.layers.filter(({ scheme }) => scheme.startsWith('thread'))
    const threadWork = analyseNetwork(
      thread.map(({ layer }) => layer),
      { dtype },
    )
    const { guided, uniform } = planTotals(plan, { device, dtype })
    return {
      label,
      intensity: work[counted].intensity,
      ridge: ridge(device, dtype),
      threadLevel: thread.length,
      threadLevelWork: threadWork[counted].flops / work[counted].flops,
      guided,
      global: uniform.global,
      threadOneSided: uniform['thread-one-sided'],
    }
  })
}
