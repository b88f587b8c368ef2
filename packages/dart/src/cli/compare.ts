// `compare`: MART beside DART on equal terms.
import type { Output } from '@ft/report'
import { compare } from '../compare.ts'
import { dropoutOf, trainOptions, type TrainFlags } from './options.ts'
import { readLabelled } from './files.ts'
import { splitRows } from './train.ts'

export interface CompareFlags extends TrainFlags {
  readonly test?: string
  readonly testShare: number
  readonly rates: readonly number[]
  readonly folds: number
  readonly seeds: readonly number[]
  readonly drops: string
}

export async function compareCommand(file: string, flags: CompareFlags, output: Output): Promise<void> {
  const data = readLabelled(file, flags)
  const [training, test] = flags.test
    ? [data, readLabelled(flags.test, flags, data)]
    : splitRows(data, flags.testShare, flags)
  const drops = flags.drops.split(',')
  output.settings(`compare ${file}`, {
    objective: flags.objective,
    rounds: flags.rounds,
    rates: flags.rates.join(' '),
    folds: flags.folds,
    seeds: flags.seeds.join(' '),
    test: flags.test ?? `${flags.testShare * 100} % of the rows`,
  })
  const { seed: _, ...options } = trainOptions(flags)
  const methods = Object.fromEntries([
    ['MART', { dropout: false as const }],
    ...drops.map((drop) => [`DART ${drop}`, { dropout: dropoutOf(drop) }] as const),
  ])
  const {
    metric,
    better,
    methods: found,
  } = await compare(
    { train: training, test },
    {
      ...options,
      methods,
      learningRates: flags.rates,
      folds: flags.folds,
      seeds: flags.seeds,
      onProgress: output.onProgress,
    },
  )
  output.end()
  output.table(found, [
    { header: 'method', value: ({ method }) => method },
    { header: 'rate', value: ({ learningRate }) => learningRate },
    { header: 'rounds', value: ({ rounds }) => rounds, format: 'plain' },
    { header: `${metric} by folds`, value: ({ validated }) => validated.mean, digits: 5 },
    { header: '± se', value: ({ validated }) => validated.standardError, digits: 2 },
    { header: `${metric} on test`, value: ({ testMean }) => testMean, digits: 5 },
    { header: '± se over seeds', value: ({ testStandardError }) => testStandardError, digits: 2 },
  ])
  const rounds = [10, 25, 50, 100, 250, 500].filter((round) => round <= flags.rounds)
  output.text(`${metric} by folds, after so many rounds:`)
  output.table(found, [
    { header: 'method', value: ({ method }) => method },
    ...rounds.map((round) => ({
      header: String(round),
      value: ({ curve }: (typeof found)[number]) => curve[round - 1],
      digits: 5,
    })),
  ])
  for (const { curve, ...rest } of found) output.result({ command: 'compare', metric, ...rest, curve: [...curve] })
  const sign = better === 'lower' ? 1 : -1
  const [first, second] = [...found].sort((a, b) => sign * (a.testMean - b.testMean))
  if (!first || !second) return
  const gap = Math.abs(first.testMean - second.testMean)
  const noise = 2 * Math.hypot(first.testStandardError, second.testStandardError)
  const verdict = gap > noise ? 'is ahead' : 'is ahead by less than two standard errors over seeds: a tie'
  output.conclusion(
    `${first.method} ${verdict}: ${metric} ${first.testMean.toPrecision(5)} against ${second.testMean.toPrecision(5)}.`,
  )
}
