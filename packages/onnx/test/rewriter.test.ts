import { describe, expect, it } from 'vitest'
import * as ort from 'onnxruntime-node'
import {
  cloneModel,
  foldBatchNorm,
  graphBuilder,
  indexGraph,
  linearLayers,
  rewriter,
  serializeModel,
  type OnnxModel,
} from '../src/index.ts'

const float = (shape: number[], value: (i: number) => number) => ({
  type: 'float32' as const,
  shape,
  data: Float32Array.from({ length: shape.reduce((all, size) => all * size, 1) }, (_, i) => value(i)),
})

async function run(model: OnnxModel, feeds: Record<string, ort.Tensor>): Promise<Record<string, ort.Tensor>> {
  const session = await ort.InferenceSession.create(serializeModel(model), {
    logSeverityLevel: 3,
    graphOptimizationLevel: 'disabled',
  })
  const results = await session.run(feeds)
  await session.release()
  return results
}

function convNet(options: { normIsOutput?: boolean; convHasSecondReader?: boolean } = {}): OnnxModel {
  const b = graphBuilder({ name: 'net' })
  const x = b.input('x', 'float32', [1, 2, 5, 5])
  const w = b.initializer(
    'w',
    float([3, 2, 3, 3], (i) => Math.sin(i)),
  )
  const conv = b.node('Conv', [x, w], { outputs: ['conv'] })
  const parameters = ['scale', 'shift', 'mean'].map((name, p) =>
    b.initializer(
      name,
      float([3], (i) => Math.cos(3 * p + i)),
    ),
  )
  const variance = b.initializer(
    'variance',
    float([3], (i) => 0.5 + i),
  )
  const norm = b.node('BatchNormalization', [conv, ...parameters, variance], {
    outputs: ['norm'],
    attributes: { epsilon: { float: 1e-3 } },
  })
  if (options.normIsOutput) b.output(norm, 'float32')
  const relu = b.node('Relu', [norm], { outputs: ['relu'] })
  const w2 = b.initializer(
    'w2',
    float([4, 3, 1, 1], (i) => i / 7),
  )
  b.output(b.node('Conv', [relu, w2], { outputs: ['y'] }), 'float32')
  if (options.convHasSecondReader) b.output(b.node('Neg', [conv], { outputs: ['z'] }), 'float32')
  return b.build()
}

const feeds = {
  x: new ort.Tensor(
    'float32',
    Float32Array.from({ length: 50 }, (_, i) => Math.sin(i * i)),
    [1, 2, 5, 5],
  ),
}

describe('foldBatchNorm', () => {
  it.each([{}, { normIsOutput: true }])('keeps results and ids (%j)', async (options) => {
    const model = convNet(options)
    const folded = cloneModel(model)
    expect(foldBatchNorm(folded)).toEqual(['conv'])
    expect(linearLayers(folded).layers.map((layer) => layer.id)).toEqual(['conv', 'y'])
    expect(folded.graph.initializer.map((tensor) => tensor.name)).not.toContain('w')
    const [before, after] = [await run(model, feeds), await run(folded, feeds)]
    for (const [name, tensor] of Object.entries(before)) {
      const got = after[name]?.data as Float32Array
      // Two float32 operations an element differ in order: values of order 10, so 20 unit roundoffs of 10 bound them.
      ;(tensor.data as Float32Array).forEach((value, i) =>
        expect(Math.abs((got[i] ?? NaN) - value)).toBeLessThan(20 * 10 * 2 ** -24),
      )
    }
  })

  it('leaves a convolution alone whose own output is read elsewhere', () => {
    const model = convNet({ convHasSecondReader: true })
    expect(foldBatchNorm(model)).toEqual([])
  })
})

describe('rewriter', () => {
  it('puts a check behind a layer: redirected readers, a new output, sorted nodes', async () => {
    const model = convNet()
    const edit = rewriter(model)
    const two = edit.initializer(
      'w',
      float([1], () => 2),
    )
    expect(two).toBe('w_1')
    const doubled = edit.node('Mul', ['relu', two])
    const producer = model.graph.node.at(-1)
    edit.redirect('relu', doubled, producer ? [producer] : [])
    edit.addOutput(edit.node('ReduceSum', ['conv'], { outputs: ['check'] }), 'float32')
    edit.finish()
    const index = indexGraph(model.graph)
    expect(index.consumers('relu').map((node) => node.opType)).toEqual(['Mul'])
    expect(index.producer('y')?.input[0]).toBe(doubled)
    const [before, after] = [await run(convNet(), feeds), await run(model, feeds)]
    // Times two is exact in binary.
    expect(Array.from(after['y']?.data as Float32Array)).toEqual(
      Array.from(before['y']?.data as Float32Array, (value) => 2 * value),
    )
    expect(after['check']?.dims).toEqual([1, 1, 1, 1])
  })

  it('replaces a node by several', async () => {
    const model = convNet()
    const edit = rewriter(model)
    const relu = edit.index().producer('relu')
    if (!relu) throw new Error('no relu')
    const zero = edit.initializer(
      'zero',
      float([], () => 0),
    )
    edit.remove(relu)
    edit.node('Max', ['norm', zero], { outputs: ['relu'] })
    edit.finish()
    const [before, after] = [await run(convNet(), feeds), await run(model, feeds)]
    expect(after['y']?.data).toEqual(before['y']?.data)
  })

  it('refuses a cycle', () => {
    const model = convNet()
    const edit = rewriter(model)
    edit.redirect('x', 'y')
    expect(() => edit.finish()).toThrow(/cycle/)
  })

  it('finds constants through Identity and ConstantOfShape', () => {
    const b = graphBuilder({ name: 'constants' })
    const shape = b.initializer('shape', { type: 'int64', shape: [2], data: BigInt64Array.of(2n, 3n) })
    b.output(b.node('Identity', [b.node('ConstantOfShape', [shape])], { outputs: ['c'] }), 'float32')
    expect(indexGraph(b.build().graph).constant('c')).toEqual(float([2, 3], () => 0))
    expect(indexGraph(b.build().graph).constant('nothing')).toBeUndefined()
  })
})
