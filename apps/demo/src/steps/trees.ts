// Step "trees": boosted trees on the same question, with and without dropout, each stopped where validation is best.
import { aucDifference, aucInterval, logLossInterval } from '@ft/core/statistics'
import { predict, train, type TrainOptions } from '@ft/dart'
import type { FlightTask, Range } from '@ft/datasets'
import { denseFeatures, type DenseTask } from '../features.ts'
import { levelRates } from '../rates.ts'
import type { Claim, Step } from '../story.ts'

const VARIANTS: readonly { readonly name: string; readonly options: Partial<TrainOptions> }[] = [
  { name: 'MART, learning rate 0.1', options: { dropout: false, learningRate: 0.1 } },
  { name: 'DART, 3 % dropped, learning rate 0.4', options: {} },
]

export const treesStep: Step = {
  name: 'trees',
  title: 'Boosted trees, with and without dropout',
  async run({ options, output, flights, chart }) {
    const { task } = await flights()
    const dense = denseFeatures(task)
    const part = (range: Range) => ({
      features: matrix(dense, range),
      label: task.label.subarray(range.start, range.end),
    })
    const { start, end } = task.split.test
    const labels = task.label.subarray(start, end)
    const results = []
    for (const { name, options: more } of VARIANTS) {
      const { model, bestRound, history } = await train(
        { ...part(task.split.train), validation: part(task.split.validate) },
        {
          objective: 'logistic',
          rounds: options.quick ? 40 : 150,
          earlyStopping: 30,
          maxDepth: 6,
          minHessian: 5,
          seed: options.seed,
          threads: options.threads,
          onProgress: (progress) => output.onProgress({ ...progress, phase: name }),
          ...more,
        },
      )
      const probabilities = predict(model, matrix(dense, task.split.test))
      results.push({
        name,
        bestRound,
        history,
        probabilities,
        auc: aucInterval({ scores: probabilities, labels }),
        logLoss: logLossInterval({ probabilities, labels }),
      })
    }
    chart({
      title: 'Boosted trees, round by round',
      x: { label: 'round' },
      y: { label: 'validation log loss' },
      series: results.map(({ name, history }) => ({
        kind: 'line',
        name,
        points: history.flatMap(({ round, validation }) =>
          validation === undefined ? [] : [{ x: round, y: validation }],
        ),
      })),
    })
    output.table(results, [
      { header: 'model', value: (row) => row.name },
      { header: 'best round', value: (row) => row.bestRound, format: 'plain' },
      { header: 'AUC', value: (row) => row.auc, digits: 4 },
      { header: 'log loss', value: (row) => row.logLoss, digits: 4 },
    ])
    for (const { name, bestRound, auc, logLoss } of results)
      output.result({ step: 'trees', model: name, bestRound, auc, logLoss })
    return claims(task, results)
  },
}

function matrix({ data, width, names }: DenseTask, { start, end }: Range) {
  return { data: data.subarray(start * width, end * width), rows: end - start, columns: width, names }
}

function claims(task: FlightTask, results: readonly { probabilities: Float64Array }[]): Claim[] {
  const { start, end } = task.split.test
  const labels = task.label.subarray(start, end)
  const byHour = levelRates(task, 'hourOfWeek').subarray(start, end)
  const [mart, dart] = results.map((result) => result.probabilities) as [Float64Array, Float64Array]
  return [
    {
      text: 'DART beats the hour of the week (AUC difference)',
      measured: aucDifference({ first: dart, second: byHour, labels }),
      above: 0,
    },
    {
      text: 'DART loses no more than 0.005 AUC to MART',
      measured: aucDifference({ first: dart, second: mart, labels }),
      above: -0.005,
    },
  ]
}
