// From a model file to a plan: which scheme does each layer of a digit classifier get on a T4, and at what cost?
//
// Prints:
//   conv1    10.7 FLOP/B  memory   thread-one-sided
//   conv2    52.4 FLOP/B  memory   thread-one-sided
//   hidden  332.3 FLOP/B  compute  global
//   logits   15.3 FLOP/B  memory   thread-one-sided
//   guided 0.29 %, all global 1.56 %, all thread-one-sided 1.29 %
import { readFileSync } from 'node:fs'
import { findDevice, planNetwork, planTotals, readTfjs } from '@ft/intensity-guide'

const file = new URL('./digits/model.json', import.meta.url)
const network = readTfjs(readFileSync(file, 'utf8'), { name: 'digits', batch: 512, dtype: 'float16' })
const device = findDevice('t4')
const plan = planNetwork(network, { device, target: 'webgpu' })
for (const { id, intensity, bound, scheme } of plan.layers)
  console.log(`${id.padEnd(6)} ${intensity.toFixed(1).padStart(6)} FLOP/B  ${bound.padEnd(7)}  ${scheme}`)

const { guided, uniform } = planTotals(plan, { device })
const percent = (share = NaN) => `${(100 * share).toFixed(2)} %`
console.log(
  `guided ${percent(guided)}, all global ${percent(uniform.global)}, all thread-one-sided ${percent(uniform['thread-one-sided'])}`,
)
