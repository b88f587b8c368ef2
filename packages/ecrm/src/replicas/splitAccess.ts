// Rows of both kinds behind one pull and one push.
import type { PushOptions, RowAccess } from '../client.ts'
import { layRowsAt, rowsAt } from '../shard/words.ts'
import type { Part, TablePlaces } from './places.ts'

/** Of either kind, by the numbers of its rows. */
export interface Halves {
  readonly encoded: RowAccess
  readonly replicated: {
    /** Writes values of rows to where they stand among all that are asked for, `[.., d]`. */
    pull(part: Part, into: Float32Array): Promise<void> | void
    /** Takes the gradients of rows from where they stand. */
    push(part: Part, gradients: Float32Array, options?: PushOptions): Promise<void> | void
  }
}

export function splitAccess(places: TablePlaces, { encoded, replicated }: Halves, d: number): RowAccess {
  return {
    async pull(ids, out = new Float32Array(ids.length * d)) {
      const parts = places.split(ids)
      const far = encoded.pull(parts.encoded.rows)
      await replicated.pull(parts.replicated, out)
      layRowsAt(out, parts.encoded.at, await far, d)
      return out
    },
    async push(ids, gradients, options) {
      const parts = places.split(ids)
      const far = encoded.push(parts.encoded.rows, rowsAt(gradients, parts.encoded.at, d), options)
      await Promise.all([far, replicated.push(parts.replicated, gradients, options)])
    },
  }
}
