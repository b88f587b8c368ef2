// Checkpoints: a training that was ended goes on to the same bits; files of other runs and damaged files are refused.
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createRandom } from '@ft/core/random'
import {
  cropAndFlip,
  fingerprintOf,
  sum,
  trainLearnedCode,
  trainModel,
  trainParityModel,
  type DenseLayer,
} from '../src/index.ts'

const random = createRandom(31)
const normal = (name: string, shape: number[]) => ({
  data: random.stream(name).fillNormal(new Float32Array(shape.reduce((a, b) => a * b, 1)), { standardDeviation: 0.5 }),
  shape,
  dtype: 'float32' as const,
})
const base: DenseLayer[] = [
  { weights: normal('w1', [9, 12]), bias: normal('b1', [12]), relu: true },
  { weights: normal('w2', [12, 3]), bias: normal('b2', [3]), relu: false },
]
const inputs = normal('x', [900, 9])
const labels = Array.from({ length: 900 }, (_, i) => i % 3)
const settings = { seed: 4, epochs: 5, groupsPerBatch: 8, validationSamples: 100 }

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ft-resume-'))
})
afterAll(() => rm(folder, { recursive: true }))

/** Runs a training that is ended in the middle of an epoch, then once more to its end. */
async function interrupted<T>(
  run: (options: { signal?: AbortSignal; onProgress?: (progress: { done: number }) => void }) => Promise<T>,
): Promise<T> {
  const stop = new AbortController()
  const after = (progress: { done: number }) => {
    if (progress.done === 2) setTimeout(() => stop.abort(), 0)
  }
  await expect(run({ signal: stop.signal, onProgress: after })).rejects.toMatchObject({ code: 'ABORTED' })
  const done: number[] = []
  const result = await run({ onProgress: (progress) => done.push(progress.done) })
  expect(done).toEqual([3, 4, 5])
  return result
}

it('a parity model, trained in two parts with augmentation and short groups, has the same bits', async () => {
  const task = { base, code: sum({ k: 2, shortGroups: true }), inputs, labels }
  const more = { shortGroups: 0.2, augment: cropAndFlip({ image: { height: 3, width: 3 }, padding: 1 }) }
  const file = join(folder, 'parity')
  const whole = await trainParityModel(task, { ...settings, ...more })
  const parts = await interrupted((o) => trainParityModel(task, { ...settings, ...more, ...o, checkpoint: file }))
  expect(fingerprintOf(parts.layers)).toBe(fingerprintOf(whole.layers))
  expect(parts.history).toEqual(whole.history)
  expect(parts.bestEpoch).toBe(whole.bestEpoch)
  // Once more on the finished file: nothing is left to do
  const again = await trainParityModel(task, { ...settings, ...more, checkpoint: file })
  expect(fingerprintOf(again.layers)).toBe(fingerprintOf(whole.layers))
  expect((await readdir(folder)).filter((name) => name.includes('unfinished'))).toEqual([])

  await expect(trainParityModel(task, { ...settings, ...more, seed: 5, checkpoint: file })).rejects.toMatchObject({
    code: 'FINGERPRINT_MISMATCH',
  })
  const bytes = await readFile(file)
  bytes[bytes.length >> 1]! ^= 1
  await writeFile(file, bytes)
  await expect(trainParityModel(task, { ...settings, ...more, checkpoint: file })).rejects.toMatchObject({
    code: 'CHECKSUM_MISMATCH',
  })
  for (const length of [0, 7, 100]) {
    await writeFile(file, bytes.subarray(0, length))
    await expect(trainParityModel(task, { ...settings, ...more, checkpoint: file })).rejects.toMatchObject({
      code: length === 100 ? 'CHECKSUM_MISMATCH' : 'CORRUPT_DATA',
    })
  }
})

it('so do a learned code and a base model', async () => {
  const learned = (o: object) =>
    trainLearnedCode({ base, k: 2, inputs, labels }, { ...settings, encoderWidth: 6, ...o })
  const whole = await learned({})
  const parts = await interrupted((o) => learned({ ...o, checkpoint: join(folder, 'learned') }))
  expect(fingerprintOf([...parts.encoder, ...parts.decoder])).toBe(fingerprintOf([...whole.encoder, ...whole.decoder]))

  const model = (o: object) => trainModel({ layers: base, inputs, labels }, { seed: 4, epochs: 5, batch: 8, ...o })
  const one = await model({})
  const two = await interrupted((o) => model({ ...o, checkpoint: join(folder, 'model') }))
  expect(fingerprintOf(two.layers)).toBe(fingerprintOf(one.layers))
})
