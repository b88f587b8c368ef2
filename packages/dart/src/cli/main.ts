#!/usr/bin/env node
// npx @ft/dart: trains, predicts with, looks into and compares boosted trees, on the command line.
import process from 'node:process'
import { Command, Option } from 'commander'
import { isFtError } from '@ft/core'
import { createOutput, terminalFromEnvironment, type Output } from '@ft/report'
import { predict } from '../predict.ts'
import { compareCommand, type CompareFlags } from './compare.ts'
import { assertWritable, readFeatures, readModel, unseenCategories, writeOut, type DataFlags } from './files.ts'
import { inspectCommand, type InspectFlags } from './inspect.ts'
import { dropoutOf, number, numbers, positive, share, whole, withData, withTraining } from './options.ts'
import { trainCommand, type TrainCommandFlags } from './train.ts'

const program = new Command('dart')
  .description('Boosted trees with dropout: train, predict, inspect, compare')
  // Wrong use ends with 2, as a bad file does.
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))

const checkedDropout = (text: string): string => {
  dropoutOf(text)
  return text
}

withTraining(program.command('train <data>'))
  .description(
    'trains on a CSV or LibSVM file and writes a model: .json or .ubj XGBoost, .txt LightGBM, .onnx, else own bytes',
  )
  .option('--rate <x>', 'learning rate; default 0.4 with dropout, 0.1 without', number)
  .option('--dropout <rule>', 'none, a rate, or paper, epsilon, xgboost, lightgbm', checkedDropout, '0.03')
  .option('--valid <file>', 'rows to judge each round by')
  .option('--valid-share <x>', 'or a share of the rows, held out', share, 0)
  .option('--early-stopping <n>', 'stop after so many rounds without gain; the best round is restored', positive)
  .option('--out <file>', 'the model', 'model.dart')
  .action((data: string, flags: TrainCommandFlags) => run(flags, (output) => trainCommand(data, flags, output)))

withData(program.command('predict <model> <data>'))
  .description('writes one line a row: answers, raw scores or leaf numbers')
  .addOption(new Option('--output <kind>', 'what to write').choices(['answer', 'raw', 'leaf']).default('answer'))
  .option('--out <file>', 'default standard output')
  .action((model: string, data: string, flags: PredictFlags) =>
    run(flags, (output) => predictCommand(model, data, flags, output)),
  )

program
  .command('inspect <model>')
  .description('what a model is made of, and which features it leans on')
  .option('--tree <n>', 'print a tree', whole)
  .option('--svg <file>', 'draw that tree, or the first')
  .option('--dot <file>', 'write it for Graphviz')
  .option('--top <n>', 'so many features', whole, 20)
  .option('--json', 'one JSON object a line', false)
  .action((model: string, flags: InspectFlags & { json: boolean }) =>
    run({ ...flags, quiet: false }, (output) => inspectCommand(model, flags, output)),
  )

withTraining(program.command('compare <data>'))
  .description('MART beside DART: rates and rounds by cross-validation on the training part, the test part only judges')
  .option('--test <file>', 'rows to judge by')
  .option('--test-share <x>', 'or a share of the rows, held out', share, 0.25)
  .option('--drops <list>', 'dropout rules to try', '0.03,0.1')
  .option('--rates <list>', 'learning rates to choose from', numbers, [0.05, 0.1, 0.2, 0.4, 1])
  .option('--folds <n>', 'of the cross-validation', positive, 5)
  .option('--seeds <list>', 'of the final trainings', numbers, [1, 2, 3])
  .action((data: string, flags: CompareFlags) => run(flags, (output) => compareCommand(data, flags, output)))

program.addHelpText(
  'after',
  '\nExamples:\n' +
    '  dart train flats.csv --label price --valid-share 0.2 --early-stopping 30 --out model.dart\n' +
    '  dart predict model.dart new.csv > prices.csv\n' +
    '  dart compare flats.csv --label price --rounds 200\n' +
    '\nFiles: CSV with a header, LibSVM and LETOR (.svm, .libsvm, .letor, .txt); UTF-8, or UTF-16 with its mark; gzip as well.',
)

await program.parseAsync()

interface PredictFlags extends Pick<DataFlags, 'delimiter' | 'category' | 'ignore'> {
  readonly output: 'answer' | 'raw' | 'leaf'
  readonly out?: string
  readonly json: boolean
  readonly quiet: boolean
}

function predictCommand(modelFile: string, data: string, flags: PredictFlags, report: Output): void {
  const { output } = flags
  if (flags.out !== undefined) assertWritable(flags.out)
  const model = readModel(modelFile)
  const features = readFeatures(data, flags, model)
  if (!('data' in features)) for (const line of unseenCategories(model, features)) report.note(line)
  const values = predict(model, features, { output })
  const width = output === 'leaf' ? model.trees.length : model.outputs
  const lines: string[] = []
  for (let at = 0; at < values.length; at += width) lines.push([...values.subarray(at, at + width)].join(','))
  const text = lines.map((line) => (flags.json ? `[${line}]` : line)).join('\n')
  if (flags.out === undefined) process.stdout.write(`${text}\n`)
  else writeOut(flags.out, `${text}\n`)
}

async function run(
  flags: { readonly json: boolean; readonly quiet: boolean },
  command: (output: Output) => void | Promise<void>,
): Promise<void> {
  const output = createOutput({
    stdout: process.stdout,
    stderr: process.stderr,
    json: flags.json,
    quiet: flags.quiet,
    ...terminalFromEnvironment({ json: flags.json }),
  })
  try {
    await command(output)
  } catch (error) {
    if (!isFtError(error)) throw error
    output.end()
    process.stderr.write(`${error.message}\n`)
    process.exitCode = 2
  }
}
