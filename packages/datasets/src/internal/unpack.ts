// Files out of a zip archive, each under its name only when it is whole.
import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { FtError } from '@ft/core'
import { unzipSync } from 'fflate'

/**
 * Writes files of an archive into a folder.
 *
 * @param extract - path inside the archive to file name in the folder
 * @throws FtError `CORRUPT_DATA` when the archive does not unpack or lacks a file, `IO` when the disk fails
 */
export async function unpack(
  archive: string,
  extract: Readonly<Record<string, string>>,
  folder: string,
): Promise<void> {
  const bytes = await readFile(archive)
  let inside: Record<string, Uint8Array>
  try {
    inside = unzipSync(bytes, { filter: (entry) => Object.hasOwn(extract, entry.name) })
  } catch (cause) {
    throw new FtError('CORRUPT_DATA', `download: ${archive} is not a whole zip archive`, { archive }, { cause })
  }
  for (const [path, file] of Object.entries(extract)) {
    const content = inside[path]
    if (content === undefined) {
      throw new FtError('CORRUPT_DATA', `download: ${archive} must hold ${path}, it does not`, { archive, path })
    }
    const part = join(folder, `${file}.part`)
    await writeFile(part, content).catch((cause: unknown) => {
      throw new FtError('IO', `download: cannot write ${part}; make room and call again`, { path: part }, { cause })
    })
    await rename(part, join(folder, file))
  }
}
