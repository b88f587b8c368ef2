import { describe, expect, it } from 'vitest'
import {
  cloneModel,
  foldBatchNorm,
  inferShapes,
  linearLayers,
  modelFingerprint,
  parseModel,
  serializeModel,
  serializeWithExternalData,
} from '../src/index.ts'
import { haveModels, lightModel, lightModels, ort, shapesInRuntime, sileroModel } from './support.ts'

const image = () =>
  new ort.Tensor(
    'float32',
    Float32Array.from({ length: 3 * 224 * 224 }, (_, i) => Math.sin(i)),
    [1, 3, 224, 224],
  )

function inputName(bytes: Uint8Array): string {
  const { graph } = parseModel(bytes)
  const stored = new Set(graph.initializer.map((tensor) => tensor.name))
  return graph.input.find((input) => !stored.has(input.name))?.name ?? ''
}

async function run(bytes: Uint8Array, feeds: Record<string, ort.Tensor>): Promise<Record<string, ort.Tensor>> {
  const session = await ort.InferenceSession.create(bytes, { logSeverityLevel: 3 })
  const results = await session.run(feeds)
  await session.release()
  return results
}

describe.skipIf(!haveModels)('the nine light graphs', () => {
  it.each(lightModels)('%s: every shape is the one onnxruntime computes', async (name) => {
    const bytes = lightModel(name)
    const model = parseModel(bytes)
    const inference = inferShapes(model)
    expect(inference.unsupported).toEqual([])
    const real = await shapesInRuntime(model, { [inputName(bytes)]: image() })
    expect(real.size).toBeGreaterThan(20)
    for (const [value, dims] of real) expect([value, inference.values.get(value)?.shape]).toEqual([value, [...dims]])
  })

  it.each(lightModels)('%s: round trip keeps the model and its results', async (name) => {
    const bytes = lightModel(name)
    const model = parseModel(bytes)
    const again = serializeModel(model)
    expect(parseModel(again)).toEqual(model)
    const feeds = { [inputName(bytes)]: image() }
    const [before, after] = [await run(bytes, feeds), await run(again, feeds)]
    for (const [output, tensor] of Object.entries(before)) expect(after[output]?.data).toEqual(tensor.data)
  })

  it.each(lightModels)('%s: lists every Conv and Gemm as a linear layer with the FLOPs of its shapes', (name) => {
    const model = parseModel(lightModel(name))
    const { layers, skipped } = linearLayers(model)
    const products = model.graph.node.filter((node) => ['Conv', 'Gemm', 'MatMul'].includes(node.opType))
    expect(layers.map((layer) => layer.id)).toEqual(products.map((node) => node.output[0]))
    expect(skipped).toEqual([])
    expect(layers.every((layer) => layer.dtype === 'float32')).toBe(true)
  })

  it('resnet50 has the 53 convolutions and 8.18 GFLOP of its paper, stride on the 1x1', () => {
    const { layers } = linearLayers(parseModel(lightModel('resnet50')))
    expect(layers).toHaveLength(54)
    // Variant with the stride in the block's first convolution: 7.72 GFLOP by 2 m n k, counted by hand from He 2015, table 1.
    const gigaflops = layers.reduce((sum, layer) => sum + 2 * layer.m * layer.n * layer.k, 0) / 1e9
    expect(gigaflops).toBeGreaterThan(7.7)
    expect(gigaflops).toBeLessThan(8.2)
    expect(layers.filter((layer) => layer.activation === 'relu').length).toBe(0)
  })

  it('follows activation and next layer after batch normalisation is folded', () => {
    const model = parseModel(lightModel('resnet50'))
    const folded = foldBatchNorm(model)
    expect(folded).toHaveLength(53)
    const { layers } = linearLayers(model)
    expect(layers).toHaveLength(54)
    // In each of the 16 blocks the first and second convolution feed exactly one convolution through ReLU.
    expect(layers.filter((layer) => layer.activation === 'relu' && layer.next !== undefined)).toHaveLength(32)
  })

  it.each(['resnet50', 'densenet121'] as const)('%s: folding batch normalisation keeps the results', async (name) => {
    const bytes = lightModel(name)
    const model = parseModel(bytes)
    foldBatchNorm(model)
    expect(model.graph.node.some((node) => node.opType === 'BatchNormalization')).toBe(name !== 'resnet50')
    const feeds = { [inputName(bytes)]: image() }
    const [before, after] = [await run(bytes, feeds), await run(serializeModel(model), feeds)]
    for (const [output, tensor] of Object.entries(before)) {
      const expected = tensor.data as Float32Array
      const got = after[output]?.data as Float32Array
      // The light graphs have constant weights: outputs are probabilities or equal logits of order 1; float32 noise of
      // some hundred layers stays below 1e-4 relative.
      const scale = Math.max(...expected.map(Math.abs), 1e-6)
      expected.forEach((value, i) => expect(Math.abs((got[i] ?? NaN) - value)).toBeLessThanOrEqual(1e-4 * scale))
    }
  })

  it('moves large tensors to a file beside the model and back', () => {
    const model = parseModel(lightModel('densenet121'))
    const split = serializeWithExternalData(model, { location: 'weights.bin', threshold: 256 })
    expect(split.external.length).toBeGreaterThan(0)
    const files = new Map([['weights.bin', split.external]])
    const joined = parseModel(split.model, { external: (location) => files.get(location) ?? new Uint8Array() })
    expect(serializeModel(joined)).toEqual(serializeModel(model))
    expect(() => parseModel(split.model, { external: () => split.external.subarray(1) })).toThrow(
      /lie outside weights\.bin/,
    )
  })

  it('fingerprints tell models apart, ignore weights and survive a round trip', () => {
    const prints = lightModels.map((name) => modelFingerprint(parseModel(lightModel(name))))
    expect(new Set(prints).size).toBe(lightModels.length)
    const model = parseModel(lightModel('squeezenet'))
    const changed = cloneModel(model)
    const weights = changed.graph.initializer.find((tensor) => tensor.rawData.length > 0 || tensor.floatData.length > 0)
    if (weights) {
      if (weights.rawData.length > 0) weights.rawData = weights.rawData.map((byte) => byte ^ 1)
      else weights.floatData = weights.floatData.map((value) => value + 1)
    }
    expect(modelFingerprint(changed)).toBe(modelFingerprint(model))
    expect(modelFingerprint(parseModel(serializeModel(model)))).toBe(modelFingerprint(model))
    changed.graph.node.pop()
    expect(modelFingerprint(changed)).not.toBe(modelFingerprint(model))
  })
})

