// Quality on real data: what a small DLRM of the same shape reaches elsewhere, with a shard killed on the way and without.
import { afterEach, describe, expect, it } from 'vitest'
import { createRandom } from '@ft/core/random'
import { readAdultCensus, readMovieLens, requireData, type Table } from '@ft/datasets'
import { evaluate, openShards, train, type Samples, type ShardStore } from '../src/index.ts'

let open: ShardStore[] = []
afterEach(async () => {
  await Promise.all(open.map((store) => store.close()))
  open = []
})

/** Bottom 64-16, top 64-1, d = 16, Adagrad at 0.03, batches of 128, one epoch: the published baseline of both sets. */
async function testAuc(data: Samples, test: Samples, kill: boolean): Promise<number> {
  const tables = data.categorical.map(({ size }) => ({ rows: size }))
  const optimizer = { name: 'adagrad', learningRate: 0.03 } as const
  const store = await openShards({ tables, d: 16, k: 4, r: 1, where: 'memory', optimizer })
  open.push(store)
  const { model } = await train(data, {
    store,
    batch: 128,
    bottom: [64],
    top: [64],
    optimizer,
    onStep: ({ step }) => kill && step % 100 === 50 && store.kill((step / 50) % 5),
  })
  expect(store.replacements > 0).toBe(kill)
  return (await evaluate(model, test, { store })).auc
}

const adult = requireData('adult-census')
if (adult.skip !== undefined) console.log(`skipped: ${adult.skip}`)
describe.skipIf(adult.skip !== undefined)('adult census', () => {
  it('test AUC is at least 0.90, the same with and without kills', async () => {
    const sets = await readAdultCensus()
    const [data, test] = [samples(sets.train, sets.train), samples(sets.test, sets.train)]
    const calm = await testAuc(data, test, false)
    expect(calm).toBeGreaterThanOrEqual(0.9)
    expect(await testAuc(data, test, true)).toBe(calm)
  })

  /** Numbers scaled by the training rows; capital gain and loss, of which most are 0, by log(1 + x). */
  function samples(table: Table, by: Table): Samples {
    const numeric = table.names.flatMap((_, i) => (table.levels[i] === undefined ? [i] : []))
    const valueOf = (of: Table, row: number, column: number): number => {
      const value = of.features[row * of.names.length + column]!
      return of.names[column]!.startsWith('capital') ? Math.log1p(value) : value
    }
    const dense = new Float32Array(table.rows * numeric.length)
    numeric.forEach((column, j) => {
      const known = Array.from({ length: by.rows }, (_, row) => valueOf(by, row, column))
      const mean = known.reduce((sum, value) => sum + value, 0) / by.rows
      const deviation = Math.sqrt(known.reduce((sum, value) => sum + (value - mean) ** 2, 0) / by.rows)
      for (let row = 0; row < table.rows; row++)
        dense[row * numeric.length + j] = (valueOf(table, row, column) - mean) / deviation
    })
    const categorical = table.names.flatMap((_, i) => {
      const levels = table.levels[i]
      if (levels === undefined) return []
      const code = (row: number): number => table.features[row * table.names.length + i]!
      return [{ size: levels.length, ids: Int32Array.from({ length: table.rows }, (_, row) => code(row)) }]
    })
    return { dense, categorical, label: table.target }
  }
})

const movies = requireData('movielens-latest-small')
if (movies.skip !== undefined) console.log(`skipped: ${movies.skip}`)
describe.skipIf(movies.skip !== undefined)('MovieLens latest small, rating at least 4', () => {
  it('test AUC is at least 0.785, the same with and without kills', async () => {
    const { rows, user, movie, rating, userIds, movies: films } = await readMovieLens()
    const order = createRandom(0).permutation(rows)
    const years = films.titles.map((title) => Number(/\((\d{4})\)\s*$/.exec(title)?.[1] ?? 1995))
    const genreOf = (film: number, i: number): number => {
      const [at, end] = [films.genreOffsets[film]! + i, films.genreOffsets[film + 1]!]
      return at < end ? films.genres[at]! + 1 : 0
    }
    const part = (chosen: Uint32Array): Samples => {
      const column = (size: number, of: (row: number) => number) => ({ size, ids: Int32Array.from(chosen, of) })
      const genres = films.genreNames.length + 1
      return {
        dense: Float32Array.from(chosen, (row) => (years[movie[row]!]! - 1995) / 15),
        categorical: [
          column(userIds.length, (row) => user[row]!),
          column(films.ids.length, (row) => movie[row]!),
          ...[0, 1, 2].map((i) => column(genres, (row) => genreOf(movie[row]!, i))),
        ],
        label: Uint8Array.from(chosen, (row) => Number(rating[row]! >= 4)),
      }
    }
    const split = Math.floor(rows * 0.8)
    const [data, test] = [part(order.subarray(0, split)), part(order.subarray(split))]
    const calm = await testAuc(data, test, false)
    expect(calm).toBeGreaterThanOrEqual(0.785)
    expect(await testAuc(data, test, true)).toBe(calm)
  })
})
