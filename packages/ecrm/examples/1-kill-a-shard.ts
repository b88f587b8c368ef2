// Two runs over the same data, one of them with a server killed on the way: the same model, bit for bit.
// Prints:
//   calm: 40 steps, 0 servers replaced
//   stormy: 40 steps, 1 servers replaced
//   rows equal: true
//   dense network equal: true
import { openShards, train } from '@ft/ecrm'

const ids = Array.from({ length: 5_120 }, (_, i) => (i * 7_919) % 300)
const dense = Float32Array.from({ length: 2 * ids.length }, (_, i) => Math.sin(i))
const data = { dense, categorical: [{ size: 300, ids }], label: ids.map((id) => id % 2) }

async function run(name: string, killAt: number) {
  const store = await openShards({ tables: [{ rows: 300 }], d: 8, k: 2, servers: 4 })
  const { model, history } = await train(data, { store, onStep: ({ step }) => step === killAt && store.kill(1) })
  await store.recovered()
  console.log(`${name}: ${history.length} steps, ${store.replacements} servers replaced`)
  const rows = await store.snapshot()
  await store.close()
  return { rows: rows.words, weights: model.parameters.flatMap((values) => Array.from(values)) }
}

const calm = await run('calm', -1)
const stormy = await run('stormy', 15)
console.log(`rows equal: ${calm.rows.every((word, i) => word === stormy.rows[i])}`)
console.log(`dense network equal: ${calm.weights.every((value, i) => value === stormy.weights[i])}`)
