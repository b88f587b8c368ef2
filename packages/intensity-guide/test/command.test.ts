// The command line, as built.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { graphBuilder, serializeModel } from '@ft/onnx'
import { parsePlan } from '../src/index.ts'
import { perceptron } from './support/models.ts'

const command = join(import.meta.dirname, '..', 'dist', 'cli', 'main.js')
const runner = join(import.meta.dirname, 'support', 'runner.mjs')
let folder = ''
beforeAll(() => {
  if (!existsSync(command)) throw new Error('build the package first: pnpm --filter @ft/intensity-guide... build')
  folder = mkdtempSync(join(tmpdir(), 'ft-guide-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const attempt = (...args: string[]) =>
  spawnSync(process.execPath, [command, ...args], { encoding: 'utf8', cwd: folder })
function run(...args: string[]): string {
  const { status, stdout, stderr } = attempt(...args)
  if (status !== 0) throw new Error(`ended with ${status}: ${stderr}`)
  return stdout
}
function file(name: string, content: string | Uint8Array): string {
  const path = join(folder, name)
  mkdirSync(join(path, '..'), { recursive: true })
  writeFileSync(path, content)
  return path
}

describe('intensity-guide', () => {
  it('plans a network of the zoo', () => {
    const text = run('zoo', 'resnet50', '--resolution', '1080x1920', '--device', 't4')
    expect(text).toMatch(/54 linear layers/)
    expect(text).toMatch(/122\.0 FLOP\/B/)
    expect(text).toMatch(/all replication/)
    expect(text).toMatch(/Guided protection costs/)
    expect(text).toMatch(/again: npx @ft\/intensity-guide zoo resnet50/)
    expect(run('zoo').split('\n')).toContain('dlrm-top')
  })

  it('plans an ONNX file as JSON that parses back', () => {
    const model = file('mlp.onnx', perceptron())
    const plan = parsePlan(run(model, '--input', 'x=32x64', '--device', 'h100', '--target', 'onnx', '--json'))
    expect(plan.layers.map((layer) => layer.layer.m)).toEqual([32, 32])
    const batched = parsePlan(run(model, '--batch', '7', '--json'))
    expect(batched.layers.map((layer) => layer.layer.m)).toEqual([7, 7])
    expect(batched.model.fingerprint).toBe(plan.model.fingerprint)
  })

  it('knows the other files by what is in them', () => {
    const dense = { class_name: 'Dense', name: 'd', config: { units: 10, batch_input_shape: [null, 784] } }
    const topology = { modelTopology: { class_name: 'Sequential', config: { layers: [dense] } } }
    file('saved/model.json', JSON.stringify(topology))
    expect(run('saved', '--batch', '5')).toMatch(/5 x 10 x 784/)
    const config = { model_type: 'gpt2', n_embd: 64, n_layer: 2, n_head: 4, vocab_size: 100 }
    file('tiny/config.json', JSON.stringify(config))
    expect(run('tiny', '--tokens', '32')).toMatch(/tiny, prefill.*\n13 linear layers/)
    expect(run('tiny', '--phase', 'decode')).toMatch(/tiny, decode/)
    expect(run(file('layers.json', '[{"m":8,"n":16,"k":32}]'))).toMatch(/1 linear layers/)
  })

  it('answers what-if for batches, resolutions and devices', () => {
    const line = (text: string, label: string) => text.split('\n').find((each) => each.startsWith(`${label} `)) ?? ''
    const batches = run('dlrm-top', '--sweep', 'batch=1,2048', '--device', 't4')
    // Intensities and counts of the paper's artefact
    expect(line(batches, '1')).toMatch(/^1 +7\.68 +203 +3 /)
    expect(line(batches, '2048')).toMatch(/^2048 +175\.8 +203 +2 /)
    expect(line(run('zoo', 'resnet50', '--resolution', '1080x1920', '--sweep', 'device=t4,v100'), 'v100')).toMatch(
      /122 +139 +24 /,
    )
    expect(run('vgg16', '--sweep', 'resolution=224x224,1080x1920', '--json').trim().split('\n')).toHaveLength(2)
    expect(attempt('vgg16', '--sweep', 'luck=1').stderr).toMatch(/--sweep must read batch=1,8,64/)
  })

  it('keeps a budget, and says what it buys', () => {
    const text = run('resnet50', '--budget', '0.5', '--device', 't4')
    const [, overhead] = /([\d.]+) % extra time leave [\d.]+ of 1000 faults critical and unseen/.exec(text) ?? []
    expect(Number(overhead)).toBeLessThanOrEqual(0.5)
    expect(Number(overhead)).toBeGreaterThan(0.3)
    const plan = parsePlan(run('resnet50', '--budget', '0', '--json'))
    expect(
      plan.layers.every(({ scheme, smallestDetectable }) => scheme === 'none' && smallestDetectable === Infinity),
    ).toBe(true)
  })

  it('writes a report and a picture that need nothing else', () => {
    run('resnet50', '--html', 'plan.html', '--svg', 'roof.svg')
    const html = readFileSync(join(folder, 'plan.html'), 'utf8')
    for (const part of [
      'Protection plan: resnet50',
      'What it costs',
      'What it buys',
      'Roofline of resnet50',
      'layer4.0.conv3',
    ])
      expect(html).toContain(part)
    expect(html).not.toMatch(/<script|src=|href="http/)
    expect(readFileSync(join(folder, 'roof.svg'), 'utf8')).toMatch(/^<svg.*ridge 203/s)
    expect(readdirSync(folder).filter((name) => name.endsWith('.part'))).toEqual([])
  })

  it('measures with a runner, keeps what it measured, and goes on from there', () => {
    const layers = file('small.json', '[{"m":4,"n":4,"k":4,"dtype":"float32"},{"m":8,"n":8,"k":8,"dtype":"float32"}]')
    const args = [
      layers,
      '--profile',
      '--runner',
      runner,
      '--device',
      'cpu-avx2',
      '--rounds',
      '12',
      '--cache',
      'cache',
      '--html',
      'm.html',
    ]
    const first = attempt(...args)
    expect(first.stderr).toContain('prepare layer1 global')
    expect(first.stderr).toContain('disposed')
    expect(first.stdout).toMatch(/as measured/)
    expect(first.stdout).toMatch(/Chosen on one half of the rounds, judged on the other/)
    expect(readFileSync(join(folder, 'm.html'), 'utf8')).toContain('measured, with 95 % interval')
    expect(readdirSync(join(folder, 'cache'))).toHaveLength(2)

    const again = attempt(...args)
    expect(again.stderr).not.toContain('prepare')
    expect(again.stdout).toBe(first.stdout)
    const other = attempt(...args, '--seed', '2')
    expect(other.stderr).toContain('prepare layer0 none')
  })

  it('measures the layers of the band alone', () => {
    const layers = file(
      'band.json',
      JSON.stringify([
        { m: 609, n: 609, k: 609 },
        { m: 8, n: 8, k: 8 },
      ]),
    )
    const { stderr, stdout } = attempt(
      layers,
      '--device',
      't4',
      '--profile',
      'band',
      '--runner',
      runner,
      '--rounds',
      '12',
    )
    expect(stderr).toContain('prepare layer0 row')
    expect(stderr).not.toContain('prepare layer1')
    expect(stdout).toMatch(/measure /)
  })

  it.each([
    [['nosuch.onnx'], /neither a file nor a network of the zoo \(squeezenet/],
    [['vgg16', '--device', 'abacus'], /no device named abacus; known: t4/],
    [['vgg16', '--target', 'paper'], /`--target` must be one of 'wasm'/],
    [['vgg16', '--rule', 'luck'], /`--rule` must be one of/],
    [['vgg16', '--sensitivity', '1e-9'], /no scheme of webgpu that sees errors of 1e-9/],
    [['vgg16', '--dtype', 'int4'], /`dtype` must be one of float64/],
    [['vgg16', '--dtype', 'float64'], /no peak for float64/],
    [['zoo', 'resnet51'], /no network named resnet51; known: squeezenet/],
    [['vgg16', '--profile', '--runner', '@nobody/has-this/runner'], /npm install @nobody\/has-this/],
    [['vgg16', '--profile', '--runner', './missing.mjs'], /no runner module/],
    [['vgg16', '--profile', '--runner', 'node:os'], /default export of --runner node:os must be a LayerRunner/],
    [['vgg16', '--profile', 'some', '--runner', runner], /`--profile` must be one of/],
    [['vgg16', '--html', 'no/such/folder/x.html'], /cannot write no\/such/],
  ])('%j ends with code 2 and says why', (args, message) => {
    const { status, stderr } = attempt(...args)
    expect(stderr).toMatch(message)
    expect(status).toBe(2)
  })

  it('names the flag that binds an open dimension, and what is wrong with a damaged file', () => {
    const model = file('open.onnx', perceptron())
    expect(attempt(model).stderr).toMatch(/dimensions batch are unbound[^]*--batch N, --bind batch=N, or --input/)
    expect(attempt(file('cut.onnx', perceptron().subarray(0, 50))).status).toBe(2)
    expect(attempt(file('cut.json', '{"modelTopology"')).stderr).toMatch(/not JSON/)
    expect(attempt(file('empty.json', '{}')).stderr).toMatch(/empty.json is no model: .*modelTopology.*model_type/)
    expect(attempt(file('short.onnx', 'abc')).stderr).toMatch(/short.onnx: these 3 bytes are not an ONNX model/)
    expect(attempt(file('half.json', '[{"id":"a"}]')).stderr).toMatch(/half.json: layers\[0\]/)
    expect(attempt(file('empty/readme.txt', '').replace('/readme.txt', '')).stderr).toMatch(
      /neither model.json nor config.json/,
    )
    expect(attempt(model, '--input', 'x=0x64').stderr).toMatch(/must be a whole number/)
    expect(attempt(model, '--bind', 'Batch=2').stderr).toMatch(/no named dimension Batch to bind; there are batch/)
  })

  it('names the input whose dimension has no name, and takes a value that decides a branch', () => {
    const b = graphBuilder({ name: 'branches' })
    const x = b.input('x', 'float32', [undefined, 4])
    const rate = b.input('rate', 'int64', [])
    const w = (columns: number) =>
      b.initializer(`w${columns}`, { type: 'float32', shape: [4, columns], data: new Float32Array(4 * columns) })
    const [narrow, wide] = [w(2), w(3)]
    const branch = (weights: string) => {
      const inner = graphBuilder({ name: weights })
      inner.output(inner.node('MatMul', [x, weights], { outputs: [`y_${weights}`] }), 'float32')
      return { graph: inner.graph() }
    }
    const fast = b.node('Equal', [
      rate,
      b.initializer('fast', { type: 'int64', shape: [], data: BigInt64Array.of(2n) }),
    ])
    const attributes = { then_branch: branch(narrow), else_branch: branch(wide) }
    b.output(b.node('If', [fast], { attributes, outputs: ['y'] }), 'float32')
    const model = file('branches.onnx', serializeModel(b.build()))
    expect(attempt(model).stderr).toMatch(/bind it with --batch N, or --input x=1x3x224x224/)
    const widths = (...more: string[]) =>
      parsePlan(run(model, '--input', 'x=8x4', '--json', ...more)).layers.map(({ layer }) => layer.n)
    expect(widths()).toEqual([2, 3])
    expect(widths('--value', 'rate=2')).toEqual([2])
    expect(widths('--value', 'rate=1')).toEqual([3])
    expect(attempt(model, '--value', 'rate=').stderr).toMatch(/must read name=16000/)
  })

  it('refuses flags that a kind of model would not heed, and says before it begins that a file cannot be written', () => {
    const layers = file('some.json', '[{ "m": 8, "n": 8, "k": 8 }]')
    const model = file('given.onnx', perceptron())
    for (const [args, message] of [
      [[layers, '--batch', '3'], /a list of layers takes no --batch; it takes none of these flags/],
      [[model, '--batch', '3', '--tokens', '8'], /an ONNX model takes no --tokens; it takes --input, --bind, --value/],
      [['zoo', 'resnet50', '--bind', 'batch=3'], /resnet50 of the zoo takes no --bind; it takes --batch, --resolution/],
      [['zoo', 'resnet50', '--sweep', 'tokens=1,8'], /takes no --tokens/],
      [['zoo', 'dlrm-top', '--resolution', '8x8'], /dlrm-top of the zoo takes no --resolution/],
      [['zoo', 'resnet50', '--phase', 'decode'], /takes no --phase/],
      [['zoo', 'vgg16', '--html', 'none/plan.html'], /cannot write none\/plan.html: ENOENT/],
      [['zoo', 'vgg16', '--sensitivity', '5%'], /must be a number above 0/],
    ] as const) {
      const { status, stdout, stderr } = attempt(...args)
      expect([status, stdout]).toEqual([2, ''])
      expect(stderr).toMatch(message)
    }
  })
})
