// The network or its parity model inside a serving worker, with the troubles of a real one on top. Default export: what
// @ft/parm's worker process loads.
import { readFileSync } from 'node:fs'
import type { Tensor } from '@ft/core'
import {
  createModelRunner,
  readModelFolder,
  toNamedTensor,
  toWireTensor,
  type ServedModel,
  type WireTensor,
} from '@ft/parm'
import { createDelay, type Troubles } from './delay.ts'
import { openNetwork, type NetworkShape } from './servedNetwork.ts'

export interface ServedOptions {
  readonly width: number
  readonly fingerprint: string
  readonly model:
    | {
        readonly kind: 'network'
        readonly shape: NetworkShape
        readonly file: string
        readonly sizes: readonly number[]
      }
    | { readonly kind: 'parity'; readonly folder: string; readonly code: string }
  readonly troubles: Troubles
}

export default async function createServed(given: unknown): Promise<ServedModel> {
  const { width, fingerprint, model, troubles } = given as ServedOptions
  const run = await open(model)
  const delay = createDelay(troubles)
  return {
    metadata: {
      platform: 'ft-demo',
      inputs: [{ name: 'flight', datatype: 'FP32', shape: [-1, width] }],
      outputs: [{ name: 'logOdds', datatype: 'FP32', shape: [-1, 1] }],
      properties:
        model.kind === 'parity'
          ? { 'ft.baseFingerprint': fingerprint, 'ft.code': model.code }
          : { 'ft.fingerprint': fingerprint },
    },
    async infer([input]) {
      const waited = delay()
      const x = toNamedTensor(input as WireTensor)
      if (!x) throw new Error('infer: the input must be FP32')
      const output = run(x)
      await waited
      return [toWireTensor({ ...output, name: 'logOdds' })]
    },
  }
}

async function open(model: ServedOptions['model']): Promise<(x: Tensor) => Tensor> {
  if (model.kind === 'parity') return createModelRunner((await readModelFolder(model.folder)).layers)
  const bytes = readFileSync(model.file)
  const all = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength))
  let at = 0
  return openNetwork(
    model.shape,
    model.sizes.map((size) => all.subarray(at, (at += size))),
  )
}
