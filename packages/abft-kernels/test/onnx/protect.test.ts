// Protected models compute what they computed before, never alarm on clean runs, and see faults with every optimisation on.
import { describe, expect, it } from 'vitest'
import type { Fault } from '@ft/core'
import { graphBuilder, serializeModel } from '@ft/onnx'
import { createGuardedSession, injectOnnx, protectOnnx, type OnnxScheme } from '../../src/onnx.ts'
import { attention, attentionLayers, blockLayers, blocks, convLayers, convNet, feed, ort, runPlain } from './models.ts'

const all = { graphOptimizationLevel: 'all', logSeverityLevel: 3 } as const
const schemes: OnnxScheme[] = ['global', 'row', 'replication']

const cases = [
  { name: 'convolutions', bytes: convNet(), feeds: { x: feed([2, 3, 16, 16], 1) }, layers: convLayers },
  { name: 'blocks', bytes: blocks(), feeds: { x: feed([2, 3, 24, 24], 1) }, layers: blockLayers },
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

/** Convolutions whose taps see different pixels, and from 16 channels on in the blocks of runtimes. */
const geometries = [
  { taps: [3, 3], pads: [1, 1, 1, 1] },
  { taps: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] },
  { taps: [7, 7], strides: [2, 2], pads: [3, 3, 3, 3] },
  { taps: [1, 1], strides: [2, 2], pads: [0, 0, 0, 0] },
  { taps: [5, 1], strides: [1, 3], pads: [4, 0, 0, 2] },
  { taps: [2, 3], dilations: [3, 2], strides: [3, 1], pads: [1, 0, 2, 5] },
  { taps: [3, 3], pads: [0, 8, 0, 8], size: 5 },
  { taps: [4], pads: [2, 1] },
  { taps: [3], strides: [2], pads: [1, 0] },
]

it.each(geometries)('global: sums are those of taps $taps, strides $strides, pads $pads', async (geometry) => {
  const { taps, size = 12, ...rest } = geometry
  for (const [channels, groups] of [
    [16, 1],
    [32, 2],
    [6, 3],
  ] as const) {
    const b = graphBuilder({ name: 'one' })
    const shape = [2, channels, ...taps.map(() => size)]
    const x = b.input('x', 'float32', shape)
    const data = feed([16 * groups, channels / groups, ...taps], 5).data as Float32Array
    const w = b.initializer('w', { dtype: 'float32', shape: [16 * groups, channels / groups, ...taps], data })
    const attributes = Object.fromEntries(Object.entries(rest).map(([name, ints]) => [name, { ints }]))
    b.output(
      b.node('Conv', [x, w], { outputs: ['y'], attributes: { ...attributes, group: { int: groups } } }),
      'float32',
    )
    const made = protectOnnx(serializeModel(b.build()), { scheme: 'global' })
    const [layer] = made.protected
    const session = await ort.InferenceSession.create(made.bytes, all)
    const results = await session.run({ x: feed(shape, 1) })
    const [failed, residual] = results[layer?.output ?? '']?.data as Float32Array
    // A tap that is summed over the wrong pixels shows at about 1e-2; sums of a few hundred terms round by 1e-6.
    expect(failed).toBe(0)
    expect(residual).toBeLessThan(2e-6)
    await session.release()
  }
})

it('global: padding as large as the output, as in the last layers of small images, runs and is checked', async () => {
  for (const [size, taps, pad] of [
    [1, 3, 1],
    [2, 5, 2],
  ] as const) {
    const b = graphBuilder({ name: 'small image' })
    const x = b.input('x', 'float32', [2, 3, size, size])
    const data = feed([4, 3, taps, taps], 5).data as Float32Array
    const w = b.initializer('w', { dtype: 'float32', shape: [4, 3, taps, taps], data })
    const pads = { ints: [pad, pad, pad, pad] }
    b.output(b.node('Conv', [x, w], { outputs: ['y'], attributes: { pads } }), 'float32', [2, 4, size, size])
    const made = protectOnnx(serializeModel(b.build()), { scheme: 'global' })
    expect(made.protected.map(({ id }) => id)).toEqual(['y'])
    const fault: Fault = { layer: 'y', site: { kind: 'output', row: 1, column: 2 }, effect: { kind: 'add', value: 50 } }
    const struck = injectOnnx(made.bytes, [fault], { inputs: { x: [2, 3, size, size] } })
    for (const [bytes, status] of [
      [made.bytes, 'clean'],
      [struck, 'uncorrectable'],
    ] as const) {
      const session = await createGuardedSession(ort, bytes, { session: all })
      expect((await session.run({ x: feed([2, 3, size, size], 1) })).report.status).toBe(status)
      await session.release()
    }
  }
})

it('leaves out, with its reason, a product too long for any bound, and the model opens', async () => {
  const b = graphBuilder({ name: 'long' })
  // 2 (k + 3) terms and more reach 1 / (2 u) = 2^23.
  const k = 2 ** 22
  const a = b.input('a', 'float32', [1, k])
  const y = b.node('MatMul', [a, b.input('b', 'float32', [k, 1])], { outputs: ['y'] })
  const w = b.initializer('w', { dtype: 'float32', shape: [1, 2], data: Float32Array.of(1, 2) })
  b.output(b.node('MatMul', [y, w], { outputs: ['z'] }), 'float32', [1, 2])
  const made = protectOnnx(serializeModel(b.build()), { scheme: 'row' })
  expect(made.protected.map(({ id }) => id)).toEqual(['z'])
  expect(made.unprotected).toEqual([{ id: 'y', reason: expect.stringMatching(/no bound/) as string }])
  const session = await createGuardedSession(ort, made.bytes, { session: all })
  expect(session.layers.map(({ id }) => id)).toEqual(['z'])
  await session.release()
})

it('a struck operand of a Gemm with transA lies where the product reads it', async () => {
  const b = graphBuilder({ name: 'transposed' })
  const x = b.input('x', 'float32', [3, 4])
  const w = b.initializer('w', { dtype: 'float32', shape: [3, 2], data: Float32Array.of(1, 2, 4, 8, 16, 32) })
  const y = b.node('Gemm', [x, w], { outputs: ['y'], attributes: { transA: { int: 1 } } })
  b.output(y, 'float32', [4, 2])
  const plain = serializeModel(b.build())
  const fault: Fault = {
    layer: 'y',
    site: { kind: 'operand', row: 3, step: 1 },
    effect: { kind: 'set', value: 1 },
  }
  const zeros = { x: new ort.Tensor('float32', new Float32Array(12), [3, 4]) }
  const { y: struck } = await runPlain(injectOnnx(plain, [fault]), zeros)
  // Row 3 of the product reads row 1 of the weights.
  expect([...(struck?.data as Float32Array)]).toEqual([0, 0, 0, 0, 0, 0, 4, 8])
})

function dims(feeds: Record<string, ort.Tensor>): Record<string, readonly number[]> {
  return Object.fromEntries(Object.entries(feeds).map(([name, tensor]) => [name, tensor.dims]))
}
