// Step "network": a small neural network on whichever TensorFlow.js backend is there, beside two baselines.
import type { Interval } from '@ft/core'
import { aucDifference, aucInterval, logLossInterval } from '@ft/core/statistics'
import { baseRate, levelRates } from '../rates.ts'
import type { Claim, Step } from '../story.ts'

interface Scored {
  readonly model: string
  readonly auc: Interval
  readonly logLoss: Interval
  readonly probabilities: Float64Array
}

export const networkStep: Step = {
  name: 'network',
  title: 'A small network for late arrivals',
  async run({ output, flights, network }) {
    const { task } = await flights()
    const { backend, probabilities: learned } = await network()
    output.text(
      `TensorFlow.js backend: ${backend.backend}${backend.passedOver.map((item) => `; not ${item.backend}: ${item.reason.replace(/ imported from .*/, '')}`).join('')}`,
    )
    const test = task.split.test
    const labels = task.label.subarray(test.start, test.end)
    const constant = new Float64Array(labels.length).fill(baseRate(task))
    const byHour = levelRates(task, 'hourOfWeek').subarray(test.start, test.end)
    const rows: Scored[] = Object.entries({ 'base rate': constant, 'hour of the week': byHour, network: learned }).map(
      ([name, probabilities]) => ({
        model: name,
        auc: aucInterval({ scores: probabilities, labels }),
        logLoss: logLossInterval({ probabilities, labels }),
        probabilities,
      }),
    )
    output.table(rows, [
      { header: 'model', value: (row) => row.model },
      { header: 'AUC', value: (row) => row.auc, digits: 4 },
      { header: 'log loss', value: (row) => row.logLoss, digits: 4 },
    ])
    for (const { model: name, auc, logLoss } of rows)
      output.result({ step: 'network', model: name, auc, logLoss, n: labels.length })
    return claims(learned, byHour, labels)
  },
}

function claims(learned: Float64Array, byHour: Float64Array, labels: Uint8Array): Claim[] {
  const measured = aucDifference({ first: learned, second: byHour, labels })
  return [{ text: 'a small network beats the hour of the week (AUC difference)', measured, above: 0 }]
}
