// Files of the command line: data and models, by the ending of their names.
import { readFileSync, writeFileSync } from 'node:fs'
import { extname } from 'node:path'
import { FtError } from '@ft/core'
import { serializeModel } from '@ft/onnx'
import { readCsv, readLibSvm } from '../data/csv.ts'
import { takeLabel } from '../data/split.ts'
import type { ColumnTable } from '../data/table.ts'
import { readLightgbm, writeLightgbm } from '../exchange/lightgbmText.ts'
import { loadModel, saveModel } from '../exchange/modelBytes.ts'
import { toOnnx } from '../exchange/onnx.ts'
import { readXgboost } from '../exchange/readXgboost.ts'
import { writeXgboost } from '../exchange/writeXgboost.ts'
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

/** Rows with labels; `classes` where labels are text. */
export function readLabelled(path: string, flags: DataFlags): LabelledData & { classes?: readonly string[] } {
  if (isSvm(path)) return readLibSvm(readText(path))
  let table = readTable(path, flags)
  const column = (name: string): Float64Array => {
    const taken = takeLabel(table, name)
    table = taken.features
    return taken.label
  }
  const group = flags.group === undefined ? undefined : runs(column(flags.group))
  const weight = flags.weight === undefined ? undefined : column(flags.weight)
  return { ...takeLabel(table, flags.label), ...(group ? { group } : {}), ...(weight ? { weight } : {}) }
}

/** Columns of a CSV file, without those to be ignored. */
export function readTable(path: string, flags: Pick<DataFlags, 'delimiter' | 'category' | 'ignore'>): ColumnTable {
  const kinds = Object.fromEntries(flags.category.map((name) => [name, 'category' as const]))
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

/** .json: XGBoost; .txt: LightGBM; any other: this package's own bytes. */
export function readModel(path: string): Model {
  switch (extname(path)) {
    case '.json':
      return readXgboost(readText(path))
    case '.txt':
      return readLightgbm(readText(path))
    default:
      return loadModel(readBytes(path))
  }
}

export function writeModel(path: string, model: Model): string {
  const [bytes, form] = modelBytes(extname(path), model)
  try {
    writeFileSync(path, bytes)
  } catch (cause) {
    throw new FtError('IO', `cannot write ${path}: ${(cause as Error).message}`, { path }, { cause })
  }
  return form
}

function modelBytes(ending: string, model: Model): [string | Uint8Array, string] {
  switch (ending) {
    case '.json':
      return [writeXgboost(model), 'XGBoost JSON']
    case '.txt':
      return [writeLightgbm(model), 'LightGBM text']
    case '.onnx':
      return [serializeModel(toOnnx(model)), 'ONNX']
    default:
      return [saveModel(model), 'own bytes']
  }
}
