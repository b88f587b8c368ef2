// Shards that listen for a trainer, as `npx @ft/ecrm shard` does on other machines; one of them ends while training goes on.
// Prints:
//   3 racks hold the rows, one more stands by
//   40 steps, 1 servers replaced, rows lost: 0
//   with the wrong token: INVALID_ARGUMENT
import { isFtError } from '@ft/core'
import { openShards, serveShards, train } from '@ft/ecrm'

const token = 'only we know this'
const served = await Promise.all([0, 1, 2, 3].map(() => serveShards({ listen: '127.0.0.1:0', token })))
const shards = served.map(({ address }, i) => ({ address, domain: `rack ${i}` }))
const sizes = { tables: [{ rows: 300 }], d: 8, k: 2, r: 1, servers: 3 }
const store = await openShards({ ...sizes, shards, token })
console.log(`${store.layout.servers} racks hold the rows, one more stands by`)

const ids = Array.from({ length: 5_120 }, (_, i) => (i * 7_919) % 300)
const data = {
  dense: new Float32Array(ids.length).fill(1),
  categorical: [{ size: 300, ids }],
  label: ids.map((id) => id % 2),
}
const { history } = await train(data, { store, onStep: ({ step }) => (step === 15 ? served[1]!.close() : undefined) })
const lost = await store.recovered()
console.log(`${history.length} steps, ${store.replacements} servers replaced, rows lost: ${lost.length}`)
await store.close()

const left = shards.filter((_, i) => i !== 1)
const refused: unknown = await openShards({ ...sizes, shards: left, token: 'a guess' }).catch((error: unknown) => error)
console.log(`with the wrong token: ${isFtError(refused) ? refused.code : 'let in'}`)
await Promise.all(served.map((one) => one.close()))
