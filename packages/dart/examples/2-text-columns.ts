// A CSV with text and missing cells: kinds are inferred, categories split by sets.
//
// Prints:
//   city: category, size: number
//   first set: city in {Bonn, Linz}, missing right
//   splits by feature: 114, 279
//   70 square metres: Linz 138, Ulm 70, city unknown 71
import { dumpTree, importance, predict, readCsv, takeLabel, train } from '@ft/dart'

const cities = ['Bonn', 'Kiel', 'Ulm', 'Bern', 'Graz', 'Linz']
const lines = Array.from({ length: 300 }, (_, i) => {
  const city = i % 10 === 9 ? '' : cities[(i * 7) % 6]
  const size = 20 + ((i * 37) % 90)
  return `${city},${size},${city === 'Bonn' || city === 'Linz' ? 2 * size : size}`
})
const { features, label } = takeLabel(readCsv(['city,size,price', ...lines].join('\n')), 'price')
console.log(features.columns.map(({ name, kind }) => `${name}: ${kind}`).join(', '))

const { model } = await train({ features, label }, { objective: 'squared', rounds: 60, maxDepth: 3, dropout: false })
const split = dumpTree(model, 0)
  .split('\n')
  .find((line) => line.includes(' in {'))
console.log(`first set: ${split?.trim()}`)
console.log(`splits by feature: ${importance(model, 'split').join(', ')}`)
const [linz, ulm, unknown] = predict(model, [
  { city: 'Linz', size: 70 },
  { city: 'Ulm', size: 70 },
  { city: null, size: 70 },
])
console.log(`70 square metres: Linz ${linz?.toFixed(0)}, Ulm ${ulm?.toFixed(0)}, city unknown ${unknown?.toFixed(0)}`)
