// Part of bench "parm-accuracy": learned encoders and decoders around the deployed model, which stays as it is.
import { evaluateCode, learned, trainLearnedCode, type Accuracy } from '@ft/parm'
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
  /** Training samples. */
  readonly samples: number
  /** With --quick: what trains in about twenty seconds. */
  readonly quick: { readonly epochs: number; readonly samples: number }
  readonly target?: string
}

const cases: readonly Case[] = [
  {
    part: 'learned-mnist-2',
    task: () => perceptronTask('mnist'),
    k: 2,
    encoder: 'mlp',
    epochs: 8,
    quick: { epochs: 1, samples: 20_000 },
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
    quick: { epochs: 1, samples: 30_000 },
    samples: 60_000,
    target: 'published, all settings: 64 to 98',
  },
  {
    part: 'learned-fashion-mnist-2',
    task: () => perceptronTask('fashion-mnist'),
    k: 2,
    encoder: 'mlp',
    epochs: 8,
    quick: { epochs: 1, samples: 20_000 },
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
    quick: { epochs: 1, samples: 12_000 },
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
    quick: { epochs: 1, samples: 4000 },
    samples: 10_000,
    target: 'published, all settings: 64 to 98',
  },
]

/** Encoding the whole test set takes as long as an epoch. */
const QUICK_TEST = 2000

export const learnedParts: readonly string[] = cases.map(({ part }) => part)

/** Mean of three seeds; one with --quick. */
export async function measureLearned(context: BenchContext): Promise<void> {
  const seeds = context.quick ? [context.seed] : [0, 1, 2].map((i) => context.seed + i)
  for (const one of cases) {
    if (!context.wants(one.part)) continue
    const task = await one.task(context)
    const width = (one.encoderWidth ?? one.k * 784) / (one.encoder === 'conv' ? 1 : 784)
    context.note(`${one.part}: encoder of ${one.encoder === 'conv' ? `${width} channels` : `${width} d units`}`)
    if (context.quick) {
      const { epochs, samples } = one.quick
      context.note(
        `${one.part}: ${epochs} of ${one.epochs} epochs on ${samples} of ${one.samples} samples, judged on ${QUICK_TEST} of the test set: well below the full run's figure`,
      )
    }
    const all: Accuracy[] = []
    for (const seed of seeds) all.push(await trainAndJudge(one, { task, seed, context }))
    reportAccuracy(context, { name: one.part.replaceAll('-', ' '), all, target: one.target })
  }
}

async function trainAndJudge(
  { part, k, encoder, encoderWidth, quick, ...full }: Case,
  { task, seed, context }: { task: Task; seed: number; context: BenchContext },
): Promise<Accuracy> {
  const { image, train } = task
  const { epochs, samples } = context.quick ? quick : full
  const checkpoint = context.checkpoint(`${part}${context.quick ? '-quick' : ''}-${seed}`)
  const trained = await trainLearnedCode(
    { base: task.base, k, image, ...firstOf(train, samples) },
    {
      seed,
      encoder,
      ...(checkpoint === undefined ? {} : { checkpoint }),
      ...(encoderWidth === undefined ? {} : { encoderWidth }),
      epochs,
      validationSamples: 1000,
      onProgress: ({ done, total, note }) => context.note(`${part} seed ${seed}: epoch ${done}/${total}, ${note}`),
    },
  )
  const test = context.quick ? firstOf(task.test, QUICK_TEST) : task.test
  // The parity query runs on the deployed model
  const accuracy = evaluateCode({ code: learned(trained), ...test, base: task.run, parity: task.run })
  const [degraded, available] = [accuracy.degraded, accuracy.available].map((share) => (100 * share).toFixed(2))
  context.note(`${part} seed ${seed}: ${degraded} of base ${available}, epoch ${trained.bestEpoch}`)
  return accuracy
}
