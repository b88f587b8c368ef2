// Records of a delimited text file, one at a time, with the line they end on. csv-parse does the parsing.
import { pipeline } from 'node:stream/promises'
import { FtError, isFtError } from '@ft/core'
import { CsvError, parse } from 'csv-parse'
import { contentOf, nameOf, type Source } from './source.ts'

export interface CsvForm {
  /** Default ','. */
  readonly delimiter?: string
  /** Default '"'; false for files without quoting. */
  readonly quote?: string | false
  /** Lines that start with it are left out. */
  readonly comment?: string
  /** Blanks around cells are dropped; default false. */
  readonly trim?: boolean
  /** Records may differ in length; default false. */
  readonly ragged?: boolean
}

export interface CsvRecord {
  readonly cells: readonly string[]
  /** Line of the file, counted from 1. */
  readonly line: number
}

/** Longest line of any file read here is under 1 kB; a damaged quote would swallow the rest of the file. */
const LONGEST_RECORD = 1 << 20

/**
 * Streams the records of a file. Empty lines are left out; records have as many cells as the first unless `ragged`.
 *
 * @throws FtError `CORRUPT_DATA` naming the line; `IO` when the file cannot be read
 */
export async function* csvRecords(source: Source, reader: string, form: CsvForm = {}): AsyncGenerator<CsvRecord> {
  const parser = parse({
    delimiter: form.delimiter ?? ',',
    quote: form.quote ?? '"',
    ...(form.comment === undefined ? {} : { comment: form.comment, comment_no_infix: true }),
    trim: form.trim ?? false,
    relax_column_count: form.ragged ?? false,
    skip_empty_lines: true,
    max_record_size: LONGEST_RECORD,
    bom: true,
    info: true,
  })
  const flow = pipeline(contentOf(source, reader), parser)
  // An error reaches the loop below through the parser; the promise alone must not count as unhandled.
  flow.catch(() => undefined)
  try {
    for await (const item of parser) {
      const { record, info } = item as { record: string[]; info: { lines: number } }
      yield { cells: record, line: info.lines }
    }
    await flow
  } catch (cause) {
    if (isFtError(cause) || !(cause instanceof CsvError)) throw cause
    throw new FtError(
      'CORRUPT_DATA',
      `${reader}: ${nameOf(source)} does not parse (${cause.message})`,
      { source: nameOf(source), line: (cause as { lines?: number }).lines },
      { cause },
    )
  }
}
