// The folder of a run's sockets, removed without looking at what kind of file a socket is: after an lstat of a socket Node 20
// finds no package through a symbolic link any more, in the whole process.
import { readdirSync, rmdirSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'

/**
 * Removes a folder of sockets. Several shards whose trainer is gone do so at once: what another has removed is no error, nor is a
 * folder in which one has just begun to listen, which then removes it.
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
