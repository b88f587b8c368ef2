// y = 2 x inside a serving worker. It is linear, hence its own parity model: what is reconstructed is exact, and a page can
// check every answer. Default export: what @ft/parm's worker process loads.
import { toNamedTensor, toWireTensor, type ServedModel, type WireTensor } from '@ft/parm'
import { createDelay, type Troubles } from './delay.ts'

export interface LinearOptions {
  readonly troubles: Troubles
  /** Of the code whose parity model this is. */
  readonly code?: string
}

/** Binds the parity model to its base. */
const FINGERPRINT = 'twice'

export default function createLinear(given: unknown): ServedModel {
  const { troubles, code } = given as LinearOptions
  const delay = createDelay(troubles)
  return {
    metadata: {
      platform: 'ft-demo',
      inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 1] }],
      outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, 1] }],
      properties:
        code === undefined ? { 'ft.fingerprint': FINGERPRINT } : { 'ft.baseFingerprint': FINGERPRINT, 'ft.code': code },
    },
    async infer([input]) {
      const x = toNamedTensor(input as WireTensor)
      if (!x) throw new Error('infer: the input must be FP32')
      await delay()
      return [toWireTensor({ ...x, name: 'y', data: Float32Array.from(x.data, (value) => 2 * value) })]
    },
  }
}
