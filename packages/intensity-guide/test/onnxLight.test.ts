// The nine light graphs: what onnxruntime computes decides what shape each layer has.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as ort from 'onnxruntime-node'
import { describe, expect, it } from 'vitest'
import type { LinearLayer } from '@ft/core'
import { cloneModel, inferShapes, parseModel, rewriter, serializeModel, type OnnxModel } from '@ft/onnx'
import { analyseNetwork, findDevice, planNetwork, readOnnx } from '../src/index.ts'

const folder = process.env['FT_DATA_DIR'] && join(process.env['FT_DATA_DIR'], '..', 'models', 'onnx-light')
const present = folder !== undefined && existsSync(folder)
if (!present && process.env['FT_REQUIRE']?.split(',').includes('data'))
  throw new Error(`the models beside FT_DATA_DIR (${process.env['FT_DATA_DIR'] ?? 'unset'}) are required and missing`)
if (!present) console.log('skipped: tests on the light ONNX graphs need FT_DATA_DIR')

const names = [
  'bvlc_alexnet',
  'densenet121',
  'inception_v1',
  'inception_v2',
  'resnet50',
  'shufflenet',
  'squeezenet',
  'vgg19',
  'zfnet512',
]
const read = (name: string) => readFileSync(join(folder ?? '', `light_${name}.onnx`))

/** Shapes of every value that the graph makes or is given, as onnxruntime has them. */
async function shapesInRuntime(model: OnnxModel): Promise<Map<string, readonly number[]>> {
  const copy = cloneModel(model)
  const edit = rewriter(copy)
  const { values } = inferShapes(model)
  for (const node of copy.graph.node)
    for (const name of node.output) if (name !== '') edit.addOutput(name, values.get(name)?.type ?? 'float32')
  const session = await ort.InferenceSession.create(serializeModel(copy), {
    graphOptimizationLevel: 'disabled',
    logSeverityLevel: 3,
  })
  const [input = ''] = session.inputNames
  const image = new ort.Tensor('float32', new Float32Array(3 * 224 * 224), [1, 3, 224, 224])
  const results = await session.run({ [input]: image })
  await session.release()
  const stored = model.graph.initializer.map((tensor) => [tensor.name, tensor.dims.map(Number)] as const)
  return new Map([
    ...stored,
    [input, image.dims],
    ...Object.entries(results).map(([name, tensor]) => [name, tensor.dims] as const),
  ])
}

/** The product that a node does, from the shapes of the runtime's tensors alone. */
function sizesOf(
  model: OnnxModel,
  id: string,
  shapes: ReadonlyMap<string, readonly number[]>,
): Pick<LinearLayer, 'm' | 'n' | 'k'> {
  const node = model.graph.node.find((candidate) => candidate.output[0] === id)
  const [out = [], weights = []] = [shapes.get(id), shapes.get(node?.input[1] ?? '')]
  if (node?.opType === 'Conv') {
    const [batch = 0, filters = 0, height = 0, width = 0] = out
    return { m: batch * height * width, n: filters, k: weights.slice(1).reduce((all, size) => all * size, 1) }
  }
  // Gemm with one row: the weights' other side is k
  const [m = 0, n = 0] = out
  return { m, n, k: weights.reduce((all, size) => all * size, 1) / n }
}

describe.skipIf(!present)('the nine light graphs', () => {
  it.each(names)('%s: every layer has the shape that onnxruntime reports', async (name) => {
    const bytes = read(name)
    const start = performance.now()
    const network = readOnnx(bytes, { name })
    analyseNetwork(network.layers)
    const plan = planNetwork(network, { device: findDevice('t4'), target: 'onnx' })
    expect(performance.now() - start).toBeLessThan(2000)

    const model = parseModel(bytes)
    const shapes = await shapesInRuntime(model)
    expect(network.layers.length).toBeGreaterThan(5)
    for (const { id, m, n, k } of network.layers) expect([id, { m, n, k }]).toEqual([id, sizesOf(model, id, shapes)])
    const products = model.graph.node.filter(
      ({ opType }) => opType === 'Conv' || opType === 'Gemm' || opType === 'MatMul',
    )
    expect(plan.layers.map(({ id }) => id)).toEqual(products.map((node) => node.output[0]))
    expect(network).toMatchObject({ skipped: [], unsupported: [], unknownShare: 0 })
  })

  it.each(names)('%s: a batch of four multiplies the rows of every layer', (name) => {
    const [one, four] = [readOnnx(read(name)), readOnnx(read(name), { batch: 4 })]
    expect(four.fingerprint).toBe(one.fingerprint)
    expect(four.layers.map(({ id, m, n, k }) => [id, m, n, k])).toEqual(
      one.layers.map(({ id, m, n, k }) => [id, 4 * m, n, k]),
    )
  })
})
