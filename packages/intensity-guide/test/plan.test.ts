import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isFtError, type LinearLayer, type ProtectionScheme } from '@ft/core'
import {
  analyseLayer,
  analyseNetwork,
  choosePerLayer,
  devices,
  findDevice,
  parsePlan,
  planNetwork,
  planTotals,
  planWithinBudget,
  predict,
  ridge,
  savePlan,
  smallestDetectable,
  targetSchemes,
  transformerLayers,
  zoo,
  zooNames,
  type ZooName,
} from '../src/index.ts'

import { damaged } from './support/damage.ts'

const dense = (m: number, n: number, k: number): LinearLayer => ({
  id: `${m}x${n}x${k}`,
  m,
  n,
  k,
  count: 1,
  dtype: 'float16',
  op: { kind: 'matmul', batch: 1 },
})
const sizes = fc.integer({ min: 1, max: 5000 })

function codeOf(body: () => unknown): [string, string] {
  try {
    body()
  } catch (error) {
    if (isFtError(error)) return [error.code, error.message]
    throw error
  }
  return ['none', '']
}

describe('analysis', () => {
  it("intensity does not exceed any operand's: below 2 min(m, n, k) / b", () => {
    fc.assert(
      fc.property(sizes, sizes, sizes, (m, n, k) => {
        const { unpadded, padded } = analyseLayer(dense(m, n, k))
        expect(unpadded.intensity).toBeLessThanOrEqual(Math.min(m, n, k) + 1e-9)
        expect(padded.flops).toBeGreaterThanOrEqual(unpadded.flops)
      }),
    )
  })

  it('counts grouped convolutions as dense by the paper and exactly by traffic', () => {
    const resnext = zoo('resnext50').layers.find((layer) => layer.id === 'layer1.0.conv2')
    if (!resnext || resnext.op.kind !== 'conv2d') throw new Error('no such layer')
    const { unpadded, traffic } = analyseLayer(resnext)
    expect(unpadded.flops).toBe(32 * traffic.flops)
    expect(traffic.bytes).toBe(2 * (56 * 56 * 128 + 3 * 3 * 4 * 128 + 56 * 56 * 128))
  })

  it('aggregates are ratios of sums', () => {
    const { padded, layers } = analyseNetwork(zoo('alexnet').layers)
    const mean = layers.reduce((sum, layer) => sum + layer.padded.intensity, 0) / layers.length
    expect(padded.intensity).toBe(padded.flops / padded.bytes)
    expect(Math.abs(padded.intensity - mean)).toBeGreaterThan(10)
  })

  it('analyses the whole zoo at every resolution without trouble', () => {
    for (const name of zooNames) {
      const { layers } = zoo(name, { batch: 3 })
      expect(layers.length).toBeGreaterThan(2)
      expect(new Set(layers.map((layer) => layer.id)).size).toBe(layers.length)
    }
  })

  it("prefill and decoding lie on two sides of a T4's ridge", () => {
    const shape = {
      hidden: 4096,
      layers: 2,
      heads: 32,
      keyValueHeads: 8,
      intermediate: 11_008,
      vocabulary: 32_000,
      gated: true,
    }
    const prefill = transformerLayers(shape, { batch: 1, tokens: 2048, dtype: 'float16' })
    const decode = transformerLayers(shape, { batch: 1, tokens: 1, context: 2048, dtype: 'float16' })
    const intensity = (layers: LinearLayer[], id: string) =>
      analyseNetwork(layers.filter((layer) => layer.id === id)).padded.intensity
    expect(intensity(prefill, 'layer0.up')).toBeGreaterThan(ridge(findDevice('t4')))
    expect(intensity(decode, 'layer0.up')).toBeLessThan(10)
    expect(prefill.find((layer) => layer.id === 'layer0.qkv')?.n).toBe(4096 + 2 * 1024)
  })
})

