// Files of the command: what it writes, and measurements that it keeps.
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
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

/** One file a measured shape, named by what it was measured on. */
export function fileCache(folder: string): ProfileCache {
  const fileOf = (name: string) => join(folder, `${createHash('sha256').update(name).digest('hex').slice(0, 32)}.json`)
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
