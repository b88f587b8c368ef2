// The folder of a run's sockets in the file system.
import { mkdtempSync, readdirSync, rmdirSync, unlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Longer paths are no names of sockets everywhere. */
const longestPath = 100

/** A folder which only this user may enter; undefined where there can be none. */
export function makeSocketFolder(): string | undefined {
  if (process.platform === 'win32' || tmpdir().length > longestPath - 30) return undefined
  try {
    return mkdtempSync(join(tmpdir(), 'ft-ecrm-'))
  } catch {
    return undefined
  }
}

/**
 * Removes it, without asking what kind of file a socket is: after an lstat of a socket Node 20 finds no package through a symbolic
 * link any more, in the whole process (the packed tests load one afterwards). Several shards whose trainer is gone do so at
 * once: what another has removed is no error, nor is a folder in which one has just begun to listen, which then removes it.
 */
export function removeSocketFolder(folder: string): void {
  try {
    for (const name of readdirSync(folder)) unlinkUnlessGone(join(folder, name))
    rmdirSync(folder)
  } catch (error) {
    if (!isGone(error) && codeOf(error) !== 'ENOTEMPTY') throw error
  }
}

function unlinkUnlessGone(path: string): void {
  try {
    unlinkSync(path)
  } catch (error) {
    if (!isGone(error)) throw error
  }
}

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException).code
const isGone = (error: unknown): boolean => codeOf(error) === 'ENOENT'
