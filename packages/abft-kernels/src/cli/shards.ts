// A campaign in several processes: one shard each, kept beside the result until all are whole, so that the same command goes on.
import { fork, type ChildProcess } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import process from 'node:process'
import { FtError } from '@ft/core'
import { mergeCampaigns, parseCampaign } from '../campaign/tally.ts'
import type { CampaignResult } from '../campaign/types.ts'
import { isFile, readText } from './options.ts'

export interface ShardsRequest {
  readonly jobs: number
  /** Where the result goes; undefined when it is only shown. */
  readonly out: string | undefined
}

/**
 * Refuses what a run must not mix with.
 *
 * @throws FtError `INVALID_ARGUMENT` where shards of another number of processes wait to be gone on with, and where several
 * processes would write over a result
 */
export function assertFresh({ jobs, out }: ShardsRequest): void {
  if (out === undefined) return
  const counts = shardCounts(out)
  const other = counts.find((count) => count !== jobs)
  if (other !== undefined)
    throw new FtError(
      'INVALID_ARGUMENT',
      `campaign: beside ${out} lie shards of a run with --jobs ${other}; go on with --jobs ${other}, or remove them`,
      { out, jobs: other },
    )
  if (jobs > 1 && counts.length === 0 && isFile(out))
    throw new FtError(
      'INVALID_ARGUMENT',
      `campaign: ${out} exists and is no unfinished run with --jobs ${jobs}; remove the file, or go on with --jobs 1`,
      { out, jobs },
    )
}

/** Numbers of processes whose shards lie beside a result. */
function shardCounts(out: string): number[] {
  const folder = dirname(out)
  if (!existsSync(folder)) return []
  const start = `${basename(out)}.`
  return readdirSync(folder).flatMap((name) => {
    const count = name.startsWith(start) ? /^\d+-of-(\d+)$/.exec(name.slice(start.length))?.[1] : undefined
    return count === undefined ? [] : [Number(count)]
  })
}

/**
 * Runs this command once a shard, and puts the shards together.
 *
 * Stopped by Ctrl-C, every process saves its shard; with `out` the same command goes on from there.
 *
 * @returns the whole, and what takes away the processes' own files: to be called once the whole is written
 * @throws FtError `ABORTED` when it was stopped, `UNRECOVERABLE` when a shard failed
 */
export async function inProcesses({ jobs, out }: ShardsRequest): Promise<{ result: CampaignResult; done: () => void }> {
  const folder = out === undefined ? mkdtempSync(join(tmpdir(), 'ft-campaign-')) : undefined
  const files = Array.from({ length: jobs }, (_, index) => `${out ?? join(folder ?? '', 'shard')}.${index}-of-${jobs}`)
  const children: ChildProcess[] = []
  let stopped = false
  const stop = () => {
    stopped = true
    for (const child of children) child.kill('SIGINT')
  }
  process.on('SIGINT', stop)
  try {
    const codes = await Promise.all(
      files.map((file, index) =>
        ended(children, [...process.argv.slice(2), '--shard', `${index}/${jobs}`, '--out', file, '--json']),
      ),
    )
    const failed = codes.find((code) => code !== 0 && code !== STOPPED)
    // A process that was stopped before it listened has nothing to save and begins anew.
    if (failed !== undefined && !stopped)
      throw new FtError('UNRECOVERABLE', `campaign: a shard ended with code ${failed}; what it said stands above`, {
        code: failed,
      })
    if (failed !== undefined || codes.includes(STOPPED))
      throw new FtError('ABORTED', `campaign: stopped${out === undefined ? '' : '; the same command goes on'}`, { out })
    const whole = mergeCampaigns(files.map((file) => parseCampaign(readText(file))))
    // What the processes have saved goes once the whole is written.
    return { result: whole, done: () => files.forEach((file) => rmSync(file, { force: true })) }
  } finally {
    process.off('SIGINT', stop)
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
  }
}

/** Exit code of a command that was stopped and has saved what it had. */
export const STOPPED = 130

function ended(children: ChildProcess[], args: readonly string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const made = fork(process.argv[1] ?? '', args, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
    children.push(made)
    made.once('error', reject)
    made.once('exit', (code) => resolve(code ?? 1))
  })
}
