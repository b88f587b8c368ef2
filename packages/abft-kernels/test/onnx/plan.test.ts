// Plans decide per layer; what is not protected is listed with its reason; what cannot be meant is refused.
import { describe, expect, it } from 'vitest'
import fc from 'fast-check'
import { isFtError, type ProtectionPlan, type ProtectionScheme } from '@ft/core'
import { graphBuilder, linearLayers, makeNode, modelFingerprint, parseModel, serializeModel } from '@ft/onnx'
import { injectOnnx, protectOnnx, createGuardedSession } from '../../src/onnx.ts'
import { attention, convNet, ort } from './models.ts'

function planFor(bytes: Uint8Array, schemes: Readonly<Record<string, ProtectionScheme>>): ProtectionPlan {
  const model = parseModel(bytes)
  const { layers } = linearLayers(model, { inputs: { x: [1, 3, 16, 16] } })
  return {
    schema: 'ft.plan',
    version: 1,
    target: 'onnx',
    model: { name: 'conv net', fingerprint: modelFingerprint(model) },
    device: 'test',
    layers: layers
      .filter(({ id }) => id in schemes)
      .map((layer) => ({
        id: layer.id,
        layer,
        scheme: schemes[layer.id] as ProtectionScheme,
        intensity: 1,
        bound: 'memory',
        predictedOverhead: 0,
        smallestDetectable: 1,
        alternatives: [],
      })),
  }
}

describe('plans', () => {
  const bytes = convNet()

  it('gives each layer its scheme and lists the others', () => {
    const plan = planFor(bytes, { c1: 'global', c2: 'row', c3: 'replication', c4: 'none', g1: 'thread-one-sided' })
    const made = protectOnnx(bytes, plan)
    expect(made.protected.map((layer) => [layer.id, layer.scheme])).toEqual([
      ['c1', 'global'],
      ['c2', 'row'],
      ['c3', 'replication'],
    ])
    expect(made.unprotected).toEqual([
      { id: 'c4', reason: "the plan gives it 'none'" },
      { id: 'g1', reason: "the plan gives it 'thread-one-sided'" },
      { id: 'logits', reason: 'the plan does not name it' },
    ])
  })

  it.each([
    ['another target', (plan: ProtectionPlan) => ({ ...plan, target: 'wasm' as const }), 'INVALID_ARGUMENT'],
    [
      'another model',
      (plan: ProtectionPlan) => ({ ...plan, model: { ...plan.model, fingerprint: 'sha256-0' } }),
      'FINGERPRINT_MISMATCH',
    ],
  ])('refuses a plan of %s', (_, change, code) => {
    expect(() => protectOnnx(bytes, change(planFor(bytes, { c1: 'row' })))).toThrow(
      expect.objectContaining({ code }) as Error,
    )
  })

  it('refuses an unknown scheme, a protected model, an old operator set, an unprotected model in a guard', async () => {
    expect(() => protectOnnx(bytes, { scheme: 'column' as 'row' })).toThrow(/global/)
    const { bytes: once } = protectOnnx(bytes, { scheme: 'row' })
    expect(() => protectOnnx(once, { scheme: 'row' })).toThrow(/unprotected/)
    const old = parseModel(bytes)
    for (const set of old.opsetImport) set.version = 8n
    expect(() => protectOnnx(serializeModel(old), { scheme: 'row' })).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED' }) as Error,
    )
    await expect(createGuardedSession(ort as never, bytes)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  })

  it('injects only where it can', () => {
    const site = { kind: 'output', row: 0, column: 0 } as const
    const set = { kind: 'set', value: 1 } as const
    const inputs = { inputs: { x: [1, 3, 16, 16] } }
    const refused = (fault: Parameters<typeof injectOnnx>[1][number], code: string) =>
      expect(() => injectOnnx(bytes, [fault], inputs)).toThrow(expect.objectContaining({ code }) as Error)
    refused({ layer: 'nowhere', site, effect: set }, 'INVALID_ARGUMENT')
    refused({ layer: 'c1', site, effect: { kind: 'flip', bits: [3] } }, 'UNSUPPORTED')
    refused({ layer: 'c1', site: { ...site, column: 8 }, effect: set }, 'INVALID_ARGUMENT')
    refused({ layer: 'c1', site: { kind: 'packed-weight', step: 27, column: 0 }, effect: set }, 'INVALID_ARGUMENT')
    refused({ layer: 'c1', site: { kind: 'accumulator', row: 0, column: 0, step: 0 }, effect: set }, 'UNSUPPORTED')
  })
})