describe('choice', () => {
  it('a wanted sensitivity is kept whatever it costs, or refused by name', () => {
    const layers = zoo('vgg16').layers
    const device = findDevice('t4')
    for (const layer of choosePerLayer(layers, { device, sensitivity: 0.03 }))
      expect(layer.smallestDetectable).toBeLessThanOrEqual(0.03)
    expect(codeOf(() => choosePerLayer(layers, { device, sensitivity: 1e-9 }))).toEqual([
      'UNRECOVERABLE',
      expect.stringContaining('conv1_1'),
    ])
  })

  it('only schemes of the target are chosen, and the rest of them listed', () => {
    for (const target of ['wasm', 'webgpu', 'gpujs', 'onnx', 'tfjs'] as const) {
      for (const layer of choosePerLayer(zoo('resnet50').layers, { device: findDevice('v100'), target })) {
        expect(targetSchemes[target]).toContain(layer.scheme)
        expect(
          layer.alternatives
            .map((item) => item.scheme)
            .concat(layer.scheme)
            .sort(),
        ).toEqual([...targetSchemes[target]].sort())
      }
    }
  })

  it('measurements decide', () => {
    const layer = dense(2048, 2048, 2048)
    const interval = (value: number) => ({ value, low: value, high: value, confidence: 0.95, n: 9 })
    const measurements = new Map([
      [
        layer.id,
        new Map<ProtectionScheme, ReturnType<typeof interval>>([
          ['global', interval(0.5)],
          ['row', interval(0.01)],
        ]),
      ],
    ])
    const [chosen] = choosePerLayer([layer], { device: findDevice('t4'), measurements })
    expect([chosen?.scheme, chosen?.measured?.value]).toEqual(['row', 0.01])
  })

  it('by predicted cost no uniform scheme is cheaper than the plan, on any device and network', () => {
    for (const name of ['resnet50', 'dlrm-top', 'coral', 'transformer'] satisfies ZooName[]) {
      for (const device of Object.values(devices)) {
        const dtype = device.dtype
        const plan = planNetwork(zoo(name, { dtype }), { device, rule: 'cost' })
        const totals = planTotals(plan, { device })
        for (const overhead of Object.values(totals.uniform))
          expect(totals.guided).toBeLessThanOrEqual(overhead + 1e-12)
      }
    }
  })

  it('marks layers near the ridge for measuring', () => {
    const near = dense(609, 609, 609)
    expect(choosePerLayer([near], { device: findDevice('t4') })[0]?.bound).toBe('measure')
    expect(choosePerLayer([dense(64, 64, 64)], { device: findDevice('t4') })[0]?.bound).toBe('memory')
    expect(choosePerLayer([dense(4096, 4096, 4096)], { device: findDevice('t4') })[0]?.bound).toBe('compute')
  })
})

describe('cost and sensitivity', () => {
  it('no scheme is cheaper than none, and replication doubles a compute-bound layer', () => {
    fc.assert(
      fc.property(sizes, sizes, sizes, fc.constantFrom(...targetSchemes.webgpu), (m, n, k, scheme) => {
        expect(predict(dense(m, n, k), scheme, { device: findDevice('a100-40') }).extra).toBeGreaterThanOrEqual(0)
      }),
    )
    expect(predict(dense(8192, 8192, 8192), 'replication', { device: findDevice('t4') }).overhead).toBeCloseTo(1, 2)
    expect(predict(dense(8192, 8192, 8192), 'thread-one-sided', { device: findDevice('t4') }).overhead).toBeCloseTo(
      1 / 8,
      2,
    )
  })

  it('a batch of products costs what as many calls do, but for what each call costs to start', () => {
    const batched = (batch: number, count: number): LinearLayer => ({
      ...dense(512, 512, 64),
      count,
      op: { kind: 'matmul', batch },
    })
    const t4 = findDevice('t4')
    const latency = { launch: 0, step: 0, epilogue: 0, dot: 0, compare: 0 }
    for (const scheme of targetSchemes.webgpu) {
      const cost = (layer: LinearLayer) => predict(layer, scheme, { device: { ...t4, latency } })
      const [together, apart] = [cost(batched(192, 1)), cost(batched(1, 192))]
      // The same numbers multiplied in another order; extra work that hides behind memory costs nothing in both
      expect(Math.abs(together.overhead - apart.overhead)).toBeLessThan(1e-12)
      expect(Math.abs(together.base / apart.base - 1)).toBeLessThan(1e-12)
      if (scheme === 'global' || scheme.includes('row')) expect(apart.overhead).toBeGreaterThan(0.01)
      // Every call of a scheme starts something: a batch is one call
      const started = (layer: LinearLayer) => predict(layer, scheme, { device: t4 }).extra
      expect(started(batched(192, 1))).toBeLessThan(started(batched(1, 192)))
    }
  })

  it('gives the published thresholds of half precision, times two', () => {
    // Thresholds at kappa 6 relative to the rms: 0.0383 a row of 512, 1.73 for 2048 x 512 in one sum, 0.0135 a tile of 64.
    const layer = dense(2048, 512, 256)
    expect(smallestDetectable(layer, 'row')).toBeCloseTo(2 * 0.0383, 3)
    expect(smallestDetectable(layer, 'global')).toBeCloseTo(2 * 1.732, 2)
    expect(smallestDetectable(layer, 'thread-one-sided')).toBeCloseTo(2 * 0.0135, 3)
    expect(smallestDetectable(layer, 'none')).toBe(Infinity)
  })
})

