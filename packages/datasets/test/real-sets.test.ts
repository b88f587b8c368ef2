// The sets themselves, read from FT_DATA_DIR or the cache and compared with what their makers say (golden/MAKER.md).
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { describe, expect } from 'vitest'
import {
  locate,
  logSpectrograms,
  pixelsToFloat,
  readAdultCensus,
  readAdultNumeric,
  readBaseModel,
  readCaliforniaHousing,
  readCriteo,
  readImages,
  readMovieLens,
  readMq2008,
  readSpokenDigits,
  type BaseModel,
  type FloatTensor,
} from '../src/index.ts'
import { located } from '../src/locate.ts'
import { outcome } from './helpers/damage.ts'
import { withData } from './helpers/with-data.ts'

function counts(values: ArrayLike<number>): number[] {
  const found: number[] = []
  for (let i = 0; i < values.length; i++) found[values[i]!] = (found[values[i]!] ?? 0) + 1
  return found
}

function meanAndDeviation(values: ArrayLike<number>, step = 1, start = 0): [number, number] {
  let sum = 0
  let squares = 0
  const n = Math.floor(values.length / step)
  for (let i = start; i < values.length; i += step) {
    sum += values[i]!
    squares += values[i]! ** 2
  }
  return [sum / n / 255, Math.sqrt(squares / n - (sum / n) ** 2) / 255]
}

describe('images', () => {
  withData(['mnist'], 'MNIST', async () => {
    const train = await readImages('mnist', { part: 'train' })
    const test = await readImages('mnist', { part: 'test' })
    expect(train.images.shape).toEqual([60000, 28, 28])
    expect(counts(train.labels)).toEqual([5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949])
    expect(counts(test.labels)).toEqual([980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009])
    // The published values have five and five decimals.
    const [mean, deviation] = meanAndDeviation(train.images.data)
    expect(mean).toBeCloseTo(0.13066, 5)
    expect(deviation).toBeCloseTo(0.30811, 5)
  })

  withData(['fashion-mnist'], 'Fashion-MNIST', async () => {
    const { labels, classes, images } = await readImages('fashion-mnist', { part: 'train' })
    expect(images.shape).toEqual([60000, 28, 28])
    expect(counts(labels)).toEqual(Array<number>(10).fill(6000))
    expect(classes[9]).toBe('Ankle boot')
    expect(counts((await readImages('fashion-mnist', { part: 'test' })).labels)).toEqual(Array<number>(10).fill(1000))
  })

  withData(['cifar-10'], 'CIFAR-10', async () => {
    const { images, labels } = await readImages('cifar-10', { part: 'test' })
    expect(images.shape).toEqual([10000, 32, 32, 3])
    expect(counts(labels)).toEqual(Array<number>(10).fill(1000))
    const channels = [0, 1, 2].map((channel) => meanAndDeviation(images.data, 3, channel))
    // The published values have four decimals.
    for (const [c, [mean, deviation]] of [
      [0.4942, 0.2467],
      [0.4851, 0.2429],
      [0.4504, 0.2616],
    ].entries()) {
      expect(channels[c]![0]).toBeCloseTo(mean!, 4)
      expect(channels[c]![1]).toBeCloseTo(deviation!, 4)
    }
    expect(counts((await readImages('cifar-10', { part: 'train' })).labels)).toEqual(Array<number>(10).fill(1000))
  })
})

describe('speech', () => {
  withData(['free-spoken-digits'], 'spoken digits', async () => {
    const recordings = await readSpokenDigits()
    expect(recordings).toHaveLength(3000)
    expect(counts(recordings.map(({ digit }) => digit))).toEqual(Array<number>(10).fill(300))
    expect(new Set(recordings.map(({ speaker }) => speaker)).size).toBe(6)
    expect(recordings.filter(({ part }) => part === 'test')).toHaveLength(300)
    expect(recordings.filter(({ part, take }) => (part === 'test') !== take < 5)).toEqual([])
    const lengths = recordings.map(({ samples }) => samples.length / 8000).sort((a, b) => a - b)
    expect([lengths[0], lengths[1500], lengths[2999]].map((seconds) => seconds!.toFixed(2))).toEqual([
      '0.14',
      '0.42',
      '2.28',
    ])

    const few = recordings.filter(({ take }) => take === 0)
    const { data, shape } = logSpectrograms(few)
    expect(shape).toEqual([60, 81, 50])
    expect(data.every(Number.isFinite)).toBe(true)
  })
})

describe('tables', () => {
  withData(['adult-census', 'adult-numeric'], 'Adult in both forms says the same', async () => {
    const text = await readAdultCensus()
    const codes = await readAdultNumeric()
    for (const part of ['train', 'test'] as const) {
      const [a, b] = [text[part], codes[part]]
      expect([a.rows, b.rows]).toEqual(part === 'train' ? [32561, 32561] : [16281, 16281])
      expect(a.target).toEqual(b.target)
      let differences = 0
      for (let at = 0; at < a.features.length; at++) {
        const f = at % 14
        const names = [a.levels[f]?.[a.features[at]!], b.levels[f]?.[b.features[at]!]]
        const same = names[0] === undefined ? a.features[at] === b.features[at] : names[0] === (names[1] ?? '?')
        if (!same) differences++
      }
      expect(differences).toBe(0)
    }
    expect(text.train.levels.filter((levels) => levels !== undefined)).toHaveLength(8)
    expect(text.train.target.reduce((sum, y) => sum + y) / 32561).toBeCloseTo(0.2408, 4)
  })

  withData(['california-housing'], 'California housing', async () => {
    const { train, test } = await readCaliforniaHousing()
    expect([train.rows, test.rows]).toEqual([16511, 4129])
    const missing = [train, test].flatMap(({ features }) =>
      [...features.keys()].filter((at) => Number.isNaN(features[at])),
    )
    expect(missing).toHaveLength(207)
    expect(new Set(missing.map((at) => train.names[at % 9]))).toEqual(new Set(['total_bedrooms']))
    expect(Math.max(...train.target)).toBe(5.00001)
  })

  withData(['mq2008-fold1'], 'MQ2008', async () => {
    const { train, test } = await readMq2008()
    expect([train.rows, train.queries.length, test.rows, test.queries.length]).toEqual([9630, 471, 2874, 156])
    expect(counts(train.relevance)).toEqual([7820, 1223, 587])
    expect(counts(test.relevance)).toEqual([2319, 378, 177])
    expect(train.shape).toEqual([9630, 46])
    expect(train.groupSizes.reduce((sum, size) => sum + size)).toBe(9630)
  })
})

