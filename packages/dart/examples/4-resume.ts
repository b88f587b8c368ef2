// A run that is killed at round 25 and resumed ends with the same bits as one that was not.
//
// Prints:
//   first run: killed, checkpoint of 35388 bytes
//   60 trees, 70692 bytes, equal: true
import { train, saveModel, type TrainOptions } from '@ft/dart'

const data = Float32Array.from({ length: 1200 }, (_, i) => (i * 7919) % 1009)
const features = { data, rows: 400, columns: 3 }
const label = Array.from(
  { length: 400 },
  (_, row) => Math.sin((data[3 * row] ?? 0) / 100) + (data[3 * row + 1] ?? 0) / 500,
)
const options: TrainOptions = { objective: 'squared', rounds: 60, dropout: { dropRate: 0.1 }, rowFraction: 0.8 }

let saved = new Uint8Array()
const killed = train(
  { features, label },
  {
    ...options,
    checkpointEvery: 25,
    onCheckpoint: (state) => {
      saved = state.slice()
      throw new Error('killed')
    },
  },
)
await killed.catch((error: Error) => console.log(`first run: ${error.message}, checkpoint of ${saved.length} bytes`))

const resumed = await train({ features, label }, { ...options, resume: saved })
const whole = await train({ features, label }, options)
const [a, b] = [saveModel(resumed.model), saveModel(whole.model)]
console.log(`${resumed.model.trees.length} trees, ${a.length} bytes, equal: ${a.every((byte, i) => byte === b[i])}`)
