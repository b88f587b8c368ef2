// One parity of a code that has several, as a code of its own: each parity model is trained and judged by itself.
import type { Code } from '../codes/code.ts'

/** The code with the parity `parity` (from 0) only; the code itself when it has no other. */
export function withOneParity(code: Code, parity: number): Code {
  const { k, n } = code
  if (n === k + 1) return code
  const slot = k + parity
  const placeOf = (unit: number) => (unit === k ? slot : unit)
  return {
    name: code.name,
    k,
    n: k + 1,
    systematic: code.systematic,
    encode(group) {
      const units = code.encode(group)
      return [...units.slice(0, k), units[slot] ?? []]
    },
    canDecode: (got) => code.canDecode(new Set(Array.from(got, placeOf))),
    decode: (got) => code.decode(new Map(Array.from(got, ([unit, outputs]) => [placeOf(unit), outputs]))),
    parityWeights: () => code.parityWeights?.(slot) ?? [],
    modelFor: (unit) => code.modelFor(placeOf(unit)),
  }
}
