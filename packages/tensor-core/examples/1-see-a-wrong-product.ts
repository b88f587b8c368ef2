// A product hands out the sums that prove it right; one flipped bit shows up in the sum of its row.
//
// Prints:
//   clean: gaps of the rows 0, 0, 0
//   one bit of element [1, 2] flipped, 11 becomes 22: gaps of the rows 0, 11, 0
import { createWasmEngine } from '@ft/tensor-core/wasm'

const engine = createWasmEngine({ threads: 1, instrumented: true })
const a = { data: Float32Array.of(1, 2, 3, 4, 5, 6), shape: [3, 2], dtype: 'float32' } as const
const b = { data: Float32Array.of(1, 0, 1, 0, 1, 2), shape: [2, 3], dtype: 'float32' } as const
const weights = engine.prepareSync(b)

/** What a row adds up to, less what it should, by the row sums of B. */
function gaps(sums: { actual: ArrayLike<number>; expected: ArrayLike<number> } | undefined): string {
  return Array.from(sums?.actual ?? [], (value, i) => value - (sums?.expected[i] as number)).join(', ')
}

const clean = engine.matmulSync(a, weights, { emit: { rowSums: true } })
console.log(`clean: gaps of the rows ${gaps(clean.rowSums)}`)

// Bit 23 of a float32 is the lowest of its exponent.
const fault = { site: { kind: 'output', row: 1, column: 2 }, effect: { kind: 'flip', bits: [23] } } as const
const struck = engine.matmulSync(a, weights, { emit: { rowSums: true }, faults: [fault] })
const change = `${clean.output.data[5]} becomes ${struck.output.data[5]}`
console.log(`one bit of element [1, 2] flipped, ${change}: gaps of the rows ${gaps(struck.rowSums)}`)
await engine.dispose()