describe('recommendation', () => {
  withData(['criteo-kaggle-8k'], 'Criteo', async () => {
    const parts = [await readCriteo('train'), await readCriteo('dev'), await readCriteo('test')]
    expect(parts.map(({ rows }) => rows)).toEqual([7200, 409, 391])
    const clicks = parts.map(({ label, rows }) => label.reduce((sum, y) => sum + y, 0) / rows)
    expect(clicks.map((rate) => rate.toFixed(4))).toEqual(['0.2151', '0.2274', '0.2199'])
    const distinct = Array.from({ length: 26 }, () => new Set<number>())
    for (const [at, hash] of parts[0]!.hashes.entries()) distinct[at % 26]!.add(hash)
    // prettier-ignore
    expect(distinct.map(({ size }) => size)).toEqual([
      147, 360, 4137, 3101, 51, 8, 2645, 76, 3, 2410, 1805, 3969, 1515, 22, 1751, 3577, 9, 1012, 457, 4, 3792, 8, 12,
      2008, 38, 1526,
    ])
  })

  withData(['movielens-latest-small'], 'MovieLens', async () => {
    const { rows, userIds, movies, rating, movie } = await readMovieLens()
    expect([rows, userIds.length, movies.ids.length, new Set(movie).size]).toEqual([100836, 610, 9742, 9724])
    expect(rating.filter((stars) => stars >= 4).length / rows).toBeCloseTo(0.4818, 4)
    expect(movies.titles[0]).toBe('Toy Story (1995)')
    const bag = movies.genres.subarray(movies.genreOffsets[0], movies.genreOffsets[1])
    expect([...bag].map((genre) => movies.genreNames[genre])).toEqual([
      'Adventure',
      'Animation',
      'Children',
      'Comedy',
      'Fantasy',
    ])
  })
})

/** Logits of a model of dense layers with ReLU between them; `[n, 10]`. */
function logits(model: BaseModel, images: FloatTensor): Float64Array {
  const n = images.shape[0]!
  let x = Float64Array.from(images.data)
  for (let t = 0; t < model.tensors.length; t += 2) {
    const weight = model.tensors[t]!.tensor
    const bias = model.tensors[t + 1]!.tensor.data
    const [out, width] = weight.shape as [number, number]
    const y = new Float64Array(n * out)
    for (let i = 0; i < n; i++) {
      const row = y.subarray(i * out, (i + 1) * out)
      row.set(bias)
      for (let k = 0; k < width; k++) {
        const value = x[i * width + k]!
        // Most pixels are black and many activations 0.
        if (value === 0) continue
        for (let o = 0; o < out; o++) row[o]! += value * weight.data[o * width + k]!
      }
      if (t + 2 < model.tensors.length) for (let o = 0; o < out; o++) row[o] = Math.max(0, row[o]!)
    }
    x = y
  }
  return x
}

describe('base models', () => {
  withData(['mnist', 'parm-base-models'], 'classify as many MNIST digits as their makers say', async () => {
    const { images, labels } = await readImages('mnist', { part: 'test' })
    for (const name of ['mnist-base-mlp', 'mnist-logistic'] as const) {
      const model = await readBaseModel(name)
      const found = logits(model, pixelsToFloat(images))
      // Given to four decimals, computed by their maker in float32: 784 products of up to 1 give errors below 1e-4 in 20.
      for (const [o, value] of model.expectedLogits.entries()) expect(Math.abs(found[o]! - value)).toBeLessThan(2e-4)
      let correct = 0
      for (let i = 0; i < 10_000; i++) {
        const row = found.subarray(i * 10, i * 10 + 10)
        if (row.indexOf(Math.max(...row)) === labels[i]) correct++
      }
      expect(correct).toBe(model.testCorrect)
    }
  })
})

describe('a set that has changed', () => {
  withData(['california-housing'], 'is refused even when it still parses', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'ft-sets-'))
    try {
      const original = locate('california-housing')
      await mkdir(join(folder, 'set'))
      const train = gunzipSync(await readFile(original.path('train.csv')))
      await writeFile(join(folder, 'set', 'test.csv'), gunzipSync(await readFile(original.path('test.csv'))))
      const read = async (content: Uint8Array) => {
        await writeFile(join(folder, 'set', 'train.csv'), content)
        return outcome(readCaliforniaHousing({ set: located('california-housing', join(folder, 'set')) }))
      }
      expect(await read(train)).toBe('none')
      const lastLine = train.lastIndexOf(10, train.length - 2)
      // Cut at a line end; the last number changed.
      expect(await read(train.subarray(0, lastLine + 1))).toBe('CHECKSUM_MISMATCH')
      const changed = Uint8Array.from(train)
      changed[changed.length - 2]! ^= 1
      expect(await read(changed)).toBe('CHECKSUM_MISMATCH')
    } finally {
      await rm(folder, { recursive: true })
    }
  })
})
