// Part of bench "parm-accuracy": learned encoders and decoders around the deployed model, which stays as it is.
import { createModelRunner, evaluateCode, learned, trainLearnedCode, type Accuracy } from '@ft/parm'
import type { BenchContext } from './bench.ts'
import { reportAccuracy } from './parmAccuracyReport.ts'
import { firstOf, networkTask, perceptronTask, type Task } from './parmTasks.ts'

interface Case {
  readonly part: string
  readonly task: (context: BenchContext) => Promise<Task>
  readonly k: number
  readonly encoder: 'mlp' | 'conv'
  /** Narrower than published (k d units; 20 k channels), for the time that training takes on a processor. */
  readonly encoderWidth?: number
  readonly epochs: number
  readonly quick: number
  /** Training samples. */
  readonly samples: number
  readonly target?: string
}

const cases: readonly Case[] = [
  {
    part: 'learned-mnist-2',
    task: () => perceptronTask('mnist'),
    k: 2,
    encoder: 'mlp',
    epochs: 8,
    quick: 1,
    samples: 60_000,
    target: '>= 92',
  },
  {
    part: 'learned-mnist-5',
    task: () => perceptronTask('mnist'),
    k: 5,
    encoder: 'mlp',
    encoderWidth: 784,
    epochs: 20,
    quick: 1,
    samples: 60_000,
    target: 'published, all settings: 64 to 98',
  },
  {
    part: 'learned-fashion-mnist-2',
    task: () => perceptronTask('fashion-mnist'),
    k: 2,
    encoder: 'mlp',
    epochs: 8,
    quick: 1,
    samples: 60_000,
    target: 'published, all settings: 64 to 98',
  },
  {
    part: 'learned-cnn-mnist-2',
    task: (context) => networkTask('cnn-mnist', context),
    k: 2,
    encoder: 'conv',
    encoderWidth: 8,
    epochs: 8,
    quick: 1,
    samples: 30_000,
    target: 'published, all settings: 64 to 98',
  },
  {
    part: 'learned-cnn-cifar-10-2',
    task: (context) => networkTask('cnn-cifar-10', context),
    k: 2,
    encoder: 'conv',
    encoderWidth: 8,
    epochs: 10,
    quick: 1,
    samples: 10_000,
    target: 'published, all settings: 64 to 98',
  },
]

export const learnedParts: readonly string[] = cases.map(({ part }) => part)

/** Mean of three seeds; one with --quick. */
export async function measureLearned(context: BenchContext): Promise<void> {
  const seeds = context.quick ? [context.seed] : [0, 1, 2].map((i) => context.seed + i)
  for (const one of cases) {
    if (!context.wants(one.part)) continue
    const task = await one.task(context)
    const width = (one.encoderWidth ?? one.k * 784) / (one.encoder === 'conv' ? 1 : 784)
    context.note(`${one.part}: encoder of ${one.encoder === 'conv' ? `${width} channels` : `${width} d units`}`)
    const all: Accuracy[] = []
    for (const seed of seeds) all.push(await trainAndJudge(one, { task, seed, context }))
    reportAccuracy(context, { name: one.part.replaceAll('-', ' '), all, target: one.target })
  }
}

async function trainAndJudge(
  { part, k, encoder, encoderWidth, epochs, quick, samples }: Case,
  { task, seed, context }: { task: Task; seed: number; context: BenchContext },
): Promise<Accuracy> {
  const { image, train } = task
  const checkpoint = context.checkpoint(`${part}${context.quick ? '-quick' : ''}-${seed}`)
  const trained = await trainLearnedCode(
    { base: task.base, k, image, ...firstOf(train, context.quick ? 6000 : samples) },
    {
      seed,
      encoder,
      ...(checkpoint === undefined ? {} : { checkpoint }),
      ...(encoderWidth === undefined ? {} : { encoderWidth }),
      epochs: context.quick ? quick : epochs,
      validationSamples: 1000,
      onProgress: ({ done, total, note }) => context.note(`${part} seed ${seed}: epoch ${done}/${total}, ${note}`),
    },
  )
  const code = learned({ k, ...trained })
  // The parity query runs on the deployed model
  const accuracy = evaluateCode({ code, ...task.test, base: task.run, parity: createModelRunner(task.base) })
  const [degraded, available] = [accuracy.degraded, accuracy.available].map((share) => (100 * share).toFixed(2))
  context.note(`${part} seed ${seed}: ${degraded} of base ${available}, epoch ${trained.bestEpoch}`)
  return accuracy
}
