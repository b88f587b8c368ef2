// Learning-to-rank data: rows in groups of one query, in LETOR's text form (that of SVMlight and LibSVM) or as CSV.
import { corrupt } from './internal/corrupt.ts'
import { csvRecords } from './internal/csv.ts'
import type { Source } from './internal/source.ts'
import { locate } from './locate.ts'
import { finite } from './table.ts'
import type { ReadSetOptions, TrainAndTest } from './tabularSets.ts'

export interface RankingData {
  readonly rows: number
  /** float64 `[rows, width]`, row-major. */
  readonly features: Float64Array
  readonly shape: readonly [number, number]
  /** Relevance of each row, 0 for none. */
  readonly relevance: Uint8Array
  /** Query of each group, in the file's order. */
  readonly queries: readonly string[]
  /** Rows of each group; rows of a group stand together. */
  readonly groupSizes: Int32Array
}

/** LETOR 4.0 MQ2008, fold 1: 46 features, relevance 0..2; 471 training and 156 test queries. */
export async function readMq2008(options: ReadSetOptions = {}): Promise<TrainAndTest<RankingData>> {
  const set = options.set ?? locate('mq2008-fold1')
  return { train: await readRankingCsv(set.source('train.csv')), test: await readRankingCsv(set.source('test.csv')) }
}

/**
 * Reads CSV with a header `label,qid,f1,...`.
 *
 * @throws FtError `IO`, or `CORRUPT_DATA` naming the line
 */
export async function readRankingCsv(source: Source): Promise<RankingData> {
  let rows: RankingRows | undefined
  for await (const { cells, line } of csvRecords(source, 'readRankingCsv')) {
    const wrong = (expected: string, got: string) =>
      corrupt({ reader: 'readRankingCsv', source, where: `line ${line}`, expected, got })
    if (rows === undefined) {
      const width = cells.length - 2
      if (width < 1 || cells[0] !== 'label' || cells[1] !== 'qid') throw wrong('label,qid,f1,...', cells.join())
      rows = new RankingRows(width)
      continue
    }
    const values = cells.slice(2).map(finite)
    if (values.includes(undefined)) throw wrong('numbers', cells.slice(2).join())
    const trouble = rows.add({ relevance: cells[0]!, query: cells[1]! }, values as number[])
    if (trouble !== undefined) throw wrong(trouble, `label '${cells[0]}', query '${cells[1]}'`)
  }
  return finished(rows, 'readRankingCsv', source)
}

export interface LetorOptions {
  /** Number of features; indices run from 1 to it. MQ2008 has 46. */
  readonly width: number
}

/**
 * Reads lines `relevance qid:query index:value ... # comment`; indices rise from 1, absent ones are 0.
 *
 * @throws FtError `IO`, or `CORRUPT_DATA` naming the line
 */
export async function readLetor(source: Source, { width }: LetorOptions): Promise<RankingData> {
  const rows = new RankingRows(width)
  // One cell a blank: what stands after '#' is a comment.
  for await (const { cells, line } of csvRecords(source, 'readLetor', { delimiter: ' ', quote: false, ragged: true })) {
    const wrong = (expected: string, got: string) =>
      corrupt({ reader: 'readLetor', source, where: `line ${line}`, expected, got })
    const comment = cells.findIndex((cell) => cell.startsWith('#'))
    const [relevance, query, ...pairs] = (comment < 0 ? cells : cells.slice(0, comment)).filter((cell) => cell !== '')
    if (relevance === undefined) continue
    if (query?.startsWith('qid:') !== true) throw wrong('qid:<query> after the label', query ?? 'nothing')
    const values = new Array<number>(width).fill(0)
    let last = 0
    for (const pair of pairs) {
      const [index, value] = [Number(/^(\d{1,9}):/.exec(pair)?.[1] ?? NaN), finite(pair.slice(pair.indexOf(':') + 1))]
      if (!(index > last && index <= width) || value === undefined)
        throw wrong(`index:value, index ${last + 1}..${width}`, pair)
      values[index - 1] = value
      last = index
    }
    const trouble = rows.add({ relevance, query: query.slice(4) }, values)
    if (trouble !== undefined) throw wrong(trouble, `label '${relevance}', '${query}'`)
  }
  return finished(rows, 'readLetor', source)
}

/** Rows as they come, with the law that a query's rows stand together. */
class RankingRows {
  readonly width: number
  readonly values: number[] = []
  readonly relevance: number[] = []
  readonly queries: string[] = []
  readonly sizes: number[] = []
  private readonly seen = new Set<string>()

  constructor(width: number) {
    this.width = width
  }

  /** Adds a row, or says what was expected of it. */
  add(head: { readonly relevance: string; readonly query: string }, values: readonly number[]): string | undefined {
    if (!/^\d{1,2}$/.test(head.relevance)) return 'a relevance of 0..99'
    if (head.query === '') return 'a query'
    if (this.queries[this.queries.length - 1] !== head.query) {
      if (this.seen.has(head.query)) return 'the rows of a query together'
      this.seen.add(head.query)
      this.queries.push(head.query)
      this.sizes.push(0)
    }
    this.sizes[this.sizes.length - 1]!++
    this.relevance.push(Number(head.relevance))
    this.values.push(...values)
    return undefined
  }
}

function finished(rows: RankingRows | undefined, reader: string, source: Source): RankingData {
  if (rows === undefined || rows.relevance.length === 0) {
    throw corrupt({ reader, source, where: 'its end', expected: 'at least one row', got: 'none' })
  }
  return {
    rows: rows.relevance.length,
    features: Float64Array.from(rows.values),
    shape: [rows.relevance.length, rows.width],
    relevance: Uint8Array.from(rows.relevance),
    queries: rows.queries,
    groupSizes: Int32Array.from(rows.sizes),
  }
}
