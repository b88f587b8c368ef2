// Bench "parm-accuracy": how often reconstructions are right, on the papers' own base models and whole test sets.
import { pixelsToFloat, readBaseModel, readImages, type BaseModelName } from '@ft/datasets'
import {
  concat,
  createDenseRunner,
  denseFromTorch,
  evaluateCode,
  sum,
  trainParityModel,
  type Accuracy,
  type Code,
} from '@ft/parm'
import type { Bench, BenchContext } from './bench.ts'

interface Case {
  readonly set: 'mnist' | 'fashion-mnist'
  readonly code: Code
  readonly epochs: number
  readonly target?: string
  /** Also run with --quick. */
  readonly quick?: boolean
}

const image = { height: 28, width: 28 }
const cases: readonly Case[] = [
  { set: 'mnist', code: sum({ k: 2 }), epochs: 20, target: '>= 92.0', quick: true },
  { set: 'mnist', code: concat({ k: 2, image }), epochs: 50, target: '>= 97.0', quick: true },
  { set: 'mnist', code: sum({ k: 3 }), epochs: 20, target: '>= 81' },
  { set: 'mnist', code: sum({ k: 4 }), epochs: 20, target: '>= 68' },
  { set: 'mnist', code: concat({ k: 4, image }), epochs: 50, target: '>= 75' },
  { set: 'fashion-mnist', code: concat({ k: 2, image }), epochs: 50, target: '>= 80' },
]
const models: Readonly<Record<Case['set'], BaseModelName>> = {
  mnist: 'mnist-base-mlp',
  'fashion-mnist': 'fashion-mnist-base-mlp',
}
/** With --quick: so many epochs, whatever a case says. Its figures are then lower than the targets. */
const QUICK_EPOCHS = 3

export const parmAccuracy: Bench = {
  name: 'parm-accuracy',
  title: 'Accuracy of reconstructions, every single erasure, 10,000 test images (percent)',
  async run(context) {
    const seeds = context.quick ? [context.seed] : [0, 1, 2].map((i) => context.seed + i)
    for (const set of ['mnist', 'fashion-mnist'] as const) {
      const task = await load(set)
      context.emit({
        case: `${set} base`,
        metric: 'right of 10,000',
        value: task.correct,
        unit: 'images',
        target: `= ${task.published}`,
      })
      for (const one of cases.filter((entry) => entry.set === set && (!context.quick || entry.quick))) {
        const all: Accuracy[] = []
        for (const seed of seeds) all.push(await trainAndJudge(one, { task, seed, context }))
        report(context, { one, all })
      }
    }
    if (context.quick) context.note(`--quick trains ${QUICK_EPOCHS} epochs: the targets are for the full run`)
  },
}

async function load(set: Case['set']) {
  const model = await readBaseModel(models[set])
  const base = denseFromTorch(model.tensors.map(({ tensor }) => tensor))
  const part = async (name: 'train' | 'test') => {
    const { images, labels } = await readImages(set, { part: name })
    return { inputs: { ...pixelsToFloat(images), shape: [labels.length, 784] }, labels }
  }
  const [train, test] = [await part('train'), await part('test')]
  const run = createDenseRunner(base)
  const scores = run(test.inputs).data
  let correct = 0
  test.labels.forEach((label, i) => {
    const row = scores.subarray(10 * i, 10 * i + 10)
    if (row.indexOf(Math.max(...row)) === label) correct++
  })
  return { base, run, train, test, correct, published: model.testCorrect }
}

async function trainAndJudge(
  { set, code, epochs }: Case,
  { task, seed, context }: { task: Awaited<ReturnType<typeof load>>; seed: number; context: BenchContext },
): Promise<Accuracy> {
  const trained = await trainParityModel(
    { base: task.base, code, ...task.train },
    {
      seed,
      epochs: context.quick ? QUICK_EPOCHS : epochs,
      onProgress: ({ done, total, note }) =>
        context.note(`${set} ${code.name} k=${code.k} seed ${seed}: epoch ${done}/${total}, ${note}`),
    },
  )
  return evaluateCode({ code, ...task.test, base: task.run, parity: createDenseRunner(trained.layers) })
}

function report(context: BenchContext, { one, all }: { one: Case; all: readonly Accuracy[] }): void {
  const percent = (of: (accuracy: Accuracy) => number) =>
    (100 * all.reduce((total, accuracy) => total + of(accuracy), 0)) / all.length
  const name = `${one.set} ${one.code.name} k=${one.code.k}`
  const common = { case: name, unit: '%', n: all.length }
  const degraded = all.map((accuracy) => 100 * accuracy.degraded)
  const value = percent(({ degraded: share }) => share)
  context.emit({
    ...common,
    metric: 'degraded',
    value,
    baseline: { case: 'base', value: percent(({ available }) => available) },
    ratio: value / percent(({ available }) => available),
    ...(one.target ? { target: one.target } : {}),
  })
  context.emit({ ...common, metric: 'degraded, lowest seed', value: Math.min(...degraded) })
  all[0]?.degradedByPosition.forEach((_, i) =>
    context.emit({
      ...common,
      metric: `degraded, position ${i}`,
      value: percent((accuracy) => accuracy.degradedByPosition[i] ?? 0),
    }),
  )
  all[0]?.overall.forEach(({ unavailable }, i) =>
    context.emit({
      ...common,
      metric: `overall, ${100 * unavailable} % lost`,
      value: percent((accuracy) => accuracy.overall[i]?.coded ?? 0),
      baseline: { case: 'default answer', value: percent((accuracy) => accuracy.overall[i]?.defaultAnswer ?? 0) },
    }),
  )
}
