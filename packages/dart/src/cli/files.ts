// Files of the command line: data and models, by the ending of their names.
import { accessSync, constants, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, extname } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { FtError, inFile } from '@ft/core'
import { serializeModel } from '@ft/onnx'
import { readCsv, readLibSvm, type CsvOptions } from '../data/csv.ts'
import { takeLabel } from '../data/split.ts'
import type { Matrix } from '../data/matrix.ts'
import { isMissing, type ColumnTable } from '../data/table.ts'
import { readLightgbm, writeLightgbm } from '../exchange/lightgbmText.ts'
import { loadModel, saveModel } from '../exchange/modelBytes.ts'
import { toOnnx } from '../exchange/onnx.ts'
import { readXgboost } from '../exchange/readXgboost.ts'
import { writeXgboost, writeXgboostUbjson } from '../exchange/writeXgboost.ts'
import type { Model } from '../model.ts'
import type { ObjectiveName } from '../objectives/objective.ts'
import type { LabelledData } from '../readData.ts'

function readBytes(path: string): Uint8Array {
  try {
    return readFileSync(path)
  } catch (cause) {
    throw new FtError('IO', `cannot read ${path}: ${(cause as Error).message}`, { path }, { cause })
  }
}

/**
 * A file's text: UTF-8, or UTF-16 with its byte order mark; gzip is unpacked, whatever the name.
 *
 * @throws FtError `CORRUPT_DATA` for other encodings, whose letters would become one and the same sign, and broken gzip
 */
function readText(path: string): string {
  let bytes = readBytes(path)
  const starts = (a: number, b: number) => bytes[0] === a && bytes[1] === b
  try {
    if (starts(0x1f, 0x8b)) bytes = gunzipSync(bytes)
  } catch (cause) {
    throw new FtError('CORRUPT_DATA', `${path}: broken gzip: ${(cause as Error).message}`, { path }, { cause })
  }
  const encoding = starts(0xff, 0xfe) ? 'utf-16le' : starts(0xfe, 0xff) ? 'utf-16be' : 'utf-8'
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes)
  } catch (cause) {
    throw new FtError(
      'CORRUPT_DATA',
      `${path} is not text in ${encoding.toUpperCase()}; convert it first`,
      { path },
      { cause },
    )
  }
}

/** By the ending; `.gz` behind it does not count. */
const isSvm = (path: string): boolean =>
  ['.svm', '.libsvm', '.txt', '.letor'].includes(extname(path.replace(/\.gz$/, '')))

export interface DataFlags {
  readonly label: string
  readonly objective: ObjectiveName
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
  const known = like?.features as ColumnTable | Matrix | undefined
  if (isSvm(path)) {
    if (like?.classes) {
      throw new FtError('INVALID_ARGUMENT', `${path}: labels of LibSVM are numbers, those of the training file text`)
    }
    // Of a file alone only the columns that a row names are known.
    const { columns } = known ?? {}
    const text = readText(path)
    return inFile(path, () => readLibSvm(text, typeof columns === 'number' ? { columns } : {}))
  }
  const kinds = {
    ...(flags.weight === undefined ? {} : { [flags.weight]: 'number' as const }),
    ...(like ? { [flags.label]: like.classes ? ('category' as const) : ('number' as const) } : {}),
  }
  // What the training file leaves out need not be in the others.
  let table = readTable(path, flags, {
    kinds,
    ...(known && 'columns' in known && !('data' in known) ? { like: known } : {}),
    strict: !like,
  })
  const column = (name: string): Float64Array => {
    const taken = takeLabel(table, name)
    table = taken.features
    return taken.label
  }
  return inFile(path, () => {
    const group = flags.group === undefined ? undefined : runs(column(flags.group))
    const weight = flags.weight === undefined ? undefined : column(flags.weight)
    if (!ofClasses.has(flags.objective)) refuseText(table, flags)
    const labelled = takeLabel(table, flags.label, like?.classes ? { classes: like.classes } : {})
    return { ...labelled, ...(group ? { group } : {}), ...(weight ? { weight } : {}) }
  })
}

/** Objectives whose labels may be names. */
const ofClasses: ReadonlySet<ObjectiveName> = new Set(['logistic', 'softmax'])

/** One slip of the pen makes a column of numbers text, whose class numbers would be learned in place of what they stand for. */
function refuseText({ columns }: ColumnTable, { label, objective }: DataFlags): void {
  const column = columns.find(({ name }) => name === label)
  if (column?.kind !== 'category') return
  const row = Array.from(column.values).findIndex((value) => !isMissing(value) && Number.isNaN(Number(value)))
  const what = row < 0 ? `${label} is to be read as categories` : `row ${row}: ${label} is '${column.values[row]}'`
  const message = `${what}; ${objective} takes numbers (logistic and softmax names of classes)`
  throw new FtError('INVALID_ARGUMENT', message, { row, column: label })
}

