// Step "rank": which departures of a route and day will be the latest? LambdaMART with and without dropout.
import type { Interval } from '@ft/core'
import { bootstrap, mean } from '@ft/core/statistics'
import { ndcg, predict, train, type LabelledData, type Model, type TrainOptions } from '@ft/dart'
import { departuresToRank, type DeparturesToRank, type Range } from '@ft/datasets'
import { exactly, type Claim, type Step } from '../story.ts'

const AT = 3
const GRID: Readonly<Record<'MART' | 'DART', readonly number[]>> = { MART: [0.05, 0.1, 0.2], DART: [0.2, 0.4, 0.8] }

interface Part extends LabelledData {
  readonly group: Int32Array
  readonly label: Uint8Array
}

interface Ranked {
  readonly name: string
  readonly learningRate: number
  readonly rounds: number
  /** NDCG of each test list. */
  readonly each: Float64Array
}

export const rankStep: Step = {
  name: 'rank',
  title: 'Rank the departures of each route and day by how late they will be',
  async run({ options, output, flights }) {
    const { flights: all } = await flights()
    const lists = departuresToRank(all, { groups: options.quick ? 6000 : 20_000, seed: options.seed })
    const [learn, judge, test] = (['train', 'validate', 'test'] as const).map((part) => partOf(lists, part)) as [
      Part,
      Part,
      Part,
    ]
    output.text(
      `${lists.groupSizes.length.toLocaleString('en-US')} lists, ${lists.rows.toLocaleString('en-US')} departures; lists without a late ` +
        'departure are left out of NDCG. Learning rates are chosen on 1 to 15 June and judged on 16 to 30 June.',
    )
    const ranked: Ranked[] = []
    for (const name of ['MART', 'DART'] as const) {
      let best: { model: Model; learningRate: number; rounds: number; score: number } | undefined
      for (const learningRate of GRID[name]) {
        const { model, bestRound, history } = await train({ ...learn, validation: judge }, {
          objective: 'lambdarank',
          metric: `ndcg@${AT}`,
          rounds: options.quick ? 40 : 120,
          earlyStopping: 25,
          maxDepth: 5,
          minRows: 20,
          learningRate,
          dropout: name === 'MART' ? false : { dropRate: 0.05 },
          seed: options.seed,
          threads: options.threads,
          onProgress: (progress) => output.onProgress({ ...progress, phase: `${name}, learning rate ${learningRate}` }),
        } satisfies TrainOptions)
        const score = history[bestRound - 1]?.validation ?? -Infinity
        if (!best || score > best.score) best = { model, learningRate, rounds: bestRound, score }
      }
      if (!best) throw new Error('nothing was trained')
      const scores = predict(best.model, test.features, { output: 'raw' })
      ranked.push({ name, learningRate: best.learningRate, rounds: best.rounds, each: eachList(scores, test) })
    }
    ranked.push({
      name: 'most late in the last 24 h on the route',
      learningRate: NaN,
      rounds: 0,
      each: eachList(routeLateness(lists), test),
    })
    output.table(ranked, [
      { header: 'ranking', value: (row) => row.name },
      { header: 'learning rate', value: (row) => (Number.isNaN(row.learningRate) ? null : row.learningRate) },
      { header: 'trees', value: (row) => row.rounds || null, format: 'plain' },
      { header: `NDCG@${AT}`, value: (row) => meanInterval(row.each, options.seed), digits: 4 },
    ])
    for (const { name, learningRate, rounds, each } of ranked)
      output.result({
        step: 'rank',
        name,
        learningRate,
        rounds,
        ndcg: meanInterval(each, options.seed),
        lists: each.length,
      })
    return claims(ranked, options.seed)
  },
}

function partOf(lists: DeparturesToRank, part: 'train' | 'validate' | 'test'): Part {
  const rows: Range = lists.split[part]
  const groups: Range = lists.groupSplit[part]
  const { data, shape, names } = lists.numeric
  const width = shape[1]
  const categorical = lists.categorical.filter((column) => column.name === 'hourOfWeek')
  const columns = width + categorical.length
  const values = new Float32Array((rows.end - rows.start) * columns)
  for (let row = rows.start; row < rows.end; row++) {
    const at = (row - rows.start) * columns
    values.set(data.subarray(row * width, (row + 1) * width), at)
    categorical.forEach((column, i) => (values[at + width + i] = (column.ids[row] as number) % 24))
  }
  return {
    features: {
      data: values,
      rows: rows.end - rows.start,
      columns,
      names: [...names, ...categorical.map(() => 'hour of the day')],
    },
    label: lists.relevance.subarray(rows.start, rows.end),
    group: lists.groupSizes.subarray(groups.start, groups.end),
  }
}

/** A ranking without learning: the share of late flights on the route in the last day. */
function routeLateness({ numeric: { names, data, shape }, split: { test } }: DeparturesToRank): Float64Array {
  const column = names.indexOf('route.shareLate')
  return Float64Array.from(
    { length: test.end - test.start },
    (_, row) => data[(test.start + row) * shape[1] + column] as number,
  )
}

function eachList(scores: Float64Array, { label, group }: Part): Float64Array {
  const each: number[] = []
  let start = 0
  for (const size of group) {
    const value = ndcg(
      {
        scores: scores.slice(start, start + size),
        labels: Float64Array.from(label.subarray(start, start + size)),
        groups: [size],
      },
      { at: AT },
    )
    each.push(value)
    start += size
  }
  return Float64Array.from(each.filter((value) => !Number.isNaN(value)))
}

function meanInterval(values: Float64Array, seed: number): Interval {
  return values.length < 2 ? exactly(mean(values)) : bootstrap(values, { statistic: mean, seed, resamples: 1000 })
}

function claims([mart, dart, plain]: readonly Ranked[], seed: number): Claim[] {
  if (!mart || !dart || !plain) return []
  const difference = (a: Ranked, b: Ranked) =>
    meanInterval(
      a.each.map((value, i) => value - (b.each[i] as number)),
      seed,
    )
  return [
    {
      text: 'DART ranks better than the route’s last day (NDCG difference)',
      measured: difference(dart, plain),
      above: 0,
    },
    {
      text: 'DART loses no more than 0.03 NDCG to MART, each at its own learning rate',
      measured: difference(dart, mart),
      above: -0.03,
    },
  ]
}
