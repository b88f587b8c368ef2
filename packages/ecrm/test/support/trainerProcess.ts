// The program of a trainer that a test kills: it says every step, and dies when it is told to. Bundled and started by the test.
import { train, openShards, type ShardOptions } from '../../src/index.ts'
import { plantedSamples } from './made.ts'

const { shards, token, name, tables } = JSON.parse(process.argv[2]!) as Required<ShardOptions>
const data = plantedSamples(1_000, 1)
const optimizer = { name: 'adagrad', learningRate: 0.1 } as const
const store = await openShards({ tables, d: 4, k: 2, servers: 3, optimizer, shards, token, name })
await train(data, { store, batch: 10, seed: 5, onStep: ({ step }) => void process.stdout.write(`${step}\n`) })