interface TableOptions extends Pick<CsvOptions, 'kinds' | 'like'> {
  /** Whether columns to be ignored must be there. */
  readonly strict: boolean
}

/** Columns of a CSV file, without those to be ignored. */
function readTable(path: string, flags: ReadFlags, { kinds, like, strict }: TableOptions): ColumnTable {
  const categories = Object.fromEntries(flags.category.map((name) => [name, 'category' as const]))
  const text = readText(path)
  const wanted = { ...categories, ...kinds }
  const table = inFile(path, () => {
    refuseUndivided(text, flags.delimiter)
    return readCsv(text, { delimiter: flags.delimiter, kinds: wanted, ...(like ? { like } : {}) })
  })
  const names = table.columns.map(({ name }) => name)
  const unknown = strict ? flags.ignore.find((name) => !names.includes(name)) : undefined
  if (unknown !== undefined) {
    throw new FtError('INVALID_ARGUMENT', `${path}: no column ${unknown} to ignore; columns are ${names.join(', ')}`, {
      column: unknown,
    })
  }
  return { ...table, columns: table.columns.filter(({ name }) => !flags.ignore.includes(name)) }
}

/** @throws FtError `INVALID_ARGUMENT` where a header is one cell that another delimiter would divide */
function refuseUndivided(text: string, delimiter: string): void {
  const header = /^.*/.exec(text)?.[0] ?? ''
  if (header.includes(delimiter) || header.includes('"')) return
  const divider = [';', '\t', ',', '|'].find((each) => header.includes(each))
  if (divider === undefined) return
  const shown = divider === '\t' ? "$'\\t'" : `'${divider}'`
  throw new FtError('INVALID_ARGUMENT', `no '${delimiter}' in the header ${header}; is it --delimiter ${shown}?`, {
    delimiter,
  })
}

type ReadFlags = Pick<DataFlags, 'delimiter' | 'category' | 'ignore'>

/** Features to predict, in the model's kinds and width: CSV by name, or LibSVM rows. */
export function readFeatures(path: string, flags: ReadFlags, model: Model): ColumnTable | Matrix {
  if (isSvm(path)) {
    const text = readText(path)
    return inFile(path, () => readLibSvm(text, { columns: model.featureNames.length }).features)
  }
  return readTable(path, flags, { like: model, strict: true })
}

/** Categories of a table that the model does not know, in words: a line a column. */
export function unseenCategories({ featureNames, featureLevels }: Model, table: ColumnTable): string[] {
  return featureNames.flatMap((name, at) => {
    const levels = featureLevels[at]
    const column = table.columns.find((each) => each.name === name)
    if (!levels || !column) return []
    const known = new Set(levels)
    const present = Array.from(column.values).filter((value) => !isMissing(value))
    const unseen = present.filter((value) => !known.has(String(value)))
    return unseen.length === 0
      ? []
      : [
          `${name}: ${unseen.length} of ${present.length} cells are categories that training did not see, as '${unseen[0]}'`,
        ]
  })
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
  const ending = extname(path)
  const content = ending === '.txt' ? readText(path) : readBytes(path)
  return inFile(path, () => {
    if (typeof content === 'string') return readLightgbm(content)
    return ['.json', '.ubj'].includes(ending) ? readXgboost(content) : loadModel(content)
  })
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
    throw unwritable(path, cause)
  }
}

/** @throws FtError `IO` where a file cannot be written, before the work that is to fill it */
export function assertWritable(path: string): void {
  try {
    const there = existsSync(path)
    if (there && statSync(path).isDirectory()) throw new Error('it is a folder')
    accessSync(there ? path : dirname(path), constants.W_OK)
  } catch (cause) {
    throw unwritable(path, cause)
  }
}

function unwritable(path: string, cause: unknown): FtError {
  return new FtError('IO', `cannot write ${path}: ${(cause as Error).message}`, { path }, { cause })
}

/** @throws FtError `UNSUPPORTED` for a file whose form cannot hold the categories that a set has */
export function assertForm(path: string, { features }: LabelledData): void {
  if (extname(path) !== '.onnx' || 'data' in features || !('columns' in features)) return
  const names = features.columns.filter(({ kind }) => kind === 'category').map(({ name }) => name)
  if (names.length === 0) return
  throw new FtError(
    'UNSUPPORTED',
    `${path}: trees in ONNX have no categories; leave them out (${names.map((name) => `--ignore ${name}`).join(' ')}) or write another form`,
    { columns: names },
  )
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
