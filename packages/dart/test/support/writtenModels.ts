// Models whose written forms other programs have read (golden/MAKER.md). Their bits are the same on every machine.
import { train, type Model, type TrainInput, type TrainOptions } from '../../src/index.ts'
import { makeData } from './made.ts'

const options: TrainOptions = { objective: 'squared', rounds: 6, maxDepth: 3, dropout: { dropRate: 0.4 } }

function categories(): TrainInput {
  const made = makeData(400, { missing: 0.1, seed: 31 })
  const data = made.features.data.map((value, i) => (i % 6 === 4 ? Math.floor(value * 12) : value))
  const label = made.label.map((y, row) => y + 5 * Math.sin(7 * (data[6 * row + 4] || 0)))
  return { features: { data, rows: 400, columns: 6, categorical: [4] }, label }
}

const cases: Readonly<Record<string, () => [TrainInput, TrainOptions]>> = {
  regression: () => [makeData(400, { missing: 0.1, seed: 32 }), options],
  categories: () => [categories(), options],
  logistic: () => [makeData(400, { task: 'binary', seed: 33 }), { ...options, objective: 'logistic' }],
  softmax: () => [makeData(400, { task: 'classes', seed: 34 }), { ...options, objective: 'softmax', rounds: 3 }],
}

/** Name, model and a few rows of each. */
export async function writtenModels(): Promise<{ name: string; model: Model; data: Float32Array; rows: number }[]> {
  const out = []
  for (const [name, make] of Object.entries(cases)) {
    const [input, given] = make()
    const { model } = await train(input, given)
    out.push({ name, model, data: (input.features as { data: Float32Array }).data.slice(0, 50 * 6), rows: 50 })
  }
  return out
}
