// onnxruntime's optimiser must leave the checks in place: they are counted in the graph that it saves, and each must still
// depend on the product that it checks and on a second way to the same sum.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { indexGraph, parseModel, type GraphIndex, type GraphProto, type NodeProto, type OnnxModel } from '@ft/onnx'
import { protectOnnx, type OnnxScheme } from '../../src/onnx.ts'
import { attention, blocks, convNet, integers, ort } from './models.ts'

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

const count = (graph: GraphProto, ...opTypes: string[]) =>
  graph.node.filter((node) => opTypes.includes(node.opType)).length

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
  ['blocks', blocks(), 6],
  ['attention', attention(), 5],
  ['integers', integers(), 2],
] as const
const schemes: OnnxScheme[] = ['global', 'row', 'replication']
const cases = models.flatMap(([name, bytes, layers]) => schemes.map((scheme) => ({ name, bytes, layers, scheme })))

describe.each(cases)('$name, $scheme', ({ name, bytes, layers, scheme }) => {
  it('every check is still there, has two ways to its sum, and runs before the next layer', async () => {
    const made = protectOnnx(bytes, { scheme })
    const { graph } = await optimised(made.bytes, `${name}-${scheme}`)
    const index = indexGraph(graph)
    if (scheme === 'replication' && name === 'integers') return expect(made.protected).toEqual([])
    const own = parseModel(bytes).graph.output.map((output) => output.name)
    const network = own.reduce((found, value) => behind(index, value, found), new Set<NodeProto>())
    const position = (node: NodeProto) => graph.node.indexOf(node)
    const residuals = graph.node.filter(
      (node) => node.opType === 'Abs' && !network.has(node) && feedsVerdict(index, node),
    )
    expect(residuals).toHaveLength(made.protected.length)
    const found = residuals.map((residual) => {
      const nodes = [...behind(index, residual.input[0] ?? '')]
      const isProduct = (node: NodeProto) => products.includes(node.opType)
      const inside = nodes.filter((node) => network.has(node) && (isProduct(node) || node.opType === 'Softmax'))
      const layer = inside.reduce((last, node) => (position(node) > position(last) ? node : last))
      const reads = (node: NodeProto) => behind(index, node.output[0] ?? '').has(layer)
      const outside = nodes.filter((node) => !network.has(node))
      expect(outside.some(reads)).toBe(true)
      // The other way to the sum is a product whose operands do not come from this one; sums may be added to it.
      const operands = (node: NodeProto) => node.input.slice(0, 2).map((value) => behind(index, value))
      const other = (node: NodeProto) => isProduct(node) && !operands(node).some((nodes) => nodes.has(layer))
      if (layer.opType !== 'Softmax') expect(outside.some(other)).toBe(true)
      return { layer, at: position(residual) }
    })
    // onnxruntime saves a graph in the order in which it runs it.
    const ordered = [...found].sort((a, b) => position(a.layer) - position(b.layer))
    expect(new Set(ordered.map(({ layer }) => layer)).size).toBe(made.protected.length)
    for (const [i, { at }] of ordered.entries()) {
      const next = ordered[i + 1]
      if (next && behind(index, next.layer.output[0] ?? '').has((ordered[i] as (typeof ordered)[0]).layer))
        expect(at).toBeLessThan(position(next.layer))
    }
    const plain = await optimised(bytes, `${name}-${scheme}-plain`)
    if (scheme === 'replication') expect(count(graph, ...products)).toBe(count(plain.graph, ...products) + layers)
    return undefined
  })
})

/** Whether what a node makes is compared with a threshold. */
function feedsVerdict(index: GraphIndex, node: NodeProto): boolean {
  const readers = node.output.flatMap((value) => index.consumers(value))
  return readers.some(
    (reader) => reader.opType === 'Less' || (!products.includes(reader.opType) && feedsVerdict(index, reader)),
  )
}
