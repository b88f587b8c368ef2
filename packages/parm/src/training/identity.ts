// What a checkpoint belongs to: a digest of everything that decides a training's result.
import { createHash } from 'node:crypto'
import type { Tensor } from '@ft/core'
import { bytesOf } from '../oip/datatypes.ts'
import type { Answers } from './score.ts'

/** Cost: one pass over the inputs. */
export function identityOf(
  settings: Readonly<Record<string, unknown>>,
  data: { readonly inputs: Tensor } & Answers,
): string {
  const hash = createHash('sha256').update(JSON.stringify(settings))
  hash.update(bytesOf(data.inputs.data))
  hash.update(data.labels ? Float64Array.from(data.labels) : bytesOf((data.values ?? data.boxes).data))
  return hash.digest('hex')
}
