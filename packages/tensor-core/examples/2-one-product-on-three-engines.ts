// The same call on WebAssembly, on gpu.js and on the reference, which counts what it does.
//
// Prints:
//   wasm: 4, 5, 10, 11
//   gpujs: 4, 5, 10, 11
//   reference: 4, 5, 10, 11
//   a row sum costs 5 adds and multiply-adds beside the product's 12
import { createEngine } from '@ft/tensor-core'

const a = { data: Float32Array.of(1, 2, 3, 4, 5, 6), shape: [2, 3], dtype: 'float32' } as const
const b = { data: Float32Array.of(1, 0, 0, 1, 1, 1), shape: [3, 2], dtype: 'float32' } as const

const reference = await createEngine('reference')
for (const engine of [await createEngine('wasm', { threads: 1 }), await createEngine('gpujs'), reference]) {
  const { output } = await engine.matmul(a, b, { emit: { rowSums: true } })
  console.log(`${engine.name}: ${Array.from(output.data).join(', ')}`)
  await engine.dispose()
}
const { product, rowSums } = reference.counts
const perRow = (rowSums.adds + rowSums.multiplyAdds) / 2
console.log(`a row sum costs ${perRow} adds and multiply-adds beside the product's ${product.multiplyAdds}`)