describe('plans as files', () => {
  const plan = planNetwork(zoo('coral'), { device: findDevice('h200') })

  it('survive a round trip', () => {
    expect(parsePlan(savePlan(plan))).toEqual(plan)
  })

  it('are refused when damaged, newer, or for another model', () => {
    const change = (edit: (copy: Record<string, unknown>) => void) => {
      const copy = JSON.parse(savePlan(plan)) as Record<string, unknown>
      edit(copy)
      return codeOf(() => parsePlan(JSON.stringify(copy)))
    }
    expect(codeOf(() => parsePlan('{'))[0]).toBe('CORRUPT_DATA')
    expect(change((copy) => (copy['version'] = 2))[0]).toBe('VERSION_UNSUPPORTED')
    expect(change((copy) => (copy['target'] = 'abacus'))[1]).toMatch(/target must be one of wasm/)
    expect(
      change((copy) => (((copy['layers'] as { scheme: string }[])[1] ??= { scheme: '' }).scheme = 'magic'))[1],
    ).toMatch(/layers\[1\]\.scheme/)
    expect(
      change(
        (copy) => (((copy['layers'] as { layer: { m: number } }[])[0] as { layer: { m: number } }).layer.m = 0),
      )[1],
    ).toMatch(/layers\[0\]\.layer\.m/)
    expect(codeOf(() => parsePlan(savePlan(plan), { fingerprint: 'other' }))[0]).toBe('FINGERPRINT_MISMATCH')
  })

  it('every field is checked: without it, or with another value, a plan is refused or serves', () => {
    const layers = zoo('coral').layers.slice(0, 1).concat(zoo('coral').layers.slice(-1))
    const interval = { value: 0.1, low: 0.05, high: 0.2, confidence: 0.95, n: 12 }
    const small = planNetwork({ name: 'small', layers }, { device: findDevice('t4'), target: 'onnx' })
    const [first, ...rest] = small.layers
    const document = { ...small, layers: [{ ...first, measured: interval }, ...rest] }
    expect(layers.map(({ op }) => op.kind)).toEqual(['conv2d', 'matmul'])
    // The only fields that a plan may lack, and entries of lists that any number fits
    const optional = /\.(activation|next|measured)$|^layers\.\d+(\.alternatives\.\d+)?$/
    for (const { where, gone, text } of damaged(document)) {
      const [code] = codeOf(() => {
        const parsed = parsePlan(text)
        const totals = planTotals(parsed, { device: findDevice('t4') })
        expect([totals.guided, totals.base], where).toEqual([expect.any(Number), expect.any(Number)])
        expect(savePlan(parsed), where).toBe(JSON.stringify(JSON.parse(text), null, 2))
      })
      if (gone && !optional.test(where.replace(' left out', ''))) expect([where, code]).not.toEqual([where, 'none'])
      else expect(['none', 'CORRUPT_DATA', 'VERSION_UNSUPPORTED'], where).toContain(code)
    }
  })

  it('any cut of the text is refused', () => {
    const text = savePlan(plan)
    for (let length = 0; length < text.length - 1; length += 7)
      expect(codeOf(() => parsePlan(text.slice(0, length)))[0]).toBe('CORRUPT_DATA')
  })
})

