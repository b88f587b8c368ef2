import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { graphBuilder, serializeModel } from '@ft/onnx'
import { findDevice, parsePlan, planNetwork, readLayerList, readOnnx } from '../src/index.ts'

function perceptron(): Uint8Array {
  const b = graphBuilder({ name: 'mlp' })
  const x = b.input('x', 'float32', ['batch', 64])
  const weights = (name: string, shape: [number, number]) =>
    b.initializer(name, { type: 'float32', shape, data: new Float32Array(shape[0] * shape[1]) })
  const hidden = b.node('Relu', [b.node('MatMul', [x, weights('w1', [64, 256])], { outputs: ['h'] })])
  b.output(b.node('MatMul', [hidden, weights('w2', [256, 8])], { outputs: ['y'] }), 'float32', ['batch', 8])
  return serializeModel(b.build())
}

describe('reading models', () => {
  it('takes an ONNX model to a plan that belongs to it', () => {
    const network = readOnnx(perceptron(), { bind: { batch: 512 } })
    expect(network.layers.map(({ id, m, n, k, activation, next }) => ({ id, m, n, k, activation, next }))).toEqual([
      { id: 'h', m: 512, n: 256, k: 64, activation: 'relu', next: 'y' },
      { id: 'y', m: 512, n: 8, k: 256, activation: undefined, next: undefined },
    ])
    const plan = planNetwork(network, { device: findDevice('t4'), target: 'onnx' })
    expect(plan.model.fingerprint).toBe(network.fingerprint)
    expect(() => parsePlan(JSON.stringify(plan), { fingerprint: 'sha256-other' })).toThrow(/not for/)
  })

  it('names unbound dimensions and damaged files', () => {
    expect(() => readOnnx(perceptron())).toThrow(/dimensions batch are unbound/)
    expect(() => readOnnx(perceptron().subarray(0, 40))).toThrow(
      expect.objectContaining({ code: 'CORRUPT_DATA' }) as Error,
    )
  })

  it('takes a list of layers, and says what is wrong with one', () => {
    const { layers } = readLayerList('[{"id":"a","m":8,"n":16,"k":32},{"m":1,"n":2,"k":3,"count":4,"dtype":"float32"}]')
    expect(layers.map(({ id, count, dtype }) => [id, count, dtype])).toEqual([
      ['a', 1, 'float16'],
      ['layer1', 4, 'float32'],
    ])
    expect(() => readLayerList('[{"m":8,"n":0,"k":1}]')).toThrow(/layers\[0\]\.n must be a positive integer, got 0/)
    expect(() => readLayerList('{}')).toThrow(/array of layers/)
    expect(() => readLayerList('[')).toThrow(/not JSON/)
  })
})

describe('the command line, as built', () => {
  const command = join(import.meta.dirname, '..', 'dist', 'cli', 'main.js')
  let folder = ''
  beforeAll(() => {
    if (!existsSync(command)) throw new Error('build the package first: pnpm --filter @ft/intensity-guide... build')
    folder = mkdtempSync(join(tmpdir(), 'ft-guide-'))
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  const run = (...args: string[]) => execFileSync(process.execPath, [command, ...args], { encoding: 'utf8' })

  it('plans a network of the zoo', () => {
    const text = run('resnet50', '--resolution', '1080x1920', '--device', 't4')
    expect(text).toMatch(/54 linear layers/)
    expect(text).toMatch(/122\.0 FLOP\/B/)
    expect(text).toMatch(/Guided protection costs/)
  })

  it('plans an ONNX file as JSON that parses back', () => {
    const file = join(folder, 'mlp.onnx')
    writeFileSync(file, perceptron())
    const plan = parsePlan(run(file, '--input', 'x=32x64', '--device', 'h100', '--target', 'onnx', '--json'))
    expect(plan.layers.map((layer) => layer.layer.m)).toEqual([32, 32])
    expect(run('zoo').split('\n')).toContain('dlrm-top')
  })

  it.each([
    [['nosuch.onnx'], /neither a readable file nor a network/],
    [['vgg16', '--device', 'abacus'], /no device named abacus; known: t4/],
    [['vgg16', '--target', 'paper'], /--target must be one of/],
    [['vgg16', '--sensitivity', '1e-9'], /no scheme of webgpu sees errors/],
  ])('%j ends with code 2 and says why', (args, message) => {
    const { status, stderr } = spawnSync(process.execPath, [command, ...args], { encoding: 'utf8' })
    expect(status).toBe(2)
    expect(stderr).toMatch(message)
  })
})
