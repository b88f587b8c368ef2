// Memory of a shard: data rows with optimizer state and versions, parity rows with the versions they contain.
import { createCode, type ErasureCode } from '../codes/code.ts'
import { writeInitialRow } from './initialRows.ts'
import { createRowKernels, type RowKernels } from './rowKernels.ts'
import type { ResolvedSpec } from './spec.ts'

/** Whether a row's words can be used. */
export const live = 0
export const lost = 1
/** Taken up by a decode that has not ended. */
export const decoding = 2

export interface Storage {
  readonly spec: ResolvedSpec
  /** Where rows lie in WebAssembly memory. */
  readonly kernels: RowKernels | undefined
  readonly code: ErasureCode | undefined
  /** `[dataRows, width]`: bits of values and state. */
  readonly words: Uint32Array
  /** The same bytes as floats. */
  readonly floats: Float32Array
  /** Updates of each data row. */
  readonly versions: Uint32Array
  readonly dataState: Uint8Array
  /** `[parityRows, width]`. */
  readonly parity: Uint32Array
  /** `[parityRows, k]`: the version of each data row that a parity row contains. */
  readonly seen: Uint32Array
  readonly parityState: Uint8Array
  /** Rows, data and parity, that are not live. */
  readonly missing: number
  /** Rows that became live again, since the process began. */
  readonly recovered: number
  /** Changes the state of a row: `states` is `dataState` or `parityState`. */
  mark(states: Uint8Array, local: number, state: number): void
  dataRow(local: number): Uint32Array
  parityRow(local: number): Uint32Array
}

/**
 * Allocates a server's rows.
 *
 * Cost: (dataRows + parityRows) x width x 4 bytes and 4 bytes of version a data row, 4 k a parity row. With `empty` every
 * row is lost and nothing is computed.
 *
 * @param fast - rows in WebAssembly memory where they fit: made once for a process's shard, too dear for those of a moment
 */
export function createStorage(
  spec: ResolvedSpec,
  server: number,
  { empty, fast }: { empty: boolean; fast: boolean },
): Storage {
  const { layout, width } = spec
  const code = spec.r === 0 ? undefined : createCode(spec)
  const kernels = fast ? createRowKernels(spec) : undefined
  const words = kernels?.words ?? new Uint32Array(layout.dataRows * width)
  const parity = kernels?.parity ?? new Uint32Array(layout.parityRows * width)
  let missing = empty ? layout.dataRows + layout.parityRows : 0
  let recovered = 0
  const storage: Storage = {
    get missing() {
      return missing
    },
    get recovered() {
      return recovered
    },
    mark(states, local, state) {
      if (state === live && states[local] !== live) recovered++
      missing += Number(state !== live) - Number(states[local] !== live)
      states[local] = state
    },
    spec,
    kernels,
    code,
    words,
    floats: new Float32Array(words.buffer, words.byteOffset, words.length),
    versions: new Uint32Array(layout.dataRows),
    dataState: new Uint8Array(layout.dataRows).fill(empty ? lost : live),
    parity,
    seen: new Uint32Array(layout.parityRows * spec.k),
    parityState: new Uint8Array(layout.parityRows).fill(empty ? lost : live),
    dataRow: (local) => words.subarray(local * width, (local + 1) * width),
    parityRow: (local) => parity.subarray(local * width, (local + 1) * width),
  }
  if (!empty) fill(storage, server)
  return storage
}

/** The bits of the row at a data place before its first update. */
export function initialWords(spec: ResolvedSpec, place: { stripe: number; position: number }): Uint32Array {
  const row = new Float32Array(spec.width)
  writeInitialRow(spec, spec.layout.idOf(place), row)
  return new Uint32Array(row.buffer)
}

function fill({ spec, code, floats, parityRow }: Storage, server: number): void {
  const { layout, width, k } = spec
  for (let local = 0; local < layout.dataRows; local++) {
    const id = layout.idOf(layout.dataPlace(server, local))
    writeInitialRow(spec, id, floats.subarray(local * width, (local + 1) * width))
  }
  if (code === undefined) return
  for (let local = 0; local < layout.parityRows; local++) {
    const { stripe, position } = layout.parityPlace(server, local)
    for (let i = 0; i < k; i++)
      code.accumulate(parityRow(local), initialWords(spec, { stripe, position: i }), {
        parity: position - k,
        position: i,
      })
  }
}
