// Trajectories on real data, within the bands that other programs of the same rule reach (test/golden/MAKER.md).
import { describe, expect, it } from 'vitest'
import { readAdultNumeric, readCaliforniaHousing, requireData, type Table } from '@ft/datasets'
import { metricOf, predict, train, type Model, type TrainOptions } from '../src/index.ts'

const features = ({ features: data, rows, names }: Table) => ({ data, rows, columns: names.length, names })

function score(model: Model, table: Table, metric: 'rmse' | 'logloss' | 'auc', rounds?: number): number {
  const scores = predict(model, features(table), { output: 'raw', ...(rounds === undefined ? {} : { rounds }) })
  return metricOf(metric).compute({ scores: [scores], labels: table.target })
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length

const california = requireData('california-housing')
if (california.skip !== undefined) console.log(`skipped: ${california.skip}`)

describe.skipIf(california.skip !== undefined)('california housing, 40 leaves of at least 10 rows', () => {
  const options: TrainOptions = { objective: 'squared', growth: 'leaf', maxLeaves: 40, minRows: 10, l2: 0 }

  it('MART at 0.1 is where three other programs are', async () => {
    const { train: rows, test } = await readCaliforniaHousing()
    const { model } = await train(
      { features: features(rows), label: rows.target },
      { ...options, rounds: 250, dropout: false, learningRate: 0.1 },
    )
    const at = [25, 50, 100, 250].map((rounds) => score(model, test, 'rmse', rounds))
    ;[0.55, 0.49, 0.47, 0.4565].forEach((expected, i) =>
      expect(Math.abs((at[i] ?? NaN) - expected)).toBeLessThanOrEqual(0.006),
    )
  })

  it('DART at 1 with 3 % dropped is below MART at every size, mean of three seeds', async () => {
    const { train: rows, test } = await readCaliforniaHousing()
    const input = { features: features(rows), label: rows.target }
    const mart = await train(input, { ...options, rounds: 100, dropout: false, learningRate: 0.1 })
    const sizes = [25, 50, 100]
    const expected = [0.488, 0.472, 0.46]
    for (const [i, rounds] of sizes.entries()) {
      const runs: number[] = []
      for (const seed of [1, 2, 3]) {
        const { model } = await train(input, { ...options, rounds, dropout: 'paper', seed })
        runs.push(score(model, test, 'rmse'))
      }
      expect(Math.abs(mean(runs) - (expected[i] ?? NaN))).toBeLessThanOrEqual(0.01)
      expect(mean(runs)).toBeLessThan(score(mart.model, test, 'rmse', rounds))
    }
  })
})

const adult = requireData('adult-numeric')
if (adult.skip !== undefined) console.log(`skipped: ${adult.skip}`)

describe.skipIf(adult.skip !== undefined)('adult, 31 leaves', () => {
  const options: TrainOptions = { objective: 'logistic', growth: 'leaf', maxLeaves: 31, rounds: 100 }

  it.each([
    ['MART at 0.1', { dropout: false, learningRate: 0.1 } as const, 0.2767, 0.0035, 0.9275, 0.0035],
    [
      'DART at 1 with 10 % dropped',
      { dropout: { dropRate: 0.1 }, learningRate: 1 } as const,
      0.277,
      0.004,
      0.9278,
      0.002,
    ],
  ])('%s reaches the log loss and AUC of XGBoost and LightGBM', async (_, more, loss, lossBand, auc, aucBand) => {
    const { train: rows, test } = await readAdultNumeric()
    const { model } = await train({ features: features(rows), label: rows.target }, { ...options, ...more })
    expect(Math.abs(score(model, test, 'logloss') - loss)).toBeLessThanOrEqual(lossBand)
    expect(Math.abs(score(model, test, 'auc') - auc)).toBeLessThanOrEqual(aucBand)
  })
})
