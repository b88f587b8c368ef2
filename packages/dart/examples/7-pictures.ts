// One tree as a picture for a page, and as text for Graphviz (`dart inspect model.json --svg tree.svg --dot tree.dot` does the same).
//
// Prints:
//   an svg of 2 kB
//   digraph tree0 {
//     rankdir=LR
//     node [shape=box]
//     n0 [label="rooms <= 0.153122"]
//     n0 -> l0 [label=yes]
//     n0 -> n1 [label=no, style=dashed]
//     n1 [label="age <= 0.427651"]
//     n1 -> l1 [label=yes]
//     n1 -> l2 [label=no, style=dashed]
//     l0 [shape=plain, label="-21.48"]
//     l1 [shape=plain, label="-1.745"]
//     l2 [shape=plain, label="9.968"]
//   }
import { train, treeDot, treeSvg } from '@ft/dart'

const data = Float32Array.from({ length: 600 }, (_, i) => ((i * 7919) % 1009) / 1009)
const features = { data, rows: 300, columns: 2, names: ['rooms', 'age'] }
const label = Array.from({ length: 300 }, (_, row) => 100 * (data[2 * row] ?? 0) - 30 * (data[2 * row + 1] ?? 0))
const { model } = await train({ features, label }, { objective: 'squared', rounds: 1, maxLeaves: 3 })

const svg = treeSvg(model, 0) // write it to a file, or put it into a page
console.log(`an svg of ${(svg.length / 1000).toFixed(0)} kB`)
for (const line of treeDot(model, 0).trimEnd().split('\n')) console.log(line) // or a file for `dot -Tpng`
