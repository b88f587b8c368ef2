// Step "rank": which departures of a route and day will be the latest? LambdaMART with and without dropout.
import type { Interval } from '@ft/core'
import { bootstrap, mean } from '@ft/core/statistics'
import {
  crossValidate,
  ndcg,
  overSpecialization,
  predict,
  train,
  type CrossValidateOptions,
  type LabelledData,
  type OverSpecialization,
  type TrainOptions,
} from '@ft/dart'
import type { ChartSpec } from '@ft/report/charts'
import { departuresToRank, type DeparturesToRank, type Range } from '@ft/datasets'
import { exactly, type Claim, type Step, type StepContext } from '../story.ts'

const AT = 3
const FOLDS = 2
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
  /** How contributions are shared among the trees. */
  readonly shares: OverSpecialization | undefined
}

export const rankStep: Step = {
  name: 'rank',
  title: 'Rank the departures of each route and day by how late they will be',
  async run({ options, output, flights, chart }) {
    const { flights: all } = await flights()
    const lists = departuresToRank(all, { groups: options.quick ? 6000 : 10_000, seed: options.seed })
    const [learn, judge, test] = (['train', 'validate', 'test'] as const).map((part) => partOf(lists, part)) as [
      Part,
      Part,
      Part,
    ]
    output.text(
      `${lists.groupSizes.length.toLocaleString('en-US')} lists, ${lists.rows.toLocaleString('en-US')} departures; lists without a late ` +
        `departure are left out of NDCG. Learning rates are chosen by ${FOLDS} folds of the lists before June, the number of trees on 1 to 15 June; 16 to 30 June judge.`,
    )
    const ranked: Ranked[] = []
    for (const name of ['MART', 'DART'] as const) {
      const common = {
        objective: 'lambdarank',
        metric: `ndcg@${AT}`,
        maxDepth: 5,
        minRows: 20,
        dropout: name === 'MART' ? false : { dropRate: 0.05 },
        seed: options.seed,
        threads: options.threads,
      } satisfies Partial<TrainOptions>
      const learningRate = await bestRate(name, { learn, common, options, output })
      const { model, bestRound } = await train(
        { ...learn, validation: judge },
        {
          ...common,
          learningRate,
          rounds: options.quick ? 40 : 120,
          earlyStopping: 25,
          onProgress: (progress) => output.onProgress({ ...progress, phase: `${name}, learning rate ${learningRate}` }),
        },
      )
      const scores = predict(model, test.features, { output: 'raw' })
      const shares = bestRound > 0 ? overSpecialization(model, test.features) : undefined
      ranked.push({ name, learningRate, rounds: bestRound, each: eachList(scores, test), shares })
    }
    ranked.push({
      name: 'most late in the last 24 h on the route',
      learningRate: NaN,
      rounds: 0,
      each: eachList(routeLateness(lists), test),
      shares: undefined,
    })
    output.table(ranked, [
      { header: 'ranking', value: (row) => row.name },
      { header: 'learning rate', value: (row) => (Number.isNaN(row.learningRate) ? null : row.learningRate) },
      { header: 'trees', value: (row) => row.rounds || null, format: 'plain' },
      { header: `NDCG@${AT}`, value: (row) => meanInterval(row.each, options.seed), digits: 4 },
      { header: 'first tree’s share', value: (row) => row.shares?.firstTree, format: 'percent' },
      { header: 'last half’s share', value: (row) => row.shares?.lastHalf, format: 'percent' },
      {
        header: 'lists’ rows that the last half reaches',
        value: (row) => row.shares?.lastHalfReach,
        format: 'percent',
      },
    ])
    chart(contributions(ranked))
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

/** The learning rate with the best mean over the folds at its own best round. */
async function bestRate(
  name: 'MART' | 'DART',
  {
    learn,
    common,
    options,
    output,
  }: { learn: Part; common: CrossValidateOptions } & Pick<StepContext, 'options' | 'output'>,
): Promise<number> {
  let best = { learningRate: NaN, mean: -Infinity }
  for (const learningRate of GRID[name]) {
    const { best: at } = await crossValidate(learn, {
      ...common,
      learningRate,
      folds: FOLDS,
      rounds: options.quick ? 25 : 80,
      onProgress: (progress) =>
        output.onProgress({ ...progress, phase: `${name}, learning rate ${learningRate}, ${progress.phase}` }),
    })
    if (at.mean > best.mean) best = { learningRate, mean: at.mean }
  }
  return best.learningRate
}

function contributions(ranked: readonly Ranked[]): ChartSpec {
  return {
    title: 'Over-specialisation',
    subtitle: 'Mean contribution of each tree to a departure’s score, on the test lists',
    x: { label: 'tree' },
    y: { label: 'mean |weight x leaf value|', scale: 'log' },
    series: ranked.flatMap(({ name, shares }) =>
      shares
        ? [{ kind: 'line' as const, name, points: Array.from(shares.meanContribution, (y, i) => ({ x: i + 1, y })) }]
        : [],
    ),
  }
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
