import { describe, expect, it } from 'vitest'
import { readLetor, readRankingCsv } from '../src/index.ts'
import { bytesOf, messageOf, outcome } from './helpers/damage.ts'

const CSV = 'label,qid,f1,f2\n2,10,0.5,1\n0,10,0,-1e-3\n1,7,1,0\n'
const LETOR = `2 qid:10 1:0.5 2:1 #docid = GX001 inc = 1
0 qid:10 2:-1e-3
1  qid:7 1:1 2:0
# a line of comment
`
const EXPECTED = {
  rows: 3,
  features: Float64Array.of(0.5, 1, 0, -1e-3, 1, 0),
  shape: [3, 2],
  relevance: Uint8Array.of(2, 0, 1),
  queries: ['10', '7'],
  groupSizes: Int32Array.of(2, 1),
}

describe('ranking data', () => {
  it('are the same from CSV and from the text form', async () => {
    expect(await readRankingCsv(bytesOf(CSV))).toEqual(EXPECTED)
    expect(await readLetor(bytesOf(LETOR), { width: 2 })).toEqual(EXPECTED)
  })

  it.each([
    ['', 'at least one row'],
    ['label,qid\n', 'line 1'],
    ['label,query,f1\n', 'line 1'],
    [CSV.replace('0.5', 'x'), 'line 2: expected numbers'],
    [CSV.replace('2,10', '-2,10'), 'line 2: expected a relevance of 0..99'],
    [CSV.replace('0,10,0', '0,,0'), 'line 3: expected a query'],
    [CSV + '0,10,0,0\n', 'line 5: expected the rows of a query together'],
    [CSV + '0,9,0\n', 'does not parse'],
  ])('refuses CSV %#', async (text, message) => {
    expect(await outcome(readRankingCsv(bytesOf(text)))).toBe('CORRUPT_DATA')
    expect(await messageOf(readRankingCsv(bytesOf(text)))).toContain(message)
  })

  it.each([
    ['# nothing\n', 'at least one row'],
    ['1 1:0.5\n', 'line 1: expected qid:<query>'],
    ['1\n', 'line 1: expected qid:<query>'],
    ['1 qid:3 3:1\n', 'index 1..2, got 3:1'],
    ['1 qid:3 0:1\n', 'index 1..2'],
    ['1 qid:3 2:1 1:1\n', 'index 3..2'],
    ['1 qid:3 1:1 1:1\n', 'index 2..2'],
    ['1 qid:3 1:NaN\n', 'index:value'],
    ['1 qid:3 1\n', 'index:value'],
    ['1.5 qid:3 1:1\n', 'a relevance'],
    ['1 qid: 1:1\n', 'a query'],
  ])('refuses the text form %#', async (text, message) => {
    expect(await outcome(readLetor(bytesOf(text), { width: 2 }))).toBe('CORRUPT_DATA')
    expect(await messageOf(readLetor(bytesOf(text), { width: 2 }))).toContain(message)
  })
})
