// What the owner of a node knows of its rows without asking it: which can be used, and how often each was updated.
import type { Layout } from '../layout.ts'
import type { Shape } from './records.ts'

export interface ServerRows {
  /** 1 where a row is lost, by its number on the server. */
  readonly lost: Record<Shape['kind'], Uint8Array>
  /** Updates of each data row. */
  readonly versions: Uint32Array
  /** Rows, data and parity, that are lost. */
  readonly missing: number
  /** Rows that came back since the last death. */
  readonly recovered: number
  /** Ids of rows that could not be rebuilt and started over. */
  readonly unrecoverable: number[]
  lose(kind: Shape['kind'], local: number): void
  restore(kind: Shape['kind'], local: number): void
  /** The node is lost, and every row with it. */
  loseAll(): void
  /** Up to `count` lost rows to rebuild next: data rows before parity rows, those updated most first. */
  next(count: number): { readonly kind: Shape['kind']; readonly local: number }[]
}

export function createServerRows({ dataRows, parityRows }: Layout): ServerRows {
  const lost = { data: new Uint8Array(dataRows), parity: new Uint8Array(parityRows) }
  const versions = new Uint32Array(dataRows)
  const counts = { missing: 0, recovered: 0 }
  let hottest: Float64Array = new Float64Array(0)
  let taken = 0
  let cursor = 0
  return {
    lost,
    versions,
    get missing() {
      return counts.missing
    },
    get recovered() {
      return counts.recovered
    },
    unrecoverable: [],
    lose(kind, local) {
      if (lost[kind][local] === 0) counts.missing++
      lost[kind][local] = 1
    },
    restore(kind, local) {
      if (lost[kind][local] === 0) return
      counts.missing--
      counts.recovered++
      lost[kind][local] = 0
    },
    loseAll() {
      lost.data.fill(1)
      lost.parity.fill(1)
      Object.assign(counts, { missing: dataRows + parityRows, recovered: 0 })
      // Version and row in one number that sorts as both: exact while their product is below 2^53.
      hottest = new Float64Array(dataRows)
      let updated = 0
      for (let local = 0; local < dataRows; local++)
        if (versions[local]! > 0) hottest[updated++] = versions[local]! * dataRows + local
      hottest = hottest.subarray(0, updated).sort()
      ;[taken, cursor] = [0, 0]
    },
    next(count) {
      const found: { kind: Shape['kind']; local: number }[] = []
      while (taken < hottest.length && found.length < count) {
        const local = hottest[hottest.length - 1 - taken++]! % dataRows
        if (lost.data[local] === 1) found.push({ kind: 'data', local })
      }
      if (found.length > 0) return found
      const all = dataRows + parityRows
      for (let looked = 0; looked < all && found.length < count; looked++) {
        const at = cursor
        cursor = (cursor + 1) % all
        const kind = at < dataRows ? 'data' : 'parity'
        const local = at < dataRows ? at : at - dataRows
        if (lost[kind][local] === 1) found.push({ kind, local })
      }
      return found
    },
  }
}
