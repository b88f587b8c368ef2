// A budget: what do 0.1, 0.3 and 1 per cent of extra time buy on ResNet-50 at 1080p?
//
// Prints:
//   0.00 % extra time: 660 of 1000 faults critical and unseen, 54 layers bare
//   0.10 % extra time: 373 of 1000 faults critical and unseen, 29 layers bare
//   0.30 % extra time: 264 of 1000 faults critical and unseen, 15 layers bare
//   0.97 % extra time: 62 of 1000 faults critical and unseen, 0 layers bare
import { findDevice, planWithinBudget, zoo } from '@ft/intensity-guide'

const network = zoo('resnet50', { resolution: [1080, 1920] })
for (const budget of [0, 0.001, 0.003, 0.01]) {
  const { plan, overhead, risk } = planWithinBudget(network, { device: findDevice('t4'), target: 'webgpu', budget })
  const bare = plan.layers.filter(({ scheme }) => scheme === 'none').length
  console.log(
    `${(100 * overhead).toFixed(2)} % extra time: ${(1000 * risk).toFixed(0)} of 1000 faults critical and unseen, ${bare} layers bare`,
  )
}
