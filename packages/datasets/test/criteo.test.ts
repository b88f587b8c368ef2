import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { criteoBatches, type CriteoRows } from '../src/index.ts'
import { bytesOf, messageOf, outcome } from './helpers/damage.ts'

const numbers = ['1', '-2', '', ...Array<string>(10).fill('7')]
const hashes = ['68fd1e64', '', 'ffffffff', ...Array<string>(23).fill('00000001')]
const LINE = ['1', ...numbers, ...hashes].join('\t')

async function all(source: Uint8Array, batchRows?: number): Promise<CriteoRows[]> {
  const batches: CriteoRows[] = []
  for await (const batch of criteoBatches(source, batchRows === undefined ? {} : { batchRows })) batches.push(batch)
  return batches
}

describe('criteoBatches', () => {
  it('reads labels, numbers and hashes', async () => {
    const [batch] = await all(gzipSync(`${LINE}\n`))
    expect(batch!.rows).toBe(1)
    expect([...batch!.label]).toEqual([1])
    expect([...batch!.numbers]).toEqual([1, -2, NaN, ...Array<number>(10).fill(7)])
    expect([...batch!.hashes]).toEqual([0x68fd1e64, 0, 0xffffffff, ...Array<number>(23).fill(1)])
  })

  it('cuts a log into batches that hold every row once, in order', async () => {
    const lines = Array.from({ length: 25 }, (_, r) => LINE.replace(/^1\t1/, `1\t${r}`))
    const batches = await all(bytesOf(lines.join('\n')), 10)
    expect(batches.map((batch) => batch.rows)).toEqual([10, 10, 5])
    expect(batches.flatMap((batch) => [...batch.numbers].filter((_, i) => i % 13 === 0))).toEqual([...lines.keys()])
    expect(batches[2]!.hashes).toHaveLength(5 * 26)
  })

  it.each([
    [LINE.split('\t').slice(0, 39).join('\t'), 'expected 40 cells, got 39'],
    [LINE.replace(/^1/, '2'), 'expected label 0 or 1'],
    [LINE.replace('-2', '2.5'), 'expected I2 an integer or empty'],
    [LINE.replace('68fd1e64', '68fd1e6'), 'expected C1 eight hex digits or empty'],
    [LINE.replace('ffffffff', 'FFFFFFFG'), 'expected C3'],
  ])('refuses %#', async (line, message) => {
    expect(await outcome(all(bytesOf(line)))).toBe('CORRUPT_DATA')
    expect(await messageOf(all(bytesOf(`${LINE}\n${line}\n`)))).toMatch(/line 2|does not parse/)
    expect(await messageOf(all(bytesOf(line)))).toContain(message)
  })

  it('refuses every cut of a gzip log, and a batch size that cannot be', async () => {
    const zipped = gzipSync(`${LINE}\n${LINE}\n`)
    for (let length = 2; length < zipped.length; length++) {
      expect(await outcome(all(zipped.subarray(0, length)))).toBe('CORRUPT_DATA')
    }
    expect(await outcome(all(bytesOf(LINE), 0))).toBe('INVALID_ARGUMENT')
  })
})
