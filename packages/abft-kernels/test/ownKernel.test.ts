// A kernel of one's own: clean with the kernel's bits, faults of any kind found and corrected by the same kernel.
import { describe, expect, it } from 'vitest'
import type { ProtectionScheme, Tensor } from '@ft/core'
import { calibrate, createKernels, engineOf } from '../src/index.ts'
import { bits, normalTensor } from './support/data.ts'

/** Rows times columns in float32 chains, the plainest kernel; every seventh call may lie. */
function naive(lie: { at?: number; by?: number } = {}) {
  let calls = 0
  return (a: Tensor, b: Tensor): Tensor => {
    const [m = 0, k = 0] = a.shape
    const n = b.shape[1] ?? 0
    const data = new Float32Array(m * n)
    for (let i = 0; i < m; i++)
      for (let s = 0; s < k; s++)
        for (let j = 0; j < n; j++) {
          const at = i * n + j
          data[at] = (data[at] as number) + Math.fround((a.data[i * k + s] as number) * (b.data[s * n + j] as number))
        }
    if (calls++ === 0 && lie.at !== undefined) data[lie.at] = (data[lie.at] as number) + (lie.by ?? 0)
    return { data, shape: [m, n], dtype: 'float32' }
  }
}

const [a, w] = [normalTensor([13, 90], 1), normalTensor([90, 21], 2)]
const schemes: ProtectionScheme[] = ['global', 'row', 'column', 'row-column']

describe.each(schemes)('%s around a naive kernel', (scheme) => {
  it('clean is clean, calibrated or not, with bias and ReLU', async () => {
    const engine = engineOf({ name: 'naive', multiply: naive() })
    const calibration = await calibrate(engine, { lengths: [16, 64, 128], trials: 2 })
    for (const kernels of [createKernels({ engine }), createKernels({ engine, calibration })]) {
      const weights = await kernels.prepare(w)
      const bias = normalTensor([21], 3)
      const { report, output } = await kernels.matmul(a, weights, { scheme, bias, activation: 'relu' })
      expect(report.detections).toEqual([])
      const plain = naive()(a, w).data.map((value, i) =>
        Math.max(0, Math.fround(value + (bias.data[i % 21] as number))),
      )
      expect([...output.data]).toEqual([...plain])
    }
  })

  it('a lie is found and the output put right, bit for bit', async () => {
    for (const at of [0, 5 * 21 + 7, 13 * 21 - 1]) {
      const kernels = createKernels({ engine: engineOf({ name: 'lying', multiply: naive({ at, by: 3 }) }) })
      const weights = await kernels.prepare(w)
      const { report, output } = await kernels.matmul(a, weights, { scheme })
      expect(report.status).toBe('corrected')
      expect(bits(output)).toEqual(bits(naive()(a, w)))
    }
  })
})

it('a kernel that is wrong every time is uncorrectable', async () => {
  const wrong = (x: Tensor, y: Tensor): Tensor => {
    const c = naive()(x, y)
    c.data[3] = 1e3
    return c
  }
  const kernels = createKernels({ engine: engineOf({ name: 'wrong', multiply: wrong }) })
  expect((await kernels.matmul(a, await kernels.prepare(w))).report.status).toBe('uncorrectable')
})

it('says what it cannot do', async () => {
  const engine = engineOf({ name: 'naive', multiply: naive() })
  const kernels = createKernels({ engine })
  const weights = await kernels.prepare(w)
  const refused = { code: 'UNSUPPORTED' }
  await expect(kernels.matmul(a, weights, { scheme: 'thread-one-sided' })).rejects.toMatchObject(refused)
  await expect(kernels.matmul(a, weights, { activation: 'gelu' })).rejects.toMatchObject(refused)
  await expect(kernels.prepare(normalTensor([2, 2, 2, 2], 1), { kind: 'conv2d' })).rejects.toMatchObject(refused)
  const site = { kind: 'output', row: 0, column: 0 } as const
  await expect(
    kernels.matmul(a, weights, { faults: [{ site, effect: { kind: 'set', value: 1 } }] }),
  ).rejects.toMatchObject(refused)
  const square = normalTensor([8, 8], 1)
  await expect(engine.matmul(square, square, { transposeA: true })).rejects.toMatchObject(refused)
  await expect(engine.matmul(square, square, { transposeB: true })).rejects.toMatchObject(refused)
  await expect(engine.matmul(square, await engine.prepare(square), { transposeB: true })).rejects.toMatchObject(refused)
  await expect(engine.prepare(square, { transposeB: true })).rejects.toMatchObject(refused)
  await expect(kernels.conv2d(a, weights as never)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
})
