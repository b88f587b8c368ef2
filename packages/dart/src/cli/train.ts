// `train`: from a file to a model.
import type { Output } from '@ft/report'
import { createRandom } from '@ft/core/random'
import { takeRows } from '../data/rows.ts'
import { readData, type LabelledData } from '../readData.ts'
import { train, type TrainInput } from '../train.ts'
import { assertForm, assertWritable, readLabelled, writeModel } from './files.ts'
import { dropoutOf, trainOptions, type TrainFlags } from './options.ts'

export interface TrainCommandFlags extends TrainFlags {
  readonly valid?: string
  readonly validShare: number
  readonly earlyStopping?: number
  readonly out: string
}

export async function trainCommand(file: string, flags: TrainCommandFlags, output: Output): Promise<void> {
  // Before the training, not after it.
  assertWritable(flags.out)
  const labelled = readLabelled(file, flags)
  assertForm(flags.out, labelled)
  const { classes, ...data } = labelled
  const input: TrainInput = flags.valid
    ? { ...data, validation: readLabelled(flags.valid, flags, labelled) }
    : holdOut(data, flags.validShare, flags)
  output.settings(`train ${file}`, {
    rows: data.label.length,
    objective: flags.objective,
    dropout: flags.dropout,
    rounds: flags.rounds,
    validation: input.validation ? (flags.valid ?? `${flags.validShare * 100} % of the rows`) : 'none',
    seed: flags.seed,
  })
  if (classes) output.note(`labels are text: ${classes.map((name, code) => `${code} ${name}`).join(', ')}`)
  const trained = await train(input, {
    ...trainOptions(flags),
    dropout: dropoutOf(flags.dropout),
    trackTraining: true,
    onProgress: output.onProgress,
    ...(flags.rate === undefined ? {} : { learningRate: flags.rate }),
    ...(flags.earlyStopping === undefined ? {} : { earlyStopping: flags.earlyStopping }),
  })
  output.end()
  const { model, history, metric, bestRound } = trained
  const shown = history.filter(
    ({ round }) =>
      round === 1 || round === bestRound || round === history.length || round % Math.ceil(history.length / 8) === 0,
  )
  output.table(shown, [
    { header: 'round', value: ({ round }) => round, format: 'plain' },
    { header: `${metric} train`, value: (record) => record.train },
    { header: `${metric} validation`, value: ({ validation }) => validation },
    { header: 'dropped', value: ({ dropped }) => dropped, format: 'plain' },
    { header: 'leaves', value: ({ leaves }) => leaves, format: 'plain' },
  ])
  const form = writeModel(flags.out, model)
  const hasNames = model.featureLevels.some((levels) => levels !== undefined)
  if (hasNames && form !== 'own bytes') {
    output.note(`${form} keeps category codes, not their names: codes are ${JSON.stringify(levelsOf(trained.model))}`)
  }
  const best = history[bestRound - 1]
  output.result({
    command: 'train',
    metric,
    bestRound,
    trees: model.trees.length,
    validation: best?.validation ?? null,
    train: best?.train ?? null,
    out: flags.out,
    ...(classes ? { classes } : {}),
  })
  const value = best?.validation ?? best?.train
  output.conclusion(
    `${model.trees.length} trees of round ${bestRound}${value === undefined ? '' : `, ${metric} ${value.toPrecision(5)}`}: ${flags.out} (${form})`,
  )
}

function levelsOf({
  featureNames,
  featureLevels,
}: {
  featureNames: readonly string[]
  featureLevels: readonly (readonly string[] | undefined)[]
}) {
  return Object.fromEntries(
    featureNames.flatMap((name, column) => (featureLevels[column] ? [[name, featureLevels[column]]] : [])),
  )
}

/** Holds out a share of the rows, or of the queries. */
export function holdOut(data: LabelledData, share: number, flags: TrainFlags): TrainInput {
  if (share === 0) return data
  const [train_, validation] = splitRows(data, share, flags)
  return { ...train_, validation }
}

/** Two parts of a set, the second with about `share` of the rows or queries. */
export function splitRows(data: LabelledData, share: number, flags: TrainFlags): [LabelledData, LabelledData] {
  const ranking = flags.objective === 'lambdarank'
  const read = readData(data, { where: 'data', ranking })
  const random = createRandom(flags.seed).stream('held out')
  const out = new Uint8Array(read.matrix.rows)
  let row = 0
  for (const size of read.group ?? new Int32Array(read.matrix.rows).fill(1)) {
    const isOut = random.uniform() < share
    for (let i = 0; i < size; i++) out[row++] = Number(isOut)
  }
  return [takeRows(read, (at) => out[at] === 0, ranking), takeRows(read, (at) => out[at] === 1, ranking)]
}
