// What a command prints, in one order for all commands: settings, progress, tables, conclusion, how to repeat it.
import { createColors } from 'picocolors'
import type { Progress } from '@ft/core'
import { createProgress, type TerminalStream } from './progress.ts'
import { table, type Column } from './table.ts'
import { printable } from './text.ts'

export interface OutputOptions {
  /** Results, usually `process.stdout`. */
  readonly stdout: NodeJS.WritableStream
  /** Progress and notes, usually `process.stderr`. */
  readonly stderr: TerminalStream
  /** One JSON object a line on standard output instead of text; default false. */
  readonly json?: boolean
  /** Neither settings nor notes nor progress; default false. */
  readonly quiet?: boolean
  /** Default false; see `terminalFromEnvironment`. */
  readonly colour?: boolean
  /** Default false; see `terminalFromEnvironment`. */
  readonly progress?: boolean
}

/** Where a command writes. Text calls print nothing with `json`; `result` prints nothing without. */
export interface Output {
  /** What is being run: a title and the settings, seed included. */
  settings(title: string, values: Readonly<Record<string, string | number | boolean>>): void
  /** Pass it to long work. */
  readonly onProgress: (progress: Progress) => void
  /** A note on standard error. */
  note(text: string): void
  /** A paragraph or a plot. */
  text(text: string): void
  table<Row>(rows: readonly Row[], columns: readonly Column<Row>[]): void
  /** A JSON object for machines. */
  result(value: Readonly<Record<string, unknown>>): void
  /** One sentence that answers the question, and the command that repeats the run. */
  conclusion(sentence: string, options?: { repeat?: string }): void
  /** Ends progress; call it last, also after an error. */
  end(): void
}

/** Makes the output of one command. Reads no environment: pass `terminalFromEnvironment()`'s findings. */
export function createOutput(options: OutputOptions): Output {
  const { stdout, stderr, json = false, quiet = false, colour = false, progress = false } = options
  const paint = createColors(colour)
  const display = createProgress(stderr, { enabled: progress && !json && !quiet })
  for (const stream of new Set<NodeJS.WritableStream>([stdout, stderr])) outliveReader(stream)
  const print = (text: string) => {
    if (!json) stdout.write(`${text}\n`)
  }
  return {
    settings(title, values) {
      if (quiet) return
      const shown = Object.entries(values).map(([name, value]) => `${name} ${printable(String(value))}`)
      print(paint.bold(printable(title)) + (shown.length > 0 ? paint.dim(`  ${shown.join(', ')}`) : ''))
    },
    onProgress: display.onProgress,
    note(text) {
      if (!quiet) stderr.write(`${text}\n`)
    },
    text: print,
    table(rows, columns) {
      // A pipe has no width: other programs get a row a line.
      const width = (stdout as TerminalStream).columns
      print(`\n${table(rows, columns, { colour, ...(width === undefined ? {} : { columns: width }) })}\n`)
    },
    result(value) {
      if (json) stdout.write(`${JSON.stringify(value, jsonNumbers)}\n`)
    },
    conclusion(sentence, { repeat } = {}) {
      print(paint.bold(sentence))
      if (repeat !== undefined && !quiet) print(paint.dim(`again: ${repeat}`))
    },
    end: display.stop,
  }
}

/** A reader that goes early, as `head` does, costs what it did not read: the command goes on, and its files are written. */
function outliveReader(stream: NodeJS.WritableStream): void {
  if (!stream.listeners('error').includes(onStreamError)) stream.on('error', onStreamError)
}

function onStreamError(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error
}

/** JSON has no NaN and no infinities: they become text, which no reader takes for a number. */
function jsonNumbers(_: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isFinite(value) ? String(value) : value
}
