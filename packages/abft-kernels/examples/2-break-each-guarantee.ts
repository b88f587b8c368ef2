// Each guarantee broken on purpose, to show where it ends.
// Run: npx tsx examples/2-break-each-guarantee.ts
// Prints:
//   cancelling pair, row check: clean (missed)
//   cancelling pair, column check: corrected
//   cancelling pair, random weights: corrected
//   four that cancel both ways, row-column: clean (missed)
//   the same, random weights: corrected
//   a pair that one seed hides: clean (missed)
//   the same, another seed: corrected
//   error below the threshold: clean (missed)
//   the same error, calibrated: corrected
//   input wrong before the product: clean (missed)
//   stored output wrong after the check: missed alone, restored in a chain
//   packed weight wrong for good: uncorrectable
//   NaN in the input: detected, outcome input
//   a threshold struck: clean, outcome check-fault
import { createKernels } from '@ft/abft-kernels'
import type { Fault, Tensor } from '@ft/core'
import { createRandom } from '@ft/core/random'
import { createWasmEngine } from '@ft/tensor-core/wasm'

const engine = createWasmEngine({ threads: 1, instrumented: true })
const kernels = createKernels({ engine })
const random = createRandom(2)
const matrix = (rows: number, columns: number): Tensor => ({
  data: random.fillNormal(new Float32Array(rows * columns)),
  shape: [rows, columns],
  dtype: 'float32',
})
const a = matrix(16, 128)
const b = matrix(128, 32)
const weights = await kernels.prepare(b)
const at = (column: number, value: number, row = 3): Fault => ({
  site: { kind: 'output', row, column },
  effect: { kind: 'add', value },
})
const missed = (status: string) => (status === 'clean' ? 'clean (missed)' : status)
const say = (what: string, how: string) => console.log(`${what}: ${how}`)

// 1. One vector of ones cannot see errors that cancel within its sum; the other direction can, and random weights.
const pair = [at(4, 8), at(9, -8)]
say(
  'cancelling pair, row check',
  missed((await kernels.matmul(a, weights, { scheme: 'row', faults: pair })).report.status),
)
say(
  'cancelling pair, column check',
  (await kernels.matmul(a, weights, { scheme: 'column', faults: pair })).report.status,
)

const weighted = await kernels.prepare(b, { checksumWeights: 'random', seed: 1 })
say('cancelling pair, random weights', (await kernels.matmul(a, weighted, { faults: pair })).report.status)
const four = [...pair, at(4, -8, 5), at(9, 8, 5)]
const both = { scheme: 'row-column', faults: four } as const
say('four that cancel both ways, row-column', missed((await kernels.matmul(a, weights, both)).report.status))
say('the same, random weights', (await kernels.matmul(a, weighted, both)).report.status)
// Whoever knows the weights can hide errors from them: the chance that they are hidden is over the seed.
const [r4, r9] = [4, 9].map((column) => weighted.random!.vectors.columns[column]!)
const hidden = [at(4, 8 * r9!), at(9, -8 * r4!)]
say('a pair that one seed hides', missed((await kernels.matmul(a, weighted, { faults: hidden })).report.status))
const fresh = await kernels.prepare(b, { checksumWeights: 'random', seed: 2 })
say('the same, another seed', (await kernels.matmul(a, fresh, { faults: hidden })).report.status)

// 2. Errors below what rounding may do are not seen; calibrated thresholds go lower.
const { report: clean } = await kernels.matmul(a, weights)
const small = [at(4, clean.threshold.smallestDetectable / 20)]
say('error below the threshold', missed((await kernels.matmul(a, weights, { faults: small })).report.status))
const tight = createKernels({
  engine,
  calibration: (await kernels.calibrated({ trials: 3, lengths: [64, 256] })).calibration!,
})
say('the same error, calibrated', (await tight.matmul(a, weights, { faults: small })).report.status)

// 3. A product is right for the input that it was given.
const wrong = { ...a, data: a.data.slice() }
wrong.data[7] = 5
say('input wrong before the product', missed((await kernels.matmul(wrong, weights)).report.status))

// 4. What happens to an output after its check is the next layer's to see: in a chain it is.
const next = await kernels.prepare(matrix(32, 8))
const damage = (id: string, { data }: Tensor) => {
  if (id === 'first') data[40] = 99
}
const lone = await kernels.matmul(a, weights)
damage('first', lone.output)
const after = await kernels.matmul(lone.output, next)
const chain = kernels.chain([
  { id: 'first', weights },
  { id: 'second', weights: next },
])
const chained = await chain.run(a, { onActivation: damage })
const alone = after.report.status === 'clean' ? 'missed alone' : after.report.status
say('stored output wrong after the check', `${alone}, ${chained.reports[1]?.detections[0]?.outcome} in a chain`)

// 5. Running again helps against what passes. A packed weight that stays wrong does not.
const lasting: Fault = {
  site: { kind: 'packed-weight', step: 5, column: 7 },
  effect: { kind: 'set', value: 90 },
  persistent: true,
}
say('packed weight wrong for good', (await kernels.matmul(a, weights, { faults: [lasting] })).report.status)

// 6. Bad input is told apart from bad computing.
const bad = { ...a, data: a.data.slice() }
bad.data[130] = NaN
const { report: input } = await kernels.matmul(bad, weights)
say('NaN in the input', `${input.status}, outcome ${input.detections[0]?.outcome}`)

// 7. Faults in the check itself are safe: the output is run again and found right.
const { report: struck } = await kernels.matmul(a, weights, { thresholdFault: { kind: 'set', value: 0 } })
say('a threshold struck', `${struck.status}, outcome ${struck.detections[0]?.outcome}`)
await engine.dispose()
