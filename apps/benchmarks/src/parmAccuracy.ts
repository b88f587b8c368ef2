// Bench "parm-accuracy": how often reconstructions are right, on the papers' own base models and whole test sets.
import { pixelsToFloat, readBaseModel, readImages, type BaseModelName } from '@ft/datasets'
import {
  berrut,
  concat,
  createModelRunner,
  denseFromTorch,
  evaluateCode,
  evaluateMixed,
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
  /** Epochs with --quick. */
  readonly quick: number
}

const image = { height: 28, width: 28 }
const cases: readonly Case[] = [
  { set: 'mnist', code: sum({ k: 2 }), epochs: 30, quick: 20, target: '>= 92.0' },
  { set: 'mnist', code: concat({ k: 2, image }), epochs: 60, quick: 30, target: '>= 97.0' },
  { set: 'mnist', code: sum({ k: 3 }), epochs: 30, quick: 16, target: '>= 81' },
  { set: 'mnist', code: sum({ k: 4 }), epochs: 30, quick: 16, target: '>= 68' },
  { set: 'mnist', code: concat({ k: 4, image }), epochs: 60, quick: 25, target: '>= 75' },
  { set: 'fashion-mnist', code: concat({ k: 2, image }), epochs: 60, quick: 25, target: '>= 80' },
]
const models: Readonly<Record<Case['set'], BaseModelName>> = {
  mnist: 'mnist-base-mlp',
  'fashion-mnist': 'fashion-mnist-base-mlp',
}
/** Measured shares of right answers: [k, late, nodes 'open', nodes 'closed'] of k + max(1, late) units, random ones late. */
const BERRUT: Readonly<Record<Case['set'], readonly (readonly [number, number, number, number])[]>> = {
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
      measureBerrut(context, { set, task })
      for (const one of cases.filter((entry) => entry.set === set)) {
        const all: Accuracy[] = []
        for (const seed of seeds) all.push(await trainAndJudge(one, { task, seed, context }))
        report(context, { one, all })
      }
    }
    if (context.quick) context.note('--quick trains one seed and fewer epochs: the targets are for the full run')
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
  const run = createModelRunner(base)
  const scores = run(test.inputs).data
  let correct = 0
  test.labels.forEach((label, i) => {
    const row = scores.subarray(10 * i, 10 * i + 10)
    if (row.indexOf(Math.max(...row)) === label) correct++
  })
  return { base, run, train, test, correct, published: model.testCorrect }
}

/** Codes without training: every answer counts, random units are late. */
function measureBerrut(
  context: BenchContext,
  { set, task }: { set: Case['set']; task: Awaited<ReturnType<typeof load>> },
): void {
  for (const [k, late, ...published] of BERRUT[set])
    for (const [i, nodes] of (['open', 'closed'] as const).entries()) {
      const code = berrut({ k, late: Math.max(1, late), nodes })
      const value = 100 * evaluateMixed({ code, ...task.test, base: task.run, late, seed: context.seed })
      const measured = 100 * (published[i] as number)
      context.emit({
        case: `${set} berrut k=${k}, ${late} of ${code.n} late, ${nodes} nodes`,
        metric: 'right',
        value,
        unit: '%',
        baseline: { case: 'measured elsewhere', value: measured },
        ratio: value / measured,
        target: `${measured.toFixed(1)} +- 1`,
      })
    }
}

async function trainAndJudge(
  { set, code, epochs, quick }: Case,
  { task, seed, context }: { task: Awaited<ReturnType<typeof load>>; seed: number; context: BenchContext },
): Promise<Accuracy> {
  const trained = await trainParityModel(
    { base: task.base, code, ...task.train },
    {
      seed,
      epochs: context.quick ? quick : epochs,
      // A cell of a shrunken image is further from what the model knows: larger steps
      ...(code.name === 'concat' ? { learningRate: 4e-3 } : {}),
      onProgress: ({ done, total, note }) =>
        context.note(`${set} ${code.name} k=${code.k} seed ${seed}: epoch ${done}/${total}, ${note}`),
    },
  )
  return evaluateCode({ code, ...task.test, base: task.run, parity: createModelRunner(trained.layers) })
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
