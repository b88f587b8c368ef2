// Chains: predictions from the layer before agree with passes over the input, faults are corrected at their layer, and an
// activation that changes between two layers is seen.
import { afterAll, describe, expect, it } from 'vitest'
import { isFtError, type Fault, type MatmulEngine, type Tensor } from '@ft/core'
import { createReferenceEngine } from '@ft/tensor-core/reference'
import { createWasmEngine } from '@ft/tensor-core/wasm'
import { createKernels, type ChainLayer, type Kernels } from '../src/index.ts'
import { bits, normalTensor } from './support/data.ts'

const wasm = createWasmEngine({ threads: 1, instrumented: true })
afterAll(() => wasm.dispose())
const engines: [string, MatmulEngine][] = [
  ['reference', createReferenceEngine({ instrumented: true })],
  ['wasm', wasm],
]

/** A small network: two convolutions (the second strided, padded, dilated and grouped), two dense layers. */
async function network(kernels: Kernels): Promise<ChainLayer[]> {
  const conv = { kind: 'conv2d' } as const
  return [
    {
      id: 'conv1',
      weights: await kernels.prepare(normalTensor([3, 3, 3, 8], 1), conv),
      bias: normalTensor([8], 2),
      activation: 'relu',
      pad: [1, 1, 1, 1],
    },
    {
      id: 'conv2',
      weights: await kernels.prepare(normalTensor([3, 2, 4, 6], 3), { ...conv, groups: 2 }),
      activation: 'gelu',
      stride: [2, 1],
      pad: [2, 1, 0, 1],
      dilation: [1, 2],
    },
    {
      id: 'fc1',
      weights: await kernels.prepare(normalTensor([4 * 6 * 6, 20], 4)),
      bias: normalTensor([20], 5),
      activation: 'relu',
    },
    { id: 'fc2', weights: await kernels.prepare(normalTensor([20, 5], 6)) },
  ]
}
const image = normalTensor([2, 7, 7, 3], 7)

async function plainOutput(engine: MatmulEngine, layers: readonly ChainLayer[]): Promise<Tensor> {
  let x = image
  for (const { weights, id: _id, scheme: _scheme, ...options } of layers) {
    if (weights.kind === 'conv2d') x = (await engine.conv2d(x, weights.prepared, options)).output
    else {
      const a = { ...x, shape: [2, x.data.length / 2] }
      x = (await engine.matmul(a, weights.prepared, options)).output
    }
  }
  return x
}

describe.each(engines)('chain on %s', (_, engine) => {
  it.each(['hard', 'calibrated'])('%s: a clean run is clean, with the plain bits', async (mode) => {
    const hard = createKernels({ engine })
    const kernels = mode === 'hard' ? hard : await hard.calibrated({ lengths: [16, 64, 256], trials: 4 })
    const layers = await network(kernels)
    const chain = kernels.chain(layers)
    expect(chain.links).toEqual(['pass', 'fused', 'pass', 'fused'])
    const { output, status, reports } = await chain.run(image)
    expect([status, reports.flatMap((report) => report.detections)]).toEqual(['clean', []])
    expect(reports.map((report) => [report.id, report.scheme])).toEqual(layers.map((layer) => [layer.id, 'global']))
    expect(bits(output)).toEqual(bits(await plainOutput(engine, layers)))
  })

  it('corrects a fault where it strikes and goes on with the corrected activation', async () => {
    const kernels = createKernels({ engine })
    const layers = await network(kernels)
    const clean = await plainOutput(engine, layers)
    for (const layer of ['conv1', 'conv2', 'fc1', 'fc2']) {
      const fault: Fault = {
        layer,
        site: { kind: 'accumulator', row: 1, column: 2, step: 3 },
        effect: { kind: 'set', value: 3e4 },
      }
      const { output, status, reports } = await kernels.chain(layers).run(image, { faults: [fault] })
      expect(status).toBe('corrected')
      expect(reports.filter((report) => report.status !== 'clean').map((report) => report.id)).toEqual([layer])
      expect(bits(output)).toEqual(bits(clean))
    }
  })

  it('an operand read wrongly by a chained layer is seen, though row sums alone would agree with it', async () => {
    const kernels = createKernels({ engine })
    const layers = await network(kernels)
    const fault: Fault = {
      layer: 'fc2',
      site: { kind: 'operand', row: 1, step: 3 },
      effect: { kind: 'add', value: 500 },
    }
    const { status, output } = await kernels.chain(layers).run(image, { faults: [fault] })
    expect(status).toBe('corrected')
    expect(bits(output)).toEqual(bits(await plainOutput(engine, layers)))
  })

  it('an activation that changes in memory between two layers is made again', async () => {
    const kernels = createKernels({ engine })
    const layers = await network(kernels)
    const clean = await plainOutput(engine, layers)
    const corrupt = (struck: string) => (id: string, activation: Tensor) => {
      if (id === struck) activation.data[11] = (activation.data[11] as number) + 1000
    }
    for (const struck of ['conv1', 'fc1']) {
      const { output, status, reports } = await kernels.chain(layers).run(image, { onActivation: corrupt(struck) })
      expect(status).toBe('corrected')
      expect(reports.flatMap((report) => report.detections.map((item) => item.outcome))).toEqual(['restored'])
      expect(bits(output)).toEqual(bits(clean))
      const left = await kernels.chain(layers).run(image, { onActivation: corrupt(struck), onFault: 'report' })
      expect(left.status).toBe('detected')
      expect(bits(left.output)).not.toEqual(bits(clean))
      const thrown = await kernels
        .chain(layers)
        .run(image, { onActivation: corrupt(struck), onFault: 'throw' })
        .catch((error: unknown) => error)
      expect(isFtError(thrown, 'FAULT_DETECTED')).toBe(true)
    }
    // The limit: a dense layer behind a convolution reads its input anew and believes it.
    const { status } = await kernels.chain(layers).run(image, { onActivation: corrupt('conv2') })
    expect(status).toBe('clean')
  })

  it('mixes schemes, and refuses what cannot be told apart', async () => {
    const kernels = createKernels({ engine })
    const layers = (await network(kernels)).map((layer, i) => (i === 1 ? { ...layer, scheme: 'row' as const } : layer))
    const chain = kernels.chain(layers)
    expect(chain.links).toEqual(['pass', 'own', 'pass', 'fused'])
    expect((await chain.run(image)).status).toBe('clean')
    expect(() => kernels.chain([])).toThrow(/layers/)
    expect(() => kernels.chain(layers.map((layer) => ({ ...layer, id: 'same' })))).toThrow(/different ids/)
  })
})
