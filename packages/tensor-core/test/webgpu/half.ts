// Checks: operands in float16, accumulated in float32. For adapters with shader-f16.
import { fromFloat16Array, toFloat16Array } from '@ft/core/formats'
import type { Tensor } from '@ft/core'
import { floats, integers } from '../support/cases.ts'
import { compareIntegers, compareProducts, sameBits } from './compare.ts'
import { emits, engineOf, referenceOf, smallTile, type Check } from './suite.ts'

const half = () => engineOf({ storage: 'float16', matrices: false, tile: smallTile })
/** What float16 keeps of a tensor. */
export const rounded = (t: Tensor): Tensor => ({ ...t, data: fromFloat16Array(toFloat16Array(t.data as Float32Array)) })

const checks: Check[] = [
  {
    name: 'products are those of rounded operands, with every sum',
    async run() {
      const [engine, reference] = [await half(), referenceOf()]
      for (const [m, n, k] of [
        [1, 1, 1],
        [17, 15, 33],
        [50, 33, 129],
      ] as const) {
        const [a, b, bias] = [floats([m, k], 1), floats([k, n], 2), floats([n], 3)]
        const wanted = { bias, activation: 'relu', emit: emits.all } as const
        const ours = await engine.matmul(a, b, wanted)
        compareProducts(ours, reference.matmulSync(rounded(a), rounded(b), wanted), { m, n, k })
        const weights = await engine.prepare(b)
        sameBits((await engine.matmul(a, weights, { bias, activation: 'relu' })).output, ours.output)
        weights.release()
      }
    },
  },
  {
    name: 'convolutions and integers too',
    async run() {
      const [engine, reference] = [await half(), referenceOf()]
      const [x, filter] = [floats([2, 7, 6, 3], 1), floats([3, 3, 3, 5], 2)]
      const wanted = { pad: [1, 1, 1, 1], emit: emits.rows } as const
      const theirs = reference.conv2dSync(rounded(x), rounded(filter), wanted)
      compareProducts(await engine.conv2d(x, filter, wanted), theirs, { m: 84, n: 5, k: 27 })
      const [a8, b8] = [integers([9, 30], 'int8', 1), integers([30, 7], 'int8', 2)]
      compareIntegers(await engine.matmulInt8(a8, b8), reference.matmulInt8Sync(a8, b8))
    },
  },
]

export default checks
