// Files of the command: what it writes, and measurements that it keeps.
import { createHash } from 'node:crypto'
import { accessSync, constants, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus } from 'node:os'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { FtError } from '@ft/core'
import type { ProfileCache } from '../profile/profileLayers.ts'

/** Writes a whole file or none: a reader never sees half of it. */
export function writeText(file: string, text: string): void {
  const part = `${file}.${process.pid}.part`
  try {
    writeFileSync(part, text)
    renameSync(part, file)
  } catch (cause) {
    throw new FtError('IO', `intensity-guide: cannot write ${file}`, { file }, { cause })
  }
}

/** @throws FtError `IO` where a file cannot be written, before the measurements that are to fill it */
export function assertWritable(file: string): void {
  try {
    accessSync(dirname(file), constants.W_OK)
  } catch (cause) {
    throw new FtError('IO', `intensity-guide: cannot write ${file}: ${(cause as Error).message}`, { file }, { cause })
  }
}

/** What times depend on beside a runner's device and build, which may name the engine alone. */
export function machineName(): string {
  const [processor] = cpus()
  return `${processor?.model ?? process.arch}, ${availableParallelism()} threads`
}

/** One file a measured shape, named by what it was measured on: another machine's are not found. */
export function fileCache(folder: string, options: { machine?: string } = {}): ProfileCache {
  const { machine = machineName() } = options
  const digest = (name: string) =>
    createHash('sha256')
      .update(JSON.stringify([machine, name]))
      .digest('hex')
  const fileOf = (name: string) => join(folder, `${digest(name).slice(0, 32)}.json`)
  return {
    get(name) {
      try {
        return Promise.resolve(readFileSync(fileOf(name), 'utf8'))
      } catch {
        return Promise.resolve(undefined)
      }
    },
    set(name, text) {
      mkdirSync(folder, { recursive: true })
      return Promise.resolve(writeText(fileOf(name), text))
    },
  }
}
