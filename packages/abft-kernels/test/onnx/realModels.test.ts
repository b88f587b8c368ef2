// Real graphs: nine convolutional networks of the ONNX project and a voice detector whose products lie inside branches.
import { describe, expect, it } from 'vitest'
import { parseModel } from '@ft/onnx'
import { createGuardedSession, injectOnnx, protectOnnx } from '../../src/onnx.ts'
import { feed, haveModels, ort, realModel, runPlain } from './models.ts'

const all = { graphOptimizationLevel: 'all', logSeverityLevel: 4 } as const
const light = ['squeezenet', 'resnet50', 'shufflenet', 'densenet121'] as const

function inputOf(bytes: Uint8Array): string {
  const { graph } = parseModel(bytes)
  const stored = new Set(graph.initializer.map((tensor) => tensor.name))
  return graph.input.find((input) => !stored.has(input.name))?.name ?? ''
}

describe.skipIf(!haveModels)('light graphs', () => {
  const image = feed([1, 3, 224, 224], 1)

  it.each(light)('%s: every product is protected, clean stays clean, a struck weight is found', async (name) => {
    const bytes = realModel(`onnx-light/light_${name}.onnx`)
    const products = parseModel(bytes).graph.node.filter(({ opType }) => ['Conv', 'Gemm', 'MatMul'].includes(opType))
    const made = protectOnnx(bytes, { scheme: 'row' })
    expect(made.unprotected).toEqual([])
    expect(made.protected).toHaveLength(products.length)
    const feeds = { [inputOf(bytes)]: image }
    const session = await createGuardedSession(ort as never, made.bytes, { session: all })
    const { outputs, report } = await session.run(feeds)
    expect(report).toMatchObject({ status: 'clean', runs: 1 })
    await session.release()
    for (const [output, tensor] of Object.entries(await runPlain(bytes, feeds))) {
      const [expected, got] = [tensor.data as Float32Array, outputs[output]?.data as Float32Array]
      const scale = Math.max(...expected.map(Math.abs), 1e-6)
      // Constant weights give outputs of one size; some hundred layers of float32 rounding stay below 1e-4 of it.
      expected.forEach((value, i) => expect(Math.abs((got[i] ?? NaN) - value)).toBeLessThanOrEqual(1e-4 * scale))
    }
    const struck = injectOnnx(made.bytes, [
      {
        layer: products[0]?.output[0] ?? '',
        site: { kind: 'packed-weight', step: 2, column: 5 },
        effect: { kind: 'set', value: 30 },
      },
    ])
    const damaged = await createGuardedSession(ort as never, struck, { session: all })
    const found = await damaged.run(feeds)
    expect(found.report.detections.map((item) => item.id)).toEqual([products[0]?.output[0]])
    await damaged.release()
  })

  it('a voice detector: products inside branches are listed, none is left out silently', () => {
    const { protected: done, unprotected } = protectOnnx(realModel('silero-vad/silero_vad_v5.onnx'), { scheme: 'row' })
    expect(done).toEqual([])
    expect(unprotected.length).toBeGreaterThan(5)
    expect(unprotected.every(({ reason }) => reason.includes('inside a branch'))).toBe(true)
  })
})
