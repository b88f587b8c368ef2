// Breaks something on purpose: flips every bit of one summand in turn and asks which flips a sum's check can see.
//
// Prints:
//   bit  0  change 1.2e-7  below the rounding of the sum
//   bit 12  change 0.00049  seen
//   bit 15  change 0.0039  seen
//   bit 30  change Infinity  seen
//   seen: 28 of 32 bits, 0.88 [0.72, 0.95]
import { applyEffect } from '@ft/core/faults'
import { unitRoundoff } from '@ft/core/formats'
import { createRandom } from '@ft/core/random'
import { wilson } from '@ft/core/statistics'

const values = createRandom(1).fillNormal(new Float32Array(64))
values[0] = 1
// The rounding of 64 stored values, six standard deviations of it
const squares = values.reduce((sum, x) => sum + x * x, 0)
const threshold = 6 * unitRoundoff('float32') * Math.sqrt(squares / 3)

let seen = 0
for (let bit = 0; bit < 32; bit++) {
  const struck = applyEffect({ kind: 'flip', bits: [bit] }, { value: 1, dtype: 'float32' })
  const change = Math.abs(struck - 1)
  const found = !(change <= threshold)
  seen += found ? 1 : 0
  if (bit % 15 === 0 || bit === 12) {
    const verdict = found ? 'seen' : 'below the rounding of the sum'
    console.log(`bit ${String(bit).padStart(2)}  change ${Number(change.toPrecision(2))}  ${verdict}`)
  }
}
const { value, low, high } = wilson({ successes: seen, trials: 32 })
console.log(`seen: ${seen} of 32 bits, ${value.toFixed(2)} [${low.toFixed(2)}, ${high.toFixed(2)}]`)
