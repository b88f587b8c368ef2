// The one file of this package that reads the environment: whether there is a terminal and whether it wants colour.
import process from 'node:process'

export interface Terminal {
  /** Whether to colour results on standard output. */
  readonly colour: boolean
  /** Whether to draw progress on standard error. */
  readonly progress: boolean
  /** Columns of standard output; 80 when it is no terminal. */
  readonly columns: number
}

/**
 * What this process's terminal supports: colour only on a terminal and unless `NO_COLOR` is set to anything or `TERM`
 * is 'dumb'; progress only when standard error is a terminal and neither `json`, `quiet` nor `progress: false` says no.
 *
 * @see the NO_COLOR convention: any non-empty value switches colour off
 */
export function terminalFromEnvironment(flags: { json?: boolean; quiet?: boolean; progress?: boolean } = {}): Terminal {
  const { json = false, quiet = false, progress = true } = flags
  const plain = (process.env['NO_COLOR'] ?? '') !== '' || process.env['TERM'] === 'dumb'
  return {
    colour: process.stdout.isTTY && !plain && !json,
    progress: process.stderr.isTTY && process.env['TERM'] !== 'dumb' && !json && !quiet && progress,
    columns: process.stdout.isTTY ? process.stdout.columns : 80,
  }
}
