// Single rows of matrix products: read, written, and computed again by the engine's own kernel.
import type { MatmulEngine, MatmulOptions, Tensor } from '@ft/core'
import { lasting, type RowAccess } from './recompute.ts'
import { storedNumber, storedValues, type Rounding } from './rounding.ts'
import type { ProtectedWeights } from './weights.ts'

interface MatmulRows {
  readonly engine: MatmulEngine
  readonly rounding: Rounding
  readonly a: Tensor
  readonly weights: ProtectedWeights
  readonly m: number
  readonly output: Tensor
  readonly options: Omit<MatmulOptions, 'out' | 'emit'>
}

export function matmulRows({ engine, rounding, a, weights, m, output, options }: MatmulRows): RowAccess {
  const { k, n, batch, tensor } = weights
  const out = output.data as Float32Array
  const { build } = engine
  const operand = (item: number, row: number) =>
    Float32Array.from(
      storedValues(build, (a.data as Float32Array).subarray((item * m + row) * k, (item * m + row + 1) * k)),
    )
  const place = (item: number, row: number) => (item * m + row) * n
  /** The row alone; in a batch it stands in its own item, beside rows of zeros. */
  const alone = (item: number, row: number): Tensor => {
    if (batch === 0) return { data: operand(item, row), shape: [1, k], dtype: 'float32' }
    const data = new Float32Array(batch * k)
    data.set(operand(item, row), item * k)
    return { data, shape: [batch, 1, k], dtype: 'float32' }
  }
  const rowOf = ({ data }: Tensor, item: number) =>
    Float32Array.from(batch === 0 ? data : data.subarray(item * n, (item + 1) * n))
  return {
    engine,
    rounding,
    k,
    read: (item, row) => out.subarray(place(item, row), place(item, row) + n),
    write: (item, row, values) => out.set(values, place(item, row)),
    operand,
    weight: (item, step, column) =>
      storedNumber(build, tensor.data[(batch === 0 ? step : item * k + step) * n + column] as number),
    async rerun(item, row) {
      const x = alone(item, row)
      const final = await engine.matmul(x, weights.prepared, options)
      const bare = options.bias === undefined && options.activation === undefined
      const plain = bare ? final : await engine.matmul(x, weights.prepared, lasting(options.faults))
      return { final: rowOf(final.output, item), plain: rowOf(plain.output, item) }
    },
  }
}
