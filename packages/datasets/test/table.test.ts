import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readTables, type TableSchema } from '../src/index.ts'
import { bytesOf, messageOf, outcome } from './helpers/damage.ts'

const SCHEMA: TableSchema = {
  header: true,
  missing: '',
  columns: [
    { name: 'y', kind: 'target', toNumber: Number },
    { name: 'size', kind: 'numeric' },
    { name: 'colour', kind: 'categorical' },
    { name: 'shape', kind: 'coded', levels: ['round', 'square'] },
  ],
}
const TRAIN = 'y,size,colour,shape\n1,0.5,red,0\n0,-2e3,"blue, dark",1\n1,,,\n'
const TEST = 'y,size,colour,shape\r\n0,7,amber,1\r\n'

describe('readTables', () => {
  it('codes levels over all files, sorted, and leaves unknown cells NaN', async () => {
    const [train, test] = await readTables([bytesOf(TRAIN), gzipSync(TEST)], SCHEMA)
    expect(train).toEqual({
      rows: 3,
      names: ['size', 'colour', 'shape'],
      features: Float64Array.of(0.5, 2, 0, -2000, 1, 1, NaN, NaN, NaN),
      shape: [3, 3],
      levels: [undefined, ['amber', 'blue, dark', 'red'], ['round', 'square']],
      target: Float64Array.of(1, 0, 1),
    })
    expect(test!.features).toEqual(Float64Array.of(7, 0, 1))
    expect(test!.levels).toEqual(train!.levels)
  })

  it('keeps the given order of levels and refuses others', async () => {
    const columns = [SCHEMA.columns[0]!, { name: 'colour', kind: 'categorical', levels: ['red', 'green'] } as const]
    const [table] = await readTables([bytesOf('y,colour\n1,green\n1,red\n')], { ...SCHEMA, columns })
    expect([...table!.features]).toEqual([1, 0])
    expect(await messageOf(readTables([bytesOf('y,colour\n1,pink\n')], { ...SCHEMA, columns }))).toContain(
      "line 2, colour: expected one of red, green, got 'pink'",
    )
  })

  it.each([
    ['', 'at least one row'],
    ['y,size,colour,shape\n', 'at least one row'],
    ['y,size,shape,colour\n1,1,red,0\n', 'header'],
    ['y,size,colour,shape\n1,1,red\n', 'line 2'],
    ['y,size,colour,shape\n1,1,red,0\n1,1,red,2\n', "line 3, shape: expected a code from 0 to 1, got '2'"],
    ['y,size,colour,shape\n1,0x10,red,0\n', "line 2, size: expected a number, got '0x10'"],
    ['y,size,colour,shape\n1,Infinity,red,0\n', 'expected a number'],
    ['y,size,colour,shape\n1,1e999,red,0\n', 'expected a number'],
    ['y,size,colour,shape\nx,1,red,0\n', "line 2, y: expected a target, got 'x'"],
    ['y,size,colour,shape\n1,1,"red,0\n', 'does not parse'],
  ])('refuses %j', async (text, message) => {
    expect(await outcome(readTables([bytesOf(text)], SCHEMA))).toBe('CORRUPT_DATA')
    expect(await messageOf(readTables([bytesOf(text)], SCHEMA))).toContain(message)
  })

  it('never gives another error than an FtError, whatever is changed', async () => {
    const whole = bytesOf(TRAIN)
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length - 1), fc.nat(255), fc.nat(whole.length), async (at, value, length) => {
        const bytes = whole.slice(0, length)
        if (at < length) bytes[at] = value
        expect(['none', 'CORRUPT_DATA']).toContain(await outcome(readTables([bytes], SCHEMA)))
      }),
      { numRuns: 300 },
    )
  })
})
