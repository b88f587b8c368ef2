// Fetches a set from its official address into the cache folder, where `locate` finds it.
import { existsSync } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { FtError, throwIfAborted, type LongRunning } from '@ft/core'
import { entryOf, type DownloadableName, type RemoteFile } from './catalogue.ts'
import { fetchFile } from './internal/fetchFile.ts'
import { unpack } from './internal/unpack.ts'
import { cacheFolder, checkName, located, type LocatedSet } from './locate.ts'

export interface DownloadOptions extends LongRunning {
  /** Folder of the set; default the one in the cache folder. */
  readonly folder?: string
  /** Address that has the official files under `<mirror>/<set>/<file>`, gzip-compressed anyhow; default the official address. */
  readonly mirror?: string
}

/**
 * Downloads a set whose licence allows it. Files that are there already stay; an interrupted download continues where
 * it stopped; a file appears under its name only when its SHA-256 is right.
 *
 * @returns the set, as `locate` gives it
 * @throws FtError `UNSUPPORTED` for a set that must be got by hand, `IO` when server, connection or disk fail,
 * `CHECKSUM_MISMATCH`, `CORRUPT_DATA` for an archive that lacks a file, `ABORTED`
 */
export async function download(name: DownloadableName, options: DownloadOptions = {}): Promise<LocatedSet> {
  checkName(name, 'download')
  const { remote, licence, home } = entryOf(name)
  if (remote === undefined) {
    throw new FtError('UNSUPPORTED', `download: ${name} must be got by hand from ${home} (licence: ${licence})`, {
      name,
    })
  }
  const folder = options.folder ?? join(cacheFolder(), name)
  const address = options.mirror === undefined ? remote.address : `${options.mirror.replace(/\/$/, '')}/${name}/`
  await mkdir(folder, { recursive: true }).catch((cause: unknown) => {
    throw new FtError('IO', `download: cannot make the folder ${folder}`, { folder }, { cause })
  })

  const total = remote.files.reduce((sum, file) => sum + file.bytes, 0)
  let before = 0
  for (const file of remote.files) {
    throwIfAborted(options.signal, 'download')
    // A mirror's file may be larger or smaller; the share done never passes the file's own.
    const report = (have: number): void =>
      options.onProgress?.({ phase: `download ${name}`, done: before + Math.min(have, file.bytes), total })
    if (!isThere(file, folder)) {
      const to = join(folder, file.name)
      const mostBytes = file.bytes * 2 + 65_536
      await fetchFile({
        url: address + file.name,
        to,
        sha256: file.sha256,
        mostBytes,
        signal: options.signal,
        onBytes: report,
      })
      if (file.extract !== undefined) {
        await unpack(to, file.extract, folder)
        await rm(to)
      }
    }
    report(file.bytes)
    before += file.bytes
  }
  return located(name, folder)
}

function isThere({ name, extract }: RemoteFile, folder: string): boolean {
  return (extract === undefined ? [name] : Object.values(extract)).every((file) => existsSync(join(folder, file)))
}
