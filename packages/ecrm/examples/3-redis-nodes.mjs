// Rows on Redis or Valkey nodes, one of which forgets everything while training goes on. Four of them, name theirs:
//   redis-server --port 7001 --save '' &     and so on
//   node examples/3-redis-nodes.mjs 127.0.0.1:7001 127.0.0.1:7002 127.0.0.1:7003 127.0.0.1:7004
// Prints:
//   3 nodes hold the rows, one more stands by
//   40 steps, 1 nodes replaced, rows lost: 0
import { Redis } from 'ioredis'
import { openShards, train } from '@ft/ecrm'

const redis = process.argv.slice(2)
const store = await openShards({ tables: [{ rows: 300 }], d: 8, k: 2, r: 1, servers: 3, redis })
console.log(`${store.layout.servers} nodes hold the rows, one more stands by`)

const ids = Array.from({ length: 5_120 }, (_, i) => (i * 7_919) % 300)
const data = {
  dense: new Float32Array(ids.length).fill(1),
  categorical: [{ size: 300, ids }],
  label: ids.map((id) => id % 2),
}
const [host, port] = redis[1].split(':')
const forgetful = new Redis(Number(port), host)
const { history } = await train(data, { store, onStep: ({ step }) => (step === 15 ? forgetful.flushall() : undefined) })
forgetful.disconnect()
const lost = await store.recovered()
console.log(`${history.length} steps, ${store.replacements} nodes replaced, rows lost: ${lost.length}`)
await store.close()
