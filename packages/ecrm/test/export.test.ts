// Exported models say what the trained one says, on onnxruntime; exported tables are what NumPy expects.
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { isFtError } from '@ft/core'
import { evaluate, exportNpy, openShards, train, type DenseModel, type ShardStore } from '../src/index.ts'
import { exportOnnx } from '../src/onnx.ts'
import { baggedSamples, plantedSamples } from './support/made.ts'

const data = plantedSamples(1_000, 1)
const test = plantedSamples(300, 2)
const tables = data.categorical.map(({ size }) => ({ rows: size }))
let store: ShardStore
let model: DenseModel
let expected: Float32Array

beforeAll(async () => {
  store = await openShards({ tables, d: 8, k: 2, where: 'memory' })
  model = (await train(data, { store, bottom: [16, 12], top: [20] })).model
  expected = (await evaluate(model, test, { store })).probabilities
})
afterAll(() => store.close())

/** The bound; float32 sums of some hundred terms of size 1 differ by less than 1e-5 whatever their order. */
const tolerance = 1e-5

async function run(bytes: Uint8Array, feeds: Record<string, Tensor>): Promise<Float32Array> {
  const session = await InferenceSession.create(bytes)
  const { probability } = await session.run(feeds)
  expect(probability!.dims).toEqual([300])
  return probability!.data as Float32Array
}

function expectClose(got: Float32Array): void {
  got.forEach((value, i) => expect(Math.abs(value - expected[i]!)).toBeLessThan(tolerance))
}

it('from ids', async () => {
  const ids = BigInt64Array.from({ length: 600 }, (_, i) => BigInt(test.categorical[i % 2]!.ids[i >> 1]!))
  const bytes = await exportOnnx(model, { from: 'ids', store })
  expectClose(
    await run(bytes, { dense: new Tensor('float32', test.dense, [300, 3]), ids: new Tensor('int64', ids, [300, 2]) }),
  )
})

it('from embeddings', async () => {
  const ids = Uint32Array.from({ length: 600 }, (_, i) => store.offsets[i % 2]! + test.categorical[i % 2]!.ids[i >> 1]!)
  const embeddings = new Tensor('float32', await store.pull(ids), [300, 2, 8])
  const bytes = await exportOnnx(model, { from: 'embeddings' })
  expectClose(await run(bytes, { dense: new Tensor('float32', test.dense, [300, 3]), embeddings }))
})

it('from ids with bags: sums and weighted means, empty ones too', async () => {
  const [seen, unseen] = [baggedSamples(1_000, 1), baggedSamples(300, 2)]
  const bagged = await openShards({
    ...{ tables: seen.categorical.map(({ size }) => ({ rows: size })), d: 8, k: 2, where: 'memory' },
  })
  const trained = (await train(seen, { store: bagged })).model
  const { probabilities } = await evaluate(trained, unseen, { store: bagged })
  const poolings = [undefined, 'sum', 'mean'] as const
  const bytes = await exportOnnx(trained, { from: 'ids', store: bagged, bags: poolings })
  const single = BigInt64Array.from(unseen.categorical[0]!.ids, BigInt)
  const feeds: Record<string, Tensor> = {
    dense: new Tensor('float32', unseen.dense, [300, 2]),
    ids: new Tensor('int64', single, [300, 1]),
  }
  for (const t of [1, 2]) {
    const { ids, offsets, weights } = unseen.categorical[t]!
    const longest = 5
    const filled = new BigInt64Array(300 * longest).fill(7n)
    const counts = new Float32Array(300 * longest)
    for (let row = 0; row < 300; row++) {
      for (let m = offsets![row]!; m < offsets![row + 1]!; m++) {
        const at = row * longest + m - offsets![row]!
        filled[at] = BigInt(ids[m]!)
        counts[at] = weights?.[m] ?? 1
      }
    }
    feeds[`ids.${t}`] = new Tensor('int64', filled, [300, longest])
    feeds[`weights.${t}`] = new Tensor('float32', counts, [300, longest])
  }
  const got = await run(bytes, feeds)
  got.forEach((value, i) => expect(Math.abs(value - probabilities[i]!)).toBeLessThan(tolerance))
  expect(Math.max(...probabilities) - Math.min(...probabilities)).toBeGreaterThan(0.2)
  // Left out, too short, and another pooling than in training: each would give wrong probabilities.
  const others = [undefined, [undefined, 'sum' as const], [undefined, 'mean' as const, 'mean' as const]]
  for (const bags of [[...poolings, 'sum' as const], ['max' as 'sum'], ...others])
    await expect(exportOnnx(trained, { from: 'ids', store: bagged, ...(bags && { bags }) })).rejects.toSatisfy(
      (error) => isFtError(error, 'INVALID_ARGUMENT'),
    )
  await bagged.close()
})

it('refuses another store than the model was trained on', async () => {
  const other = await openShards({ tables: [{ rows: 5 }], d: 8, k: 2, where: 'memory' })
  await expect(exportOnnx(model, { from: 'ids', store: other })).rejects.toSatisfy((error) =>
    isFtError(error, 'INVALID_ARGUMENT'),
  )
  await other.close()
})

it('a table as .npy: header as the format says, values as pulled', async () => {
  const bytes = await exportNpy(store, 1)
  expect(Array.from(bytes.subarray(0, 8))).toEqual([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0])
  const length = bytes[8]! + 256 * bytes[9]!
  expect((10 + length) % 64).toBe(0)
  const header = new TextDecoder().decode(bytes.subarray(10, 10 + length))
  expect(header).toMatch(/^\{'descr': '<f4', 'fortran_order': False, 'shape': \(25, 8\), \} *\n$/)
  const values = new Float32Array(bytes.slice(10 + length).buffer)
  expect(values).toEqual(await store.pull(Uint32Array.from({ length: 25 }, (_, i) => 40 + i)))
})
