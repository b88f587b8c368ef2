import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readIdx } from '../src/index.ts'
import { messageOf, outcome, outcomesOfCuts } from './helpers/damage.ts'

/** A 2 x 3 file of uint8. */
const SMALL = Uint8Array.of(0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 10, 20, 30, 40, 50, 255)

/** Bytes of an IDX file of any element type, written with a DataView: the form as the format describes it. */
function idxBytes(
  code: number,
  o: { size: number; shape: number[]; write: (view: DataView, at: number) => void },
): Uint8Array {
  const elements = o.shape.reduce((product, size) => product * size, 1)
  const bytes = new Uint8Array(4 + 4 * o.shape.length + elements * o.size)
  const view = new DataView(bytes.buffer)
  bytes.set([0, 0, code, o.shape.length])
  for (const [d, size] of o.shape.entries()) view.setUint32(4 + 4 * d, size)
  for (let i = 0; i < elements; i++) o.write(view, 4 + 4 * o.shape.length + i * o.size)
  return bytes
}

describe('readIdx', () => {
  it('reads bytes, gzip and paths alike', async () => {
    const expected = { data: Uint8Array.of(10, 20, 30, 40, 50, 255), shape: [2, 3], dtype: 'uint8' }
    expect(await readIdx(SMALL)).toEqual(expected)
    expect(await readIdx(gzipSync(SMALL))).toEqual(expected)
    const folder = await mkdtemp(join(tmpdir(), 'ft-idx-'))
    try {
      await writeFile(join(folder, 'small.gz'), gzipSync(SMALL))
      expect(await readIdx(join(folder, 'small.gz'))).toEqual(expected)
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  it.each([
    [0x09, 'int8', 1, -100, (v: DataView, at: number) => v.setInt8(at, -100)],
    [0x0b, 'int16', 2, -1234, (v: DataView, at: number) => v.setInt16(at, -1234)],
    [0x0c, 'int32', 4, 123456789, (v: DataView, at: number) => v.setInt32(at, 123456789)],
    [0x0d, 'float32', 4, 1.5, (v: DataView, at: number) => v.setFloat32(at, 1.5)],
    [0x0e, 'float64', 8, Math.PI, (v: DataView, at: number) => v.setFloat64(at, Math.PI)],
  ] as const)('reads type %i as %s', async (code, dtype, size, value, write) => {
    const tensor = await readIdx(idxBytes(code, { size, shape: [3], write }))
    expect(tensor.dtype).toBe(dtype)
    expect([...tensor.data]).toEqual([value, value, value])
  })

  it('reads a file cut into pieces anywhere as one', async () => {
    // Large enough for several pieces of the stream (256 kB each).
    const big = idxBytes(8, { size: 1, shape: [700, 1000], write: (view, at) => view.setUint8(at, (at * 7) & 255) })
    const { data } = await readIdx(gzipSync(big))
    expect(Buffer.compare(data as Uint8Array, big.subarray(12))).toBe(0)
  })

  it('refuses every cut, plain and gzip, and anything after the end', async () => {
    expect(await outcomesOfCuts(SMALL, readIdx)).toEqual(new Set(['CORRUPT_DATA']))
    expect(await outcomesOfCuts(gzipSync(SMALL), readIdx)).toEqual(new Set(['CORRUPT_DATA']))
    expect(await outcome(readIdx(Uint8Array.of(...SMALL, 0)))).toBe('CORRUPT_DATA')
  })

  it('says what is wrong and where', async () => {
    expect(await messageOf(readIdx(SMALL.subarray(0, 15)))).toBe(
      'readIdx: 15 bytes in memory, data: expected 6 bytes for [2, 3], got 3',
    )
    const magic = SMALL.slice()
    magic[2] = 7
    expect(await messageOf(readIdx(magic))).toContain('magic number: expected 00 00, a type of 0x8')
    const huge = SMALL.slice()
    huge.fill(255, 4, 12)
    expect(await messageOf(readIdx(huge))).toContain('expected at most 1073741824 bytes, got [4294967295, 4294967295]')
    expect(await outcome(readIdx('/no/such/file'))).toBe('IO')
  })

  it('never gives another error than an FtError, whatever byte is changed', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(SMALL.length - 1), fc.nat(255), async (at, value) => {
        const bytes = SMALL.slice()
        bytes[at] = value
        expect(['none', 'CORRUPT_DATA']).toContain(await outcome(readIdx(bytes)))
      }),
    )
  })
})
