// Progress of long work on a terminal: a bar with total, rate and time left, from the `Progress` reports that every
// long-running call of these packages gives.
import { SingleBar, type Options } from 'cli-progress'
import type { Progress } from '@ft/core'
import { formatCount, formatDuration } from './format.ts'
import { printable } from './text.ts'

export interface ProgressDisplay {
  /** Pass it as `onProgress`. A new phase starts a new bar; the old one stays as it was last. */
  readonly onProgress: (progress: Progress) => void
  /** Ends the display and leaves the terminal as it was. Harmless when called twice. */
  stop(): void
}

/** A stream that may be a terminal, such as `process.stderr`. */
export interface TerminalStream extends NodeJS.WritableStream {
  readonly isTTY?: boolean
  readonly columns?: number
}

/**
 * Draws progress on a stream; draws nothing when the stream is no terminal or `enabled` is false.
 *
 * Guarantees: never changes the work it reports, never throws from `onProgress`; at most 10 redraws a second.
 *
 * @param stream - usually `process.stderr`, so that results on standard output stay clean
 * @param options.enabled - default true; pass `terminalFromEnvironment().progress`
 * @param options.now - clock in milliseconds, for tests; default the system's
 */
export function createProgress(
  stream: TerminalStream,
  options: { enabled?: boolean; now?: () => number } = {},
): ProgressDisplay {
  const { enabled = true, now = () => performance.now() } = options
  if (!enabled || stream.isTTY !== true) return { onProgress: () => undefined, stop: () => undefined }
  let bar: SingleBar | undefined
  let phase: string | undefined
  let started = 0
  const finish = () => {
    bar?.stop()
    bar = undefined
    phase = undefined
  }
  return {
    onProgress(progress) {
      if (progress.phase !== phase) {
        finish()
        phase = progress.phase
        started = now()
        bar = new SingleBar(barOptions(stream))
        bar.start(progress.total, 0, { line: describeProgress(progress, 0) })
      }
      bar?.setTotal(progress.total)
      bar?.update(progress.done, { line: describeProgress(progress, now() - started) })
      if (progress.done >= progress.total) finish()
    },
    stop: finish,
  }
}

/**
 * One line about a report: phase, done of total, rate, time left, note. For displays other than a terminal's bar.
 *
 * @param elapsedMs - time since the phase began, in milliseconds
 * @example
 * ```ts
 * const line = describeProgress({ phase: 'train', done: 250, total: 1000, note: 'loss 0.4' }, 5000)
 * line // => 'train 250/1,000, 50/s, 15 s left, loss 0.4'
 * ```
 */
export function describeProgress(progress: Progress, elapsedMs: number): string {
  return `${printable(progress.phase)} ${describe(progress, elapsedMs)}`
}

function describe({ done, total, note }: Progress, elapsedMs: number): string {
  const parts = [`${done.toLocaleString('en-US')}/${total.toLocaleString('en-US')}`]
  if (done > 0 && elapsedMs > 0) {
    parts.push(`${formatCount((1000 * done) / elapsedMs)}/s`)
    const left = (elapsedMs * (total - done)) / done
    parts.push(done >= total ? `took ${formatDuration(elapsedMs)}` : `${formatDuration(left)} left`)
  }
  if (note !== undefined) parts.push(printable(note))
  return parts.join(', ')
}

function barOptions(stream: TerminalStream): Options {
  return {
    stream,
    fps: 10,
    hideCursor: true,
    gracefulExit: false, // signals belong to the program
    clearOnComplete: false,
    linewrap: false,
    barsize: 24,
    format: (options, parameters, payload: { line?: string }) => {
      const share = Math.min(1, Math.max(0, parameters.progress))
      const size = options.barsize ?? 24
      const filled = Math.round(share * size)
      const text = `${'█'.repeat(filled)}${'░'.repeat(size - filled)} ${String(Math.floor(100 * share)).padStart(3)} %`
      return `${text} ${payload.line ?? ''}`
    },
  }
}
