// The Free Spoken Digit Dataset: 3,000 recordings, 8 kHz, 16 bit, one after the other, with an index.
import { corrupt } from './internal/corrupt.ts'
import { csvRecords } from './internal/csv.ts'
import { readContent, type Source } from './internal/source.ts'
import { locate, type LocatedSet } from './locate.ts'

export interface Recording {
  /** 0..9. */
  readonly digit: number
  readonly speaker: string
  readonly take: number
  /** Takes 0-4 are the official test part. */
  readonly part: 'train' | 'test'
  /** Samples at 8 kHz, a view into the whole. */
  readonly samples: Int16Array
}

const READER = 'readSpokenDigits'
const HEADER = 'name,digit,speaker,take,split,offset_samples,n_samples'
/** Six times the whole set. */
const MOST_BYTES = 2 ** 27

/**
 * Reads recordings and index.
 *
 * @throws FtError `IO`, or `CORRUPT_DATA` when index and recordings do not fit together
 */
export async function readSpokenDigits(options: { readonly set?: LocatedSet } = {}): Promise<readonly Recording[]> {
  const set = options.set ?? locate('free-spoken-digits')
  return readRecordings({ recordings: set.source('recordings.s16le'), index: set.source('index.csv') })
}

/** Reads little-endian int16 samples and the CSV index that cuts them into recordings without gaps. */
export async function readRecordings(o: { readonly recordings: Source; readonly index: Source }): Promise<Recording[]> {
  const pcm = littleEndian(await readContent(o.recordings, READER, MOST_BYTES), o.recordings)
  const found: Recording[] = []
  let at = 0
  let header = true
  for await (const { cells, line } of csvRecords(o.index, READER)) {
    if (header) {
      header = false
      if (cells.join() === HEADER) continue
      throw corrupt({ reader: READER, source: o.index, where: 'header', expected: HEADER, got: cells.join() })
    }
    const recording = recordingOf(cells, at, pcm)
    if (recording === undefined) {
      const expected = `digit 0..9, train or test, and samples from ${at} within ${pcm.length}`
      throw corrupt({ reader: READER, source: o.index, where: `line ${line}`, expected, got: cells.join() })
    }
    found.push(recording)
    at += recording.samples.length
  }
  if (at !== pcm.length || header) {
    const expected = `recordings for all ${pcm.length} samples`
    throw corrupt({ reader: READER, source: o.index, where: 'its end', expected, got: `${at} samples` })
  }
  return found
}

/** A line of the index whose samples start at `at`, or undefined when something in it cannot be. */
function recordingOf(cells: readonly string[], at: number, pcm: Int16Array): Recording | undefined {
  const [, digitText, speaker, takeText, part, offsetText, countText] = cells
  const [digit, take, offset, count] = [digitText, takeText, offsetText, countText].map(whole) as [
    number,
    number,
    number,
    number,
  ]
  const fits = digit <= 9 && take >= 0 && offset === at && count >= 1 && at + count <= pcm.length
  if (!fits || (part !== 'train' && part !== 'test') || !speaker) return undefined
  return { digit, speaker, take, part, samples: pcm.subarray(at, at + count) }
}

const whole = (text: string | undefined): number => (text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : NaN)

function littleEndian(bytes: Uint8Array, source: Source): Int16Array {
  if (bytes.length % 2 !== 0) {
    const expected = 'an even number of bytes'
    throw corrupt({ reader: READER, source, where: 'length', expected, got: `${bytes.length}` })
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return Int16Array.from({ length: bytes.length / 2 }, (_, i) => view.getInt16(2 * i, true))
}
