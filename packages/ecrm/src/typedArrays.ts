// Arrays of callers, as they are and not as their types promise: bits of another kind of array would be rows of no meaning.
import { invalidArgument, type Argument } from '@ft/core'

/** @throws FtError `INVALID_ARGUMENT` unless the value is such an array, of whichever realm */
export function assertArray(value: unknown, kind: 'Uint32Array' | 'Float32Array', at: Argument): void {
  if (ArrayBuffer.isView(value) && (value as unknown as Float32Array)[Symbol.toStringTag] === kind) return
  throw invalidArgument(at, `a ${kind}`, value)
}

/** Ids that a caller names in any way, as an array of this moment. */
export function listIds(ids: Iterable<number>, rows: number, at: Argument): Uint32Array {
  const list: number[] = []
  for (const id of ids) {
    if (!Number.isInteger(id) || id < 0 || id >= rows)
      throw invalidArgument({ ...at, argument: `${at.argument}[${list.length}]` }, `an id below ${rows}`, id)
    list.push(id)
  }
  return Uint32Array.from(list)
}
