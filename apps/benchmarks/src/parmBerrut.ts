// Part of bench "parm-accuracy": Berrut's code, which needs no training, beside figures measured elsewhere.
import type { Tensor } from '@ft/core'
import { createRandom } from '@ft/core/random'
import { berrut, evaluateMixed } from '@ft/parm'
import type { BenchContext } from './bench.ts'
import { perceptronTask, pickRows, type PerceptronName } from './parmTasks.ts'

/** Measured shares of right answers: [k, late, nodes 'open', nodes 'closed'] of k + max(1, late) units, random ones late. */
const BERRUT: Readonly<Record<PerceptronName, readonly (readonly [number, number, number, number])[]>> = {
  mnist: [
    [2, 0, 0.97, 0.975],
    [2, 1, 0.871, 0.857],
    [3, 0, 0.972, 0.891],
    [3, 1, 0.826, 0.756],
    [4, 0, 0.966, 0.799],
    [4, 1, 0.854, 0.724],
    [4, 2, 0.787, 0.806],
    [4, 3, 0.747, 0.767],
    [8, 0, 0.93, 0.739],
    [8, 1, 0.85, 0.676],
    [8, 2, 0.806, 0.821],
    [8, 3, 0.779, 0.781],
    [12, 0, 0.9, 0.725],
    [12, 1, 0.85, 0.671],
  ],
  'fashion-mnist': [
    [2, 0, 0.866, 0.865],
    [2, 1, 0.76, 0.728],
    [3, 0, 0.871, 0.782],
    [3, 1, 0.739, 0.673],
    [4, 0, 0.858, 0.7],
    [4, 1, 0.746, 0.629],
    [4, 2, 0.693, 0.718],
    [4, 3, 0.67, 0.678],
    [8, 0, 0.803, 0.628],
    [8, 1, 0.745, 0.585],
    [8, 2, 0.707, 0.714],
    [8, 3, 0.694, 0.688],
    [12, 0, 0.772, 0.609],
    [12, 1, 0.736, 0.568],
  ],
}

/** Orders of the images and choices of the late units: a figure over one alone moves by 0.2 to 0.5 points. */
const DRAWS = 5

/** Nobody measured these elsewhere on the same model. */
const FURTHER = [
  { name: 'order 1', k: 4, late: 1, order: 1, wrong: 0 },
  { name: 'order 2', k: 4, late: 1, order: 2, wrong: 0 },
  { name: '1 wrong, found', k: 4, late: 0, order: 0, wrong: 1 },
  { name: '2 wrong, found', k: 4, late: 0, order: 0, wrong: 2 },
  { name: '1 wrong, found', k: 12, late: 0, order: 0, wrong: 1 },
] as const

interface Labelled {
  readonly inputs: Tensor
  readonly labels: Uint8Array
}

/**
 * In another order. MNIST's test file has harder images first: groups of its neighbours are alike, and one point more of their
 * answers are right than of groups of any images.
 */
function shuffled({ inputs, labels }: Labelled, seed: number): Labelled {
  const order = createRandom(seed).stream('order').permutation(labels.length)
  return { inputs: pickRows(inputs, order), labels: Uint8Array.from(order, (row) => labels[row] as number) }
}

/** Every answer counts, random units are late. */
export async function measureBerrut(context: BenchContext): Promise<void> {
  for (const set of ['mnist', 'fashion-mnist'] as const) {
    const task = await perceptronTask(set)
    for (const [k, late, ...published] of BERRUT[set])
      for (const [i, nodes] of (['open', 'closed'] as const).entries()) {
        const code = berrut({ k, late: Math.max(1, late), nodes })
        const draws = context.quick ? 1 : DRAWS
        const values = Array.from({ length: draws }, (_, d) => {
          const seed = context.seed + d
          return 100 * evaluateMixed({ code, ...shuffled(task.test, seed), base: task.run, late, seed })
        })
        const value = values.reduce((sum, one) => sum + one, 0) / draws
        const measured = 100 * (published[i] as number)
        context.emit({
          case: `${set} berrut k=${k}, ${late} of ${code.n} late, ${nodes} nodes`,
          metric: 'right',
          value,
          unit: '%',
          baseline: { case: 'measured elsewhere', value: measured },
          ratio: value / measured,
          n: draws,
          target: `${measured.toFixed(1)} +- 1`,
        })
      }
    for (const { name, k, late, order, wrong } of FURTHER) {
      const code = berrut({ k, late: Math.max(1, late), nodes: 'open', order, wrong })
      // Outputs of these models are logits of about 10
      const lies = wrong > 0 ? { wrong: { units: wrong, scale: 10 } } : {}
      const { seed } = context
      const value = 100 * evaluateMixed({ code, ...shuffled(task.test, seed), base: task.run, late, seed, ...lies })
      context.emit({
        case: `${set} berrut k=${k}, ${late} of ${code.n} late, ${name}`,
        metric: 'right',
        value,
        unit: '%',
      })
    }
  }
}
