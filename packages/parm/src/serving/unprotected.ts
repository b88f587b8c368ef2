// The code of queries that have no redundancy.
import type { Code } from '../codes/code.ts'

/** A group of one without extra units. */
export const unprotected: Code = {
  name: 'none',
  k: 1,
  n: 1,
  systematic: true,
  encode: (group) => group.map((member) => [...member]),
  canDecode: (got) => got.has(0),
  decode: (got) => ({ outputs: [[...(got.get(0) ?? [])]], quality: ['exact'] }),
  modelFor: () => 'base',
}