describe('bad input', () => {
  it('names what is wrong', () => {
    expect(codeOf(() => zoo('resnet51' as ZooName))[1]).toMatch(/no network named resnet51; known: squeezenet/)
    expect(codeOf(() => zoo('vgg16', { batch: 0 }))[1]).toMatch(/batch must be a positive integer/)
    expect(codeOf(() => zoo('alexnet', { resolution: [8, 8] }))[0]).toBe('SHAPE_MISMATCH')
    expect(codeOf(() => findDevice('abacus'))[1]).toMatch(/known: t4, v100/)
    expect(codeOf(() => analyseLayer(dense(0, 1, 1)))[1]).toMatch(/m must be a positive integer/)
    expect(codeOf(() => planNetwork({ name: 'empty', layers: [] }, { device: findDevice('t4') }))[1]).toMatch(
      /no linear layers/,
    )
    expect(
      codeOf(() =>
        planNetwork({ name: 'twice', layers: [dense(1, 2, 3), dense(1, 2, 3)] }, { device: findDevice('t4') }),
      )[1],
    ).toMatch(/one id/)
    expect(codeOf(() => ridge(findDevice('t4'), 'int8'))[1]).toMatch(/no peak for int8/)
  })
})

describe('chains of the zoo', () => {
  const pairs = (name: ZooName) => zoo(name).layers.filter((layer) => layer.next !== undefined)

  it.each([
    ['resnet50', 32], // first and second convolution of 16 blocks
    ['vgg16', 10], // 1 + 1 + 2 + 2 + 2 pairs of convolutions, fc6 -> fc7 -> fc8
    ['alexnet', 4], // conv3 -> conv4 -> conv5, fc6 -> fc7 -> fc8
    ['densenet161', 78], // first convolution of each of the 6 + 12 + 36 + 24 dense layers
    ['squeezenet', 0], // two readers, a concatenation or a pooling behind every one
    ['dlrm-top', 2],
  ] satisfies [ZooName, number][])('%s has %i layers that feed exactly one other', (name, count) => {
    expect(pairs(name)).toHaveLength(count)
  })

  it('a next layer reads as many elements as the layer before it makes', () => {
    for (const name of zooNames) {
      const { layers } = zoo(name)
      for (const { m, n, next } of layers) {
        const reader = layers.find((layer) => layer.id === next)
        if (!reader) continue
        const { op } = reader
        expect(op.kind === 'conv2d' ? op.x.reduce((a, b) => a * b) : reader.m * reader.k).toBe(m * n)
      }
    }
  })
})

describe('options', () => {
  const network = zoo('vgg16')
  const device = findDevice('t4')
  const refused = (options: object, of: unknown = network): string => {
    try {
      planNetwork(of as typeof network, options as { device: typeof device })
    } catch (error) {
      if (isFtError(error, 'INVALID_ARGUMENT')) return error.message
      throw error
    }
    return 'nothing was refused'
  }

  it.each<[object, RegExp]>([
    [{ device, rules: 'cost' }, /choosePerLayer has no option "rules"; it has device, target, dtype, rule,/],
    [{ device, rule: 'cheapest' }, /`rule` must be one of 'intensity', 'cost'/],
    [{ device, target: 'cuda' }, /`target` must be one of 'wasm'/],
    [{ device, sensitivity: '5%' }, /`sensitivity` must be/],
    [{ device, band: NaN }, /`band` must be/],
    [{ device: 't4' }, /device must be what findDevice\(name\) or measureDevice gives.* got 't4'/],
    [{ device: { name: 'mine', flops: 1e12 } }, /got other fields/],
    [{}, /got undefined/],
  ])('%# are refused by name', (options, message) => {
    expect(refused(options)).toMatch(message)
  })

  it('and networks are asked for', () => {
    expect(refused(undefined as unknown as object)).toMatch(/needs options: at least/)
    expect(refused({ device }, network.layers)).toMatch(/a network is \{ name, layers \}/)
    expect(refused({ device, sensitivity: Infinity })).toBe('nothing was refused')
    expect(() => planWithinBudget(network, { device, budget: 0.1, critcal: 1 } as never)).toThrow('no option "critcal"')
  })
})
