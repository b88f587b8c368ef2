// CIFAR-10's binary version: records of one label byte and 3 x 1024 colour bytes, plane by plane.
import type { ByteTensor } from './tensors.ts'
import { corrupt } from './internal/corrupt.ts'
import { readContent, type Source } from './internal/source.ts'

const READER = 'readCifarRecords'
const PIXELS = 32 * 32
const RECORD = 1 + 3 * PIXELS
const CLASSES = 10
/** 100,000 records; the files have 10,000. */
const MOST_BYTES = 100_000 * RECORD

/**
 * Reads records of CIFAR-10, gzip-compressed or not.
 *
 * @returns images uint8 `[n, 32, 32, 3]` (the file has planes; they are interleaved here) and labels 0..9
 * @throws FtError `IO`, or `CORRUPT_DATA` for a length that is no whole number of records or a label above 9
 */
export async function readCifarRecords(source: Source): Promise<{ images: ByteTensor; labels: Uint8Array }> {
  const bytes = await readContent(source, READER, MOST_BYTES)
  const count = bytes.length / RECORD
  if (!Number.isInteger(count) || count === 0) {
    const expected = `one or more records of ${RECORD} bytes`
    throw corrupt({ reader: READER, source, where: 'length', expected, got: `${bytes.length} bytes` })
  }
  const labels = new Uint8Array(count)
  const data = new Uint8Array(count * 3 * PIXELS)
  for (let r = 0; r < count; r++) {
    const start = r * RECORD
    const label = bytes[start]!
    if (label >= CLASSES) {
      throw corrupt({ reader: READER, source, where: `label of record ${r}`, expected: '0..9', got: `${label}` })
    }
    labels[r] = label
    for (let plane = 0; plane < 3; plane++) {
      const from = start + 1 + plane * PIXELS
      const to = r * 3 * PIXELS + plane
      for (let p = 0; p < PIXELS; p++) data[to + 3 * p] = bytes[from + p]!
    }
  }
  return { images: { data, shape: [count, 32, 32, 3], dtype: 'uint8' }, labels }
}
