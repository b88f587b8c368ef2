// From rows to a trained, early-stopped, exported model in eight lines.
//
// Prints:
//   stopped after 46 rounds, kept the model of round 26
//   XGBoost reads 26 weighted trees
import { train, writeXgboost } from '@ft/dart'

const rows = Array.from({ length: 500 }, (_, i) => ({ size: 20 + ((i * 37) % 100), balcony: i % 3 === 0 }))
const price = rows.map(({ size, balcony }, i) => 3 * size + (balcony ? 25 : 0) + ((i * 7919) % 11))
const part = (from: number, to: number) => ({ features: rows.slice(from, to), label: price.slice(from, to) })
const input = { ...part(0, 400), validation: part(400, 500) }
const { model, bestRound, history } = await train(input, { objective: 'squared', rounds: 300, earlyStopping: 20 })
const json = writeXgboost(model)

console.log(`stopped after ${history.length} rounds, kept the model of round ${bestRound}`)
console.log(`XGBoost reads ${JSON.parse(json).learner.gradient_booster.weight_drop.length} weighted trees`)
