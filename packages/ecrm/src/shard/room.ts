// Room for a large message's arrays, laid out as its frame will be: what is written there is sent from there, without a copy.
import { schema, type MessageType } from './messages.ts'

/** Words of a frame before its body: see network/codec.ts. */
export const headerWords = 3

/** Zeroed arrays of these lengths, in the order of the message's type, in memory of their own. */
export function roomFor(type: MessageType, lengths: readonly number[]): Uint32Array[] {
  const { numbers, arrays } = schema[type]
  let at = headerWords + numbers.length + arrays.length
  const frame = new Uint32Array(lengths.reduce((sum, length) => sum + length, at))
  return lengths.map((length) => frame.subarray(at, (at += length)))
}