describe('what has no check', () => {
  it('is listed with its reason: recurrent layers, requantised products, branches, quantise-dequantise pairs', () => {
    const b = graphBuilder({ name: 'others' })
    const x = b.input('x', 'float32', [4, 8])
    const bytes8 = (name: string, size: number, shape: number[]) =>
      b.initializer(name, { type: 'int8', shape, data: new Int8Array(size) })
    const scale = b.initializer('scale', { dtype: 'float32', shape: [], data: Float32Array.of(0.1) })
    const zero = b.initializer('zero', { type: 'int8', shape: [], data: Int8Array.of(0) })
    const dq = b.node('DequantizeLinear', [bytes8('w8', 64, [8, 8]), scale, zero])
    const y = b.node('MatMul', [x, dq], { outputs: ['between'] })
    const q = b.node('QuantizeLinear', [y, scale, zero])
    b.node('QLinearMatMul', [q, scale, zero, bytes8('v8', 64, [8, 8]), scale, zero, scale, zero], {
      outputs: ['requantised'],
    })
    const branch = graphBuilder({ name: 'branch' })
    branch.output(branch.node('MatMul', [x, x], { outputs: ['inner'] }), 'float32')
    const condition = b.input('c', 'bool', [])
    b.node('If', [condition], {
      outputs: ['either'],
      attributes: { then_branch: { graph: branch.graph() }, else_branch: { graph: branch.graph() } },
    })
    b.node('LSTM', [x, x, x], { outputs: ['recurrent'] })
    const { protected: done, unprotected } = protectOnnx(serializeModel(b.build()), { scheme: 'row' })
    expect(done).toEqual([])
    const reasons = Object.fromEntries(unprotected.map(({ id, reason }) => [id, reason]))
    expect(Object.keys(reasons).sort()).toEqual(['between', 'inner', 'recurrent', 'requantised'])
    expect(reasons['between']).toMatch(/quantise/)
    expect(reasons['inner']).toMatch(/If/)
    expect(reasons['recurrent']).toMatch(/recurrent/)
    expect(reasons['requantised']).toMatch(/8 bits/)
  })
})

describe('damaged models', () => {
  const models = [convNet(), attention(), protectOnnx(convNet(), { scheme: 'row' }).bytes]

  it('are refused with an error that says so, or are still models', async () => {
    let refused = 0
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 2 }),
        fc.nat(),
        fc.nat({ max: 255 }),
        fc.boolean(),
        async (which, at, byte, cut) => {
          const bytes = Uint8Array.from(models[which] as Uint8Array)
          const place = at % bytes.length
          bytes[place] = byte
          const damaged = cut ? bytes.subarray(0, place) : bytes
          for (const work of [
            () => protectOnnx(damaged, { scheme: 'row' }),
            () =>
              injectOnnx(damaged, [
                {
                  layer: 'c1',
                  site: { kind: 'packed-weight', step: 1, column: 1 },
                  effect: { kind: 'flip', bits: [3] },
                },
              ]),
          ])
            try {
              work()
            } catch (error) {
              refused++
              expect(isFtError(error)).toBe(true)
            }
          await createGuardedSession(noRuntime, damaged).then(
            (session) => session.release(),
            (error: unknown) => expect(isFtError(error)).toBe(true),
          )
        },
      ),
      { numRuns: 600 },
    )
    expect(refused).toBeGreaterThan(100)
  })

  it('names nodes that read nothing', () => {
    const model = parseModel(convNet())
    model.graph.node.push(makeNode('Relu', ['missing'], ['dangling']))
    expect(() => protectOnnx(serializeModel(model), { scheme: 'row' })).toThrow(
      expect.objectContaining({ code: 'CORRUPT_DATA' }) as Error,
    )
  })
})

/** Reading a protected model needs no runtime; this one opens anything. */
const noRuntime = {
  InferenceSession: {
    create: () => Promise.resolve({ run: () => Promise.resolve({}), release: () => Promise.resolve() }),
  },
} as Parameters<typeof createGuardedSession>[0]
