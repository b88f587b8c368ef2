// Four queries, one late: its answer comes from the three others and the parity.
//
// Prints:
//   units: base base base base parity
//   any 4 of 5 suffice: true, 3 do not: false
//   query 2 -> 18 (reconstructed)
import { sum, type NamedTensor } from '@ft/parm'

const code = sum({ k: 4 })
console.log('units:', Array.from({ length: code.n }, (_, slot) => code.modelFor(slot)).join(' '))
console.log(
  `any 4 of 5 suffice: ${code.canDecode(new Set([0, 1, 3, 4]))}, 3 do not: ${code.canDecode(new Set([0, 1, 4]))}`,
)

const query = (value: number): NamedTensor[] => [
  { name: 'x', data: Float32Array.of(value), shape: [1, 1], dtype: 'float32' },
]
/** A linear model is its own parity model. */
const model = ([x]: readonly NamedTensor[]): NamedTensor[] => query(6 * (x?.data[0] ?? 0))
const outputs = code.encode([1, 2, 3, 4].map(query)).map(model)
const arrived = new Map(outputs.map((output, unit) => [unit, output] as const))
arrived.delete(2)
const { outputs: answers, quality } = code.decode(arrived)
console.log(`query 2 -> ${answers[2]?.[0]?.data[0]} (${quality[2]})`)
