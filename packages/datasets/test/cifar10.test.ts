import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { readCifarRecords } from '../src/index.ts'
import { messageOf, outcome } from './helpers/damage.ts'

/** Two records: planes of constant colours, but for one pixel. */
function twoRecords(): Uint8Array {
  const bytes = new Uint8Array(2 * 3073)
  for (const [r, label] of [3, 9].entries()) {
    const start = r * 3073
    bytes[start] = label
    bytes.fill(10 + r, start + 1, start + 1025)
    bytes.fill(20 + r, start + 1025, start + 2049)
    bytes.fill(30 + r, start + 2049, start + 3073)
  }
  // Green of row 1, column 2 of the second image.
  bytes[3073 + 1 + 1024 + 34] = 99
  return bytes
}

describe('readCifarRecords', () => {
  it('interleaves the planes', async () => {
    const { images, labels } = await readCifarRecords(gzipSync(twoRecords()))
    expect([...labels]).toEqual([3, 9])
    expect(images.shape).toEqual([2, 32, 32, 3])
    expect([...images.data.subarray(0, 6)]).toEqual([10, 20, 30, 10, 20, 30])
    const pixel = (32 * 32 + 34) * 3
    expect([...images.data.subarray(pixel, pixel + 3)]).toEqual([11, 99, 31])
  })

  it('refuses cuts and wrong labels', async () => {
    const bytes = twoRecords()
    for (const length of [0, 1, 3072, 3074, 6145]) {
      expect(await outcome(readCifarRecords(bytes.subarray(0, length)))).toBe('CORRUPT_DATA')
    }
    bytes[3073] = 10
    expect(await messageOf(readCifarRecords(bytes))).toContain('label of record 1: expected 0..9, got 10')
    const zipped = gzipSync(twoRecords())
    expect(await outcome(readCifarRecords(zipped.subarray(0, zipped.length - 9)))).toBe('CORRUPT_DATA')
  })
})
