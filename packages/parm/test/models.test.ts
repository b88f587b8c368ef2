// Models of dense layers and convolutions: what the runner computes, TensorFlow.js computes from the same folder; gradients
// are those of finite differences; damaged folders are refused.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import fc from 'fast-check'
import { createRandom } from '@ft/core/random'
import { loadTensorFlow } from '../src/training/backend.ts'
import { forward, initialWeights, parametersOf, tensorsOf } from '../src/training/network.ts'
import { convEncoder } from '../src/training/coders.ts'
import {
  createModelRunner,
  fingerprintOf,
  readModelFolder,
  writeModelFolder,
  type ConvLayer,
  type Layer,
} from '../src/index.ts'

const conv = (form: { taps: number; from: number; to: number; height: number; width: number } & Partial<ConvLayer>) => {
  const { taps, from, to, height, width, ...more } = form
  const shape = [taps, taps, from, to]
  return {
    kind: 'conv' as const,
    weights: { data: new Float32Array(taps * taps * from * to), shape, dtype: 'float32' as const },
    bias: { data: new Float32Array(to), shape: [to], dtype: 'float32' as const },
    relu: true,
    image: { height, width },
    ...more,
  }
}
const dense = (rows: number, columns: number): Layer => ({
  weights: { data: new Float32Array(rows * columns), shape: [rows, columns], dtype: 'float32' },
  bias: { data: new Float32Array(columns), shape: [columns], dtype: 'float32' },
  relu: false,
})
const started = (layers: readonly Layer[], seed: number) =>
  initialWeights(layers, { random: createRandom(seed), scheme: 'scaled' }).map((layer, i) => ({
    ...layer,
    bias: {
      ...layer.bias,
      data: createRandom(seed).stream('bias', i).fillNormal(new Float32Array(layer.bias.data.length)),
    },
  }))
const small = (seed: number) =>
  started(
    [
      conv({ taps: 3, from: 2, to: 3, height: 5, width: 6, stride: 2 }),
      conv({ taps: 3, from: 3, to: 4, height: 3, width: 3, dilation: 2 }),
      dense(36, 3),
    ],
    seed,
  )
const rows = (count: number, width: number, seed: number) => ({
  data: createRandom(seed).fillNormal(new Float32Array(count * width)),
  shape: [count, width],
  dtype: 'float32' as const,
})

let folder: string
let tf: Awaited<ReturnType<typeof loadTensorFlow>>
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ft-models-'))
  tf = await loadTensorFlow()
})
afterAll(() => rm(folder, { recursive: true }))

it('a folder holds the model: the same bits come back, and TensorFlow.js answers alike from its own reading', async () => {
  const layers = small(3)
  const manifest = await writeModelFolder(folder, { layers })
  const read = await readModelFolder(folder)
  expect(fingerprintOf(read.layers)).toBe(manifest.fingerprint)
  const x = rows(70, 60, 4)
  const own = createModelRunner(read.layers)(x)
  expect(own.shape).toEqual([70, 3])

  const model = JSON.parse(await readFile(join(folder, 'model.json'), 'utf8')) as {
    modelTopology: object
    weightsManifest: { weights: [] }[]
  }
  const bytes = await readFile(join(folder, 'weights.bin'))
  const loaded = await tf.loadLayersModel(
    tf.io.fromMemory({
      modelTopology: model.modelTopology,
      weightSpecs: model.weightsManifest[0]!.weights,
      weightData: new Uint8Array(bytes).buffer,
    }),
  )
  const theirs = (loaded.predict(tf.tensor2d(x.data, [70, 60])) as { dataSync(): Float32Array }).dataSync()
  // Sums of at most 36 products of size about 1, in another order: 36 * 2^-24 of their magnitudes
  own.data.forEach((value, i) => expect(Math.abs(value - theirs[i]!)).toBeLessThan(1e-4))
})

it('refuses layers that it cannot run, and convolutions that do not fit', async () => {
  await writeModelFolder(folder, { layers: small(3) })
  const model = await readFile(join(folder, 'model.json'), 'utf8')
  for (const [from, to, code] of [
    ['"same"', '"valid"', 'UNSUPPORTED'],
    ['"Flatten"', '"MaxPooling2D"', 'UNSUPPORTED'],
    ['"Reshape"', '"Flatten"', 'UNSUPPORTED'],
    ['[3,3,3,4]', '[3,3,4,3]', 'SHAPE_MISMATCH'],
  ] as const) {
    expect(model).toContain(from)
    await writeFile(join(folder, 'model.json'), model.replace(from, to))
    await expect(readModelFolder(folder)).rejects.toMatchObject({ code })
  }
  const [first, second, third] = small(3) as [ConvLayer, ConvLayer, Layer]
  for (const layers of [
    [first, third],
    [{ ...first, dilation: 2 }, second, third],
    [first, { ...second, image: { height: 3, width: 4 } }],
  ])
    await expect(writeModelFolder(folder, { layers })).rejects.toMatchObject({ code: 'SHAPE_MISMATCH' })
})

describe('gradients', () => {
  const loss = (layers: readonly Layer[], x: ReturnType<typeof rows>, parameters: Float32Array[]) => {
    return tf.tidy(() => {
      const batch = tf.tensor2d(x.data, x.shape as [number, number])
      const differentiate = tf.valueAndGrads((...tensors) =>
        forward(tf, batch, { layers, tensors, constantInputs: true }).square().sum(),
      )
      const { value, grads } = differentiate(tensorsOf(tf, layers, parameters))
      return { value: value.dataSync()[0]!, grads: grads.map((one) => Float32Array.from(one.dataSync())) }
    })
  }

  it('of strided and dilated convolutions are those of finite differences', () => {
    // Without ReLU the loss is a polynomial: differences are exact but for the cube of the step and rounding
    const layers = small(5).map((layer) => ({ ...layer, relu: false }))
    const x = rows(2, 60, 6)
    const parameters = parametersOf(layers)
    const { grads } = loss(layers, x, parameters)
    fc.assert(
      fc.property(fc.nat(5), fc.nat(10_000), (p, at) => {
        const array = parameters[p]!
        const i = at % array.length
        const [kept, step] = [array[i]!, 0.05]
        array[i] = kept + step
        const above = loss(layers, x, parameters).value
        array[i] = kept - step
        const below = loss(layers, x, parameters).value
        array[i] = kept
        const largest = Math.max(...grads[p]!.map(Math.abs))
        expect(Math.abs((above - below) / (2 * step) - grads[p]![i]!)).toBeLessThan(0.02 * largest)
      }),
      { numRuns: 40 },
    )
  })

  it('reach through the dilated encoder: every input pixel within 16 rows and columns counts', () => {
    const layers = initialWeights(convEncoder({ k: 2, image: { height: 9, width: 9 }, channels: 4 }), {
      random: createRandom(8),
      scheme: 'scaled',
    })
    const x = rows(1, 162, 9)
    const run = createModelRunner(layers)
    const before = run(x).data
    x.data[0]! += 1
    const after = run(x).data
    const changed = [...after].filter((value, i) => value !== before[i]).length
    expect(changed).toBeGreaterThan(60)
  })
})
