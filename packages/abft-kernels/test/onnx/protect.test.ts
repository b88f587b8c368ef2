// Protected models compute what they computed before, never alarm on clean runs, and see faults with every optimisation on.
import { describe, expect, it } from 'vitest'
import type { Fault } from '@ft/core'
import { createGuardedSession, injectOnnx, protectOnnx, type OnnxScheme } from '../../src/onnx.ts'
import { attention, attentionLayers, convLayers, convNet, feed, ort, runPlain } from './models.ts'

const all = { graphOptimizationLevel: 'all', logSeverityLevel: 3 } as const
const schemes: OnnxScheme[] = ['global', 'row', 'replication']

const cases = [
  { name: 'convolutions', bytes: convNet(), feeds: { x: feed([2, 3, 16, 16], 1) }, layers: convLayers },
  { name: 'attention', bytes: attention(), feeds: { tokens: feed([2, 9, 12], 2) }, layers: attentionLayers },
]

describe.each(cases)('$name', ({ bytes, feeds, layers }) => {
  it.each(schemes)('%s: clean runs are clean, and outputs stay within rounding', async (scheme) => {
    const made = protectOnnx(bytes, { scheme })
    expect(made.unprotected).toEqual([])
    expect(made.protected.map((layer) => layer.id).sort()).toEqual([...layers].sort())
    const session = await createGuardedSession(ort, made.bytes, { session: all })
    const { outputs, report } = await session.run(feeds)
    expect(report).toMatchObject({ status: 'clean', runs: 1, detections: [] })
    await session.release()
    const plain = await runPlain(bytes, feeds)
    expect(Object.keys(outputs)).toEqual(Object.keys(plain))
    for (const [name, tensor] of Object.entries(plain)) {
      const [expected, got] = [tensor.data as Float32Array, outputs[name]?.data as Float32Array]
      const scale = Math.max(...expected.map(Math.abs))
      // Folding and fusion move single roundings; chains of at most 100 terms through six layers stay below 1e-5.
      expected.forEach((value, i) => expect(Math.abs((got[i] ?? NaN) - value)).toBeLessThanOrEqual(1e-5 * scale))
    }
  })

  it.each(schemes)('%s: a wrong output of any layer is found, with every optimisation on', async (scheme) => {
    const made = protectOnnx(bytes, { scheme })
    for (const layer of layers.filter((id) => id !== 'p')) {
      const fault: Fault = { layer, site: { kind: 'output', row: 1, column: 3 }, effect: { kind: 'add', value: 500 } }
      const session = await createGuardedSession(ort, injectOnnx(made.bytes, [fault], { inputs: dims(feeds) }), {
        session: all,
      })
      const { report } = await session.run(feeds)
      expect(report.status).toBe('uncorrectable')
      expect(report.detections.map((item) => item.id)).toEqual([layer])
      await session.release()
    }
  })
})

function dims(feeds: Record<string, ort.Tensor>): Record<string, readonly number[]> {
  return Object.fromEntries(Object.entries(feeds).map(([name, tensor]) => [name, tensor.dims]))
}
