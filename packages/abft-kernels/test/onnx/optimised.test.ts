// onnxruntime's optimiser must leave the checks in place: they are counted in the graph that it saves, and each must still
// depend on the product that it checks and on a second way to the same sum.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { indexGraph, parseModel, type GraphIndex, type NodeProto, type OnnxModel } from '@ft/onnx'
import { protectOnnx, type OnnxScheme } from '../../src/onnx.ts'
import { attention, convNet, integers, ort } from './models.ts'

let folder = ''
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'ft-onnx-'))))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

async function optimised(bytes: Uint8Array, name: string): Promise<OnnxModel> {
  const path = join(folder, `${name}.onnx`)
  const session = await ort.InferenceSession.create(bytes, {
    graphOptimizationLevel: 'all',
    optimizedModelFilePath: path,
    logSeverityLevel: 4,
  })
  await session.release()
  return parseModel(readFileSync(path))
}

const count = (model: OnnxModel, ...opTypes: string[]) =>
  model.graph.node.filter((node) => opTypes.includes(node.opType)).length

/** All nodes behind a value. */
function behind(index: GraphIndex, value: string, found = new Set<NodeProto>()): Set<NodeProto> {
  const node = index.producer(value)
  if (node && !found.has(node)) {
    found.add(node)
    node.input.forEach((input) => behind(index, input, found))
  }
  return found
}

const products = ['Conv', 'FusedConv', 'MatMul', 'FusedMatMul', 'Gemm', 'FusedGemm', 'MatMulInteger', 'ConvInteger']
const models = [
  ['convolutions', convNet(), 6],
  ['attention', attention(), 5],
  ['integers', integers(), 2],
] as const
const schemes: OnnxScheme[] = ['global', 'row', 'replication']
const cases = models.flatMap(([name, bytes, layers]) => schemes.map((scheme) => ({ name, bytes, layers, scheme })))

describe.each(cases)('$name, $scheme', ({ name, bytes, layers, scheme }) => {
  it('every check is still there, and is not a copy of its product', async () => {
    const made = protectOnnx(bytes, { scheme })
    const graph = await optimised(made.bytes, `${name}-${scheme}`)
    const plain = await optimised(bytes, `${name}-${scheme}-plain`)
    const index = indexGraph(graph.graph)
    if (scheme === 'replication' && name === 'integers') return expect(made.protected).toEqual([])
    expect(count(graph, 'Less')).toBe(made.protected.length)
    // A global check behind a residual addition subtracts the residual's means besides.
    const residuals = name === 'convolutions' && scheme === 'global' ? 1 : 0
    expect(count(graph, 'Sub')).toBe(count(plain, 'Sub') + made.protected.length + residuals)
    for (const layer of made.protected) {
      const nodes = [...behind(index, layer.output)]
      const comparison = nodes.find((node) => node.opType === 'Sub') as NodeProto
      const [actual, expected] = comparison.input.map((input) => behind(index, input)) as [
        Set<NodeProto>,
        Set<NodeProto>,
      ]
      // Neither side contains the other's last product: there are two ways to the sum.
      const own = (a: Set<NodeProto>, b: Set<NodeProto>) => [...a].filter((node) => !b.has(node)).length
      expect(own(actual, expected)).toBeGreaterThan(0)
      if (layer.opType !== 'Softmax') expect(own(expected, actual)).toBeGreaterThan(0)
    }
    if (scheme === 'replication') expect(count(graph, ...products)).toBe(count(plain, ...products) + layers)
    return undefined
  })
})
