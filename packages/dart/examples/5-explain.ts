// Why a row gets its answer, which features matter, and whether late trees still do: MART beside DART.
//
// Prints:
//   rooms -64.2 + age 3.7 + noise -0.0 + mean 35.6
//   = -24.9, predicted -24.9
//   beside a hundred other rows: rooms -66.5 + age 3.1 + noise -0.0
//   rmse without: rooms +38.5, age +6.3, noise +0.0
//   mart: first tenth of the trees 64 %, last half 1 %
//   dart: first tenth of the trees 23 %, last half 35 %
import { contributions, overSpecialization, permutationImportance, predict, train } from '@ft/dart'

const names = ['rooms', 'age', 'noise']
const data = Float32Array.from({ length: 900 }, (_, i) => ((i * 7919) % 1009) / 1009)
const features = { data, rows: 300, columns: 3, names }
const label = Array.from({ length: 300 }, (_, row) => 100 * (data[3 * row] ?? 0) - 30 * (data[3 * row + 1] ?? 0))

const dart = await train({ features, label }, { objective: 'squared', dropout: 'paper' })
const parts = contributions(dart.model, features).subarray(0, 4)
console.log([...names, 'mean'].map((name, i) => `${name} ${parts[i]?.toFixed(1)}`).join(' + '))
console.log(
  `= ${parts.reduce((sum, part) => sum + part, 0).toFixed(1)}, predicted ${predict(dart.model, features)[0]?.toFixed(1)}`,
)

const typical = { ...features, data: data.subarray(3, 303), rows: 100 }
const against = contributions(dart.model, features, { background: typical }).subarray(0, 4)
console.log(`beside a hundred other rows: ${names.map((name, i) => `${name} ${against[i]?.toFixed(1)}`).join(' + ')}`)

const { mean } = permutationImportance(dart.model, { features, label, seed: 1 })
console.log(`rmse without: ${names.map((name, i) => `${name} +${mean[i]?.toFixed(1)}`).join(', ')}`)

const mart = await train({ features, label }, { objective: 'squared', dropout: false, learningRate: 0.1 })
for (const [name, { model }] of Object.entries({ mart, dart })) {
  const { firstTenth, lastHalf } = overSpecialization(model, features)
  console.log(
    `${name}: first tenth of the trees ${(100 * firstTenth).toFixed(0)} %, last half ${(100 * lastHalf).toFixed(0)} %`,
  )
}
