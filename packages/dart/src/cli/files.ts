// Files of the command line: data and models, by the ending of their names.
import { readFileSync, writeFileSync } from 'node:fs'
import { extname } from 'node:path'
import { FtError } from '@ft/core'
import { serializeModel } from '@ft/onnx'
import { readCsv, readLibSvm, type CsvOptions } from '../data/csv.ts'
import { takeLabel } from '../data/split.ts'
import type { ColumnTable } from '../data/table.ts'
import { readLightgbm, writeLightgbm } from '../exchange/lightgbmText.ts'
import { loadModel, saveModel } from '../exchange/modelBytes.ts'
import { toOnnx } from '../exchange/onnx.ts'
import { readXgboost } from '../exchange/readXgboost.ts'
import { writeXgboost, writeXgboostUbjson } from '../exchange/writeXgboost.ts'
import type { Model } from '../model.ts'
import type { LabelledData } from '../readData.ts'

function readBytes(path: string): Uint8Array {
  try {
    return readFileSync(path)
  } catch (cause) {
    throw new FtError('IO', `cannot read ${path}: ${(cause as Error).message}`, { path }, { cause })
  }
}

const readText = (path: string): string => new TextDecoder().decode(readBytes(path))
const isSvm = (path: string): boolean => ['.svm', '.libsvm', '.txt', '.letor'].includes(extname(path))

export interface DataFlags {
  readonly label: string
  readonly group?: string
  readonly weight?: string
  readonly delimiter: string
  readonly category: readonly string[]
  readonly ignore: readonly string[]
}

/** `classes` where labels are text. */
export type LabelledFile = LabelledData & { readonly classes?: readonly string[] }

/**
 * Rows with labels.
 *
 * @param like - the training file, for files that are judged beside it: text labels are numbered as there
 * @throws FtError `INVALID_ARGUMENT` for a class that the training file lacks; `CORRUPT_DATA` for text where it has numbers
 */
export function readLabelled(path: string, flags: DataFlags, like?: LabelledFile): LabelledFile {
  if (isSvm(path)) {
    if (!like?.classes) return readLibSvm(readText(path))
    throw new FtError('INVALID_ARGUMENT', `${path}: labels of LibSVM are numbers, those of the training file text`)
  }
  const kind = like && { [flags.label]: like.classes ? ('category' as const) : ('number' as const) }
  let table = readTable(path, flags, kind)
  const column = (name: string): Float64Array => {
    const taken = takeLabel(table, name)
    table = taken.features
    return taken.label
  }
  const group = flags.group === undefined ? undefined : runs(column(flags.group))
  const weight = flags.weight === undefined ? undefined : column(flags.weight)
  const labelled = takeLabel(table, flags.label, like?.classes ? { classes: like.classes } : {})
  return { ...labelled, ...(group ? { group } : {}), ...(weight ? { weight } : {}) }
}

/** Columns of a CSV file, without those to be ignored. */
export function readTable(
  path: string,
  flags: Pick<DataFlags, 'delimiter' | 'category' | 'ignore'>,
  known: CsvOptions['kinds'] = {},
): ColumnTable {
  const kinds = { ...Object.fromEntries(flags.category.map((name) => [name, 'category' as const])), ...known }
  const table = readCsv(readText(path), { delimiter: flags.delimiter, kinds })
  return { ...table, columns: table.columns.filter(({ name }) => !flags.ignore.includes(name)) }
}

/** Features to predict: CSV by name, or LibSVM rows. */
export function readFeatures(path: string, flags: Pick<DataFlags, 'delimiter' | 'category' | 'ignore'>) {
  return isSvm(path) ? readLibSvm(readText(path)).features : readTable(path, flags)
}

/** Sizes of runs of equal values: queries that stand together. */
function runs(keys: Float64Array): number[] {
  const sizes: number[] = []
  keys.forEach((key, row) => {
    if (row > 0 && key === keys[row - 1]) sizes[sizes.length - 1] = (sizes.at(-1) as number) + 1
    else sizes.push(1)
  })
  return sizes
}

/** .json, .ubj: XGBoost; .txt: LightGBM; any other: this package's own bytes. */
export function readModel(path: string): Model {
  switch (extname(path)) {
    case '.json':
    case '.ubj':
      return readXgboost(readBytes(path))
    case '.txt':
      return readLightgbm(readText(path))
    default:
      return loadModel(readBytes(path))
  }
}

export function writeModel(path: string, model: Model): string {
  const [bytes, form] = modelBytes(extname(path), model)
  writeOut(path, bytes)
  return form
}

export function writeOut(path: string, content: string | Uint8Array): void {
  try {
    writeFileSync(path, content)
  } catch (cause) {
    throw new FtError('IO', `cannot write ${path}: ${(cause as Error).message}`, { path }, { cause })
  }
}

function modelBytes(ending: string, model: Model): [string | Uint8Array, string] {
  switch (ending) {
    case '.json':
      return [writeXgboost(model), 'XGBoost JSON']
    case '.ubj':
      return [writeXgboostUbjson(model), 'XGBoost UBJSON']
    case '.txt':
      return [writeLightgbm(model), 'LightGBM text']
    case '.onnx':
      return [serializeModel(toOnnx(model)), 'ONNX']
    default:
      return [saveModel(model), 'own bytes']
  }
}
