// Rows of both kinds behind one pull and one push.
import type { PushOptions, RowAccess } from '../client.ts'
import { layRowsAt, rowsAt } from '../shard/words.ts'
import type { Part, TablePlaces } from './places.ts'

/** Of either kind, by the numbers of its rows. */
export interface Halves {
  readonly sharded: RowAccess
  readonly replicated: {
    /** Writes values of rows to where they stand among all that are asked for, `[.., d]`. */
    pull(part: Part, into: Float32Array): Promise<void> | void
    /** Takes the gradients of rows from where they stand. */
    push(part: Part, gradients: Float32Array, options?: PushOptions): Promise<void> | void
  }
}

export function splitAccess(places: TablePlaces, { sharded, replicated }: Halves, d: number): RowAccess {
  return {
    async pull(ids, out = new Float32Array(ids.length * d)) {
      const parts = places.split(ids)
      const far = sharded.pull(parts.sharded.rows)
      await replicated.pull(parts.replicated, out)
      layRowsAt(out, parts.sharded.at, await far, d)
      return out
    },
    async push(ids, gradients, options) {
      const parts = places.split(ids)
      const far = sharded.push(parts.sharded.rows, rowsAt(gradients, parts.sharded.at, d), options)
      await Promise.all([far, replicated.push(parts.replicated, gradients, options)])
    },
  }
}
