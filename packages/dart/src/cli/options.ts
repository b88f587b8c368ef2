// Options that commands share, and their checks.
import { InvalidArgumentError, type Command } from 'commander'
import { dropoutPresets, type DropoutPreset, type TrainOptions } from '../options.ts'
import { objectiveNames, type ObjectiveName } from '../objectives/objective.ts'
import type { MetricName } from '../metrics.ts'
import type { DataFlags } from './files.ts'

export interface TrainFlags extends DataFlags {
  readonly objective: ObjectiveName
  readonly rounds: number
  readonly rate?: number
  readonly dropout: string
  readonly leaves?: number
  readonly depth?: number
  readonly minRows: number
  readonly l2: number
  readonly rowFraction: number
  readonly goss: boolean
  readonly metric?: string
  readonly seed: number
  readonly threads: number
  readonly json: boolean
  readonly quiet: boolean
}

export function number(text: string): number {
  const value = Number(text)
  if (text.trim() === '' || !Number.isFinite(value)) throw new InvalidArgumentError('must be a number')
  return value
}

export function whole(text: string): number {
  const value = number(text)
  if (!Number.isSafeInteger(value) || value < 0) throw new InvalidArgumentError('must be a whole number')
  return value
}

export function positive(text: string): number {
  const value = whole(text)
  if (value === 0) throw new InvalidArgumentError('must be a whole number from 1')
  return value
}

/** A share of the rows to hold out. */
export function share(text: string): number {
  const value = number(text)
  if (value < 0 || value >= 1) throw new InvalidArgumentError('must be a share of the rows, from 0 to below 1')
  return value
}

export function numbers(text: string): number[] {
  return text.split(',').map(number)
}

const collect = (value: string, all: string[]): string[] => [...all, value]

function objective(text: string): ObjectiveName {
  const found = objectiveNames.find((name) => name === text)
  if (!found) throw new InvalidArgumentError(`known are ${objectiveNames.join(', ')}`)
  return found
}

/** How data are read. */
export function withData(command: Command): Command {
  return command
    .option('--delimiter <char>', 'between the cells of a CSV file', ',')
    .option('--category <column>', 'read a column of numbers as categories; repeat it', collect, [])
    .option('--ignore <column>', 'leave a column out; repeat it', collect, [])
    .option('--json', 'one JSON object a line', false)
    .option('--quiet', 'results only', false)
}

/** How trees are trained. */
export function withTraining(command: Command): Command {
  return withData(command)
    .requiredOption('--label <column>', 'what is to be predicted (LibSVM files know: give any name)')
    .option('--group <column>', 'query of each row, for lambdarank; queries stand together')
    .option('--weight <column>', 'weight of each row')
    .option('--objective <name>', objectiveNames.join(', '), objective, 'squared')
    .option('--rounds <n>', 'boosting rounds', positive, 100)
    .option('--leaves <n>', 'grow leaf by leaf up to so many', positive)
    .option('--depth <n>', 'most levels of a tree', positive)
    .option('--min-rows <n>', 'fewest rows of a leaf', whole, 1)
    .option('--l2 <x>', 'L2 of leaf values', number, 1)
    .option('--row-fraction <x>', 'share of rows each tree sees', number, 1)
    .option('--goss', 'each tree sees the rows with large gradients and a tenth that stands for the others', false)
    .option('--metric <name>', 'default the objective’s; ndcg@10 and its like for rankings')
    .option('--seed <n>', 'seed of everything that is drawn', whole, 1)
    .option('--threads <n>', 'never changes the model', positive, 1)
}

/** Options of the library from those of the command. */
export function trainOptions(flags: TrainFlags): TrainOptions {
  return {
    objective: flags.objective,
    rounds: flags.rounds,
    minRows: flags.minRows,
    l2: flags.l2,
    rowFraction: flags.rowFraction,
    goss: flags.goss,
    seed: flags.seed,
    threads: flags.threads,
    ...(flags.leaves === undefined ? {} : { growth: 'leaf' as const, maxLeaves: flags.leaves }),
    ...(flags.depth === undefined ? {} : { maxDepth: flags.depth }),
    ...(flags.metric === undefined ? {} : { metric: flags.metric as MetricName }),
  }
}

/** 'none', a preset, or a drop rate. */
export function dropoutOf(text: string): NonNullable<TrainOptions['dropout']> {
  if (text === 'none') return false
  if (Object.hasOwn(dropoutPresets, text)) return text as DropoutPreset
  const dropRate = Number(text)
  if (text.trim() !== '' && dropRate >= 0 && dropRate <= 1) return { dropRate }
  throw new InvalidArgumentError(`must be none, a rate from 0 to 1, or ${Object.keys(dropoutPresets).join(', ')}`)
}
