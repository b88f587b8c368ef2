// A bit flips inside the kernel, at one k-step of one element; the product finds, locates and corrects it.
// Run: npx tsx examples/1-find-and-correct.ts
// Prints:
//   status: corrected
//   where: row 11, column 5
//   bits of a clean run: yes
import { createKernels } from '@ft/abft-kernels'
import { createRandom } from '@ft/core/random'
import { createWasmEngine } from '@ft/tensor-core/wasm'

const engine = createWasmEngine({ threads: 1, instrumented: true })
const kernels = createKernels({ engine })
const random = createRandom(1)
const matrix = (rows: number, columns: number) => ({
  data: random.fillNormal(new Float32Array(rows * columns)),
  shape: [rows, columns],
  dtype: 'float32' as const,
})

const a = matrix(32, 256)
const weights = await kernels.prepare(matrix(256, 64))
const clean = await kernels.matmul(a, weights)
const { output, report } = await kernels.matmul(a, weights, {
  scheme: 'row-column',
  faults: [{ site: { kind: 'accumulator', row: 11, column: 5, step: 100 }, effect: { kind: 'flip', bits: [27] } }],
})
const region = report.detections[0]?.region
console.log(`status: ${report.status}`)
console.log(`where: ${region?.kind === 'element' ? `row ${region.row}, column ${region.column}` : region?.kind}`)
const same = output.data.every((value, i) => Object.is(value, clean.output.data[i]))
console.log(`bits of a clean run: ${same ? 'yes' : 'no'}`)
await engine.dispose()
