// Where the files of a set are on this machine. Libraries do not read the environment; this package serves the tests,
// benches and the demo, and this one file reads FT_DATA_DIR, FT_MODELS_DIR, FT_REQUIRE and XDG_CACHE_HOME.
import { existsSync, statSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { assertOneOf, FtError, isFtError } from '@ft/core'
import { CATALOGUE, entryOf, type SetName } from './catalogue.ts'
import type { CheckedFile } from './internal/source.ts'

/** A set found on this machine, with all its files. */
export interface LocatedSet {
  readonly name: SetName
  readonly folder: string
  /** Path of a file by its name in the set, without `.gz`; the file itself may carry it. */
  path(file: string): string
  /** The same file for a reader, which then checks its content against the catalogue's SHA-256. */
  source(file: string): CheckedFile
}

/**
 * Finds a set: in FT_DATA_DIR (a folder a set; models in FT_MODELS_DIR or in `models` beside FT_DATA_DIR), then in the
 * cache folder that `download` fills.
 *
 * @throws FtError `IO` when the set is nowhere, with the way to get it; when FT_DATA_DIR or FT_MODELS_DIR is set and is
 * not a folder of sets; when a folder of the set lacks a file. `INVALID_ARGUMENT` for a name that is not in the catalogue
 */
export function locate(name: SetName): LocatedSet {
  checkName(name, 'locate')
  const { kind } = entryOf(name)
  const given = kind === 'data' ? dataFolder() : modelsFolder()
  for (const root of [given, cacheFolder()]) {
    const folder = root === undefined ? undefined : join(root, name)
    if (folder !== undefined && existsSync(folder)) return located(name, folder)
  }
  throw new FtError('IO', `locate: ${name} is not on this machine; ${howToGet(name)}`, { name })
}

/** What a test gets: the set, or the reason to skip. */
export type DataForTest =
  { readonly set: LocatedSet; readonly skip: undefined } | { readonly set: undefined; readonly skip: string }

/**
 * `locate` for tests: data that are not there are a reason to skip, unless FT_REQUIRE contains `data`, and then an
 * error, as every other trouble with them is.
 *
 * @throws FtError `IO` as `locate`, when the data are required or FT_DATA_DIR is wrong
 */
export function requireData(name: SetName): DataForTest {
  try {
    return { set: locate(name), skip: undefined }
  } catch (cause) {
    const absent = isFtError(cause, 'IO') && cause.details['name'] === name
    if (!absent || required().has('data')) throw cause
    return { set: undefined, skip: cause.message }
  }
}

/** Where downloads go by default: `ft-datasets` in the user's cache folder. */
export function cacheFolder(): string {
  return join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'ft-datasets')
}

/** The set in a folder that must hold all its files. */
export function located(name: SetName, folder: string): LocatedSet {
  checkName(name, 'located')
  const paths = new Map<string, string>()
  for (const { name: file } of entryOf(name).files) {
    const path = [join(folder, file), join(folder, `${file}.gz`)].find((candidate) => existsSync(candidate))
    if (path === undefined) {
      throw new FtError('IO', `locate: ${folder} must hold ${file} or ${file}.gz, it does not; ${howToGet(name)}`, {
        folder,
        file,
      })
    }
    paths.set(file, path)
  }
  const path = (file: string): string => {
    assertOneOf(file, { where: `the set ${name}`, argument: 'file', values: [...paths.keys()] })
    return paths.get(file)!
  }
  const sumsOf = (file: string): readonly string[] => entryOf(name).files.find((one) => one.name === file)!.sha256
  return { name, folder, path, source: (file) => ({ path: path(file), sha256: sumsOf(file) }) }
}

function dataFolder(): string | undefined {
  return checkedRoot('FT_DATA_DIR', process.env['FT_DATA_DIR'], 'data')
}

function modelsFolder(): string | undefined {
  const own = checkedRoot('FT_MODELS_DIR', process.env['FT_MODELS_DIR'], 'model')
  if (own !== undefined) return own
  const data = dataFolder()
  return data === undefined ? undefined : join(data, '..', 'models')
}

/** A variable that is set must name a folder with at least one set of its kind: a typing error must not skip tests. */
function checkedRoot(variable: string, value: string | undefined, kind: 'data' | 'model'): string | undefined {
  if (value === undefined || value === '') return undefined
  const names = Object.keys(CATALOGUE).filter((name) => entryOf(name as SetName).kind === kind)
  const isFolder = statSync(value, { throwIfNoEntry: false })?.isDirectory() === true
  if (isFolder && names.some((name) => existsSync(join(value, name)))) return value
  throw new FtError(
    'IO',
    `locate: ${variable} must name a folder with folders such as ${names.slice(0, 3).join(', ')}, got '${value}' (${isFolder ? 'none is there' : 'no such folder'}); correct it or unset it`,
    { variable, value },
  )
}

function required(): Set<string> {
  return new Set((process.env['FT_REQUIRE'] ?? '').split(',').map((word) => word.trim()))
}

function howToGet(name: SetName): string {
  const { kind, remote, home } = entryOf(name)
  const variable = kind === 'data' ? 'FT_DATA_DIR' : 'FT_MODELS_DIR'
  const call = remote === undefined ? '' : `call download('${name}') or `
  return `${call}put it in ${variable}/${name} (${home}; the README of @ft/datasets has its layout)`
}

export function checkName(name: SetName, where: string): void {
  assertOneOf(name, { where, argument: 'name', values: Object.keys(CATALOGUE) })
}