describe.skipIf(!haveModels)('silero-vad', () => {
  const shapes = { inputs: { input: [2, 512], state: [2, 2, 128] }, values: { sr: [16_000] } }
  const feeds = () => ({
    input: new ort.Tensor(
      'float32',
      Float32Array.from({ length: 1024 }, (_, i) => Math.sin(i / 5) / 4),
      [2, 512],
    ),
    state: new ort.Tensor('float32', new Float32Array(2 * 2 * 128), [2, 2, 128]),
    sr: new ort.Tensor('int64', BigInt64Array.from([16_000n]), []),
  })

  it('infers the shapes of its outputs through nested branches', async () => {
    const model = parseModel(sileroModel())
    const inference = inferShapes(model, shapes)
    expect(inference.unsupported).toEqual([])
    const real = await run(sileroModel(), feeds())
    expect(Object.keys(real)).toEqual(['output', 'stateN'])
    for (const [name, tensor] of Object.entries(real))
      expect([name, inference.values.get(name)?.shape]).toEqual([name, [...tensor.dims]])
  })

  it('round trip is runnable with equal results', async () => {
    const again = serializeModel(parseModel(sileroModel()))
    const [before, after] = [await run(sileroModel(), feeds()), await run(again, feeds())]
    for (const [name, tensor] of Object.entries(before)) expect(after[name]?.data).toEqual(tensor.data)
  })

  it('lists its 1-d convolutions with their strides and names what it leaves out', () => {
    const { layers, skipped } = linearLayers(parseModel(sileroModel()), shapes)
    expect(layers.length).toBeGreaterThanOrEqual(6)
    expect(layers.every((layer) => layer.op.kind === 'conv2d' && layer.op.x[1] === 1)).toBe(true)
    expect(skipped.map((item) => item.opType)).toContain('LSTM')
  })
})
