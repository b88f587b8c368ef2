// Bench "parm-accuracy": how often reconstructions are right, on the papers' own base models and on networks trained here.
import {
  concat,
  createModelRunner,
  evaluateCode,
  sum,
  trainParityModel,
  weighted,
  type Accuracy,
  type Code,
} from '@ft/parm'
import type { Bench, BenchContext } from './bench.ts'
import { reportAccuracy } from './parmAccuracyReport.ts'
import { measureBerrut } from './parmBerrut.ts'
import { learnedParts, measureLearned } from './parmLearned.ts'
import { measureLinear } from './parmLinear.ts'
import { networkTask, perceptronTask, type NetworkName, type PerceptronName, type Task } from './parmTasks.ts'

interface Case {
  readonly task: PerceptronName | NetworkName
  readonly kind: 'sum' | 'concat' | 'weighted' | 'difference'
  readonly k: 2 | 3 | 4
  /** Parities, each with a model of its own. Default 1. */
  readonly r?: number
  readonly epochs: number
  /** Epochs with --quick. */
  readonly quick: number
  readonly target?: string
}

const cases: readonly Case[] = [
  { task: 'mnist', kind: 'sum', k: 2, epochs: 60, quick: 6, target: '>= 92.0' },
  { task: 'mnist', kind: 'concat', k: 2, epochs: 60, quick: 6, target: '>= 97.0' },
  { task: 'mnist', kind: 'sum', k: 3, epochs: 60, quick: 6, target: '>= 81' },
  { task: 'mnist', kind: 'sum', k: 4, epochs: 60, quick: 6, target: '>= 68' },
  { task: 'mnist', kind: 'concat', k: 4, epochs: 60, quick: 6, target: '>= 75' },
  { task: 'mnist', kind: 'weighted', k: 2, r: 2, epochs: 60, quick: 3 },
  { task: 'mnist', kind: 'difference', k: 2, r: 2, epochs: 60, quick: 3 },
  { task: 'mnist', kind: 'weighted', k: 4, r: 2, epochs: 60, quick: 4 },
  { task: 'fashion-mnist', kind: 'concat', k: 2, epochs: 60, quick: 6, target: '>= 80' },
  { task: 'cnn-mnist', kind: 'concat', k: 2, epochs: 25, quick: 5, target: 'base - 1.5' },
  { task: 'cnn-fashion-mnist', kind: 'concat', k: 2, epochs: 25, quick: 5 },
  { task: 'cnn-cifar-10', kind: 'concat', k: 2, epochs: 40, quick: 4 },
  { task: 'speech', kind: 'sum', k: 2, epochs: 30, quick: 10, target: 'base - 10' },
  { task: 'boxes', kind: 'sum', k: 2, epochs: 25, quick: 10, target: '>= half of what base gains over the mean box' },
]
const partOf = ({ task, kind, k }: Case) => `${task}-${kind}-${k}`
const nameOf = ({ task, kind, k, r }: Case) => `${task} ${kind} k=${k}${r === undefined ? '' : ` r=${r}`}`
const perceptrons = ['mnist', 'fashion-mnist'] as const
const isPerceptron = (task: Case['task']): task is PerceptronName => (perceptrons as readonly string[]).includes(task)

export const parmAccuracy: Bench = {
  name: 'parm-accuracy',
  title: 'Accuracy of reconstructions, every single erasure, whole test sets (percent)',
  parts: ['base', 'linear', 'berrut', ...cases.map(partOf), ...learnedParts],
  async run(context) {
    if (context.wants('base')) await countRight(context)
    if (context.wants('linear')) await measureLinear(context)
    if (context.wants('berrut')) await measureBerrut(context)
    const seeds = context.quick ? [context.seed] : [0, 1, 2].map((i) => context.seed + i)
    for (const one of cases.filter((entry) => context.wants(partOf(entry)))) {
      const task = isPerceptron(one.task) ? await perceptronTask(one.task) : await networkTask(one.task, context)
      const all: Accuracy[] = []
      for (const seed of seeds) all.push(await trainAndJudge(one, { task, seed, context }))
      reportAccuracy(context, { name: nameOf(one), all, target: one.target })
    }
    await measureLearned(context)
    if (context.quick)
      context.note('--quick trains one seed, fewer epochs and on fewer samples: the targets are for the full run')
  },
}

/** Base models that answer as published. */
async function countRight(context: BenchContext): Promise<void> {
  for (const set of perceptrons) {
    const { run, test, published } = await perceptronTask(set)
    const scores = run(test.inputs).data
    let value = 0
    test.labels.forEach((label, i) => {
      const row = scores.subarray(10 * i, 10 * i + 10)
      if (row.indexOf(Math.max(...row)) === label) value++
    })
    const target = `= ${published}`
    context.emit({ case: `${set} base`, metric: 'right of 10,000', value, unit: 'images', target })
  }
}

async function trainAndJudge(
  one: Case,
  { task, seed, context }: { task: Task; seed: number; context: BenchContext },
): Promise<Accuracy> {
  const { kind, epochs, quick, r = 1 } = one
  const code = codeOf(one, task)
  const samples = task.train.inputs.shape[0] as number
  const models: ReturnType<typeof createModelRunner>[] = []
  const bestEpochs: number[] = []
  for (let parity = 0; parity < r; parity++) {
    const name = `${nameOf(one)}${r === 1 ? '' : ` parity ${parity}`} seed ${seed}`
    const row = r === 1 ? '' : `-parity-${parity}`
    const checkpoint = context.checkpoint(`${partOf(one)}${row}${context.quick ? '-quick' : ''}-${seed}`)
    const trained = await trainParityModel(
      { base: task.base, code, ...task.train },
      {
        seed,
        ...(r === 1 ? {} : { parity }),
        ...(checkpoint === undefined ? {} : { checkpoint }),
        epochs: context.quick ? quick : epochs,
        // Small sets: more steps an epoch, and fewer samples to judge epochs by
        ...(samples < 5000 ? { groupsPerBatch: 32 } : {}),
        validationSamples: Math.min(5000, Math.floor(samples / 10)),
        // A cell of a shrunken image is further from what the model knows: larger steps
        ...(kind === 'concat' && isPerceptron(one.task) ? { learningRate: 4e-3 } : {}),
        // Other forms of an image have other outputs: the deployed model says which
        ...(task.augment ? { augment: task.augment, targets: 'fresh' as const } : {}),
        onProgress: ({ done, total, note }) => context.note(`${name}: epoch ${done}/${total}, ${note}`),
      },
    )
    models.push(createModelRunner(trained.layers))
    bestEpochs.push(trained.bestEpoch)
  }
  const accuracy = evaluateCode({ code, ...task.test, base: task.run, parity: models })
  const [degraded, available] = [accuracy.degraded, accuracy.available].map((share) => (100 * share).toFixed(2))
  context.note(`${nameOf(one)} seed ${seed}: ${degraded} of base ${available}, epoch ${bestEpochs.join(', ')}`)
  return accuracy
}

function codeOf({ kind, k, r = 1 }: Case, { image }: Task): Code {
  switch (kind) {
    case 'sum':
      return sum({ k })
    case 'concat':
      return concat({ k: k as 2 | 4, image })
    case 'weighted':
      return weighted({ k, r })
    case 'difference':
      // Both lost, each parity's error counts by half; by the default weights (1, 1) and (1, 2) up to twice
      return weighted({
        k,
        r,
        coefficients: [
          [1, 1],
          [1, -1],
        ],
      })
  }
}
