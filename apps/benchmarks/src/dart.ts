// Bench "dart": training and prediction beside XGBoost (python3-xgboost), one process each, in turns; CPU seconds.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { predict, type TrainOptions } from '@ft/dart'
import type { Bench, BenchContext } from './bench.ts'
import { flights } from './dartFlights.ts'
import { openPeer, type Peer } from './dartPeer.ts'
import {
  emitPairs,
  makeData,
  makeOneHot,
  ours,
  part,
  type Cost,
  type Data,
  type Pair,
  type Result,
} from './dartRuns.ts'

/** The data of all parts but flights and threads, and the peer that reads them. */
interface Field {
  readonly data: Data
  readonly peer: Peer | undefined
}

const parts: Readonly<Record<string, (context: BenchContext, field: () => Field, folder: string) => Promise<void>>> = {
  mart: (context, field) =>
    race(context, field(), {
      name: 'MART 80,000 x 50, 100 trees',
      options: { dropout: false },
      trees: 100,
      rounds: context.quick ? 6 : 8,
      target: 'ratio <= 1.0',
    }),
  dart100: (context, field) =>
    race(context, field(), {
      name: 'DART 80,000 x 50, 100 trees, drop 0.1',
      options: { dropout: { dropRate: 0.1 } },
      trees: 100,
      rounds: context.quick ? 1 : 6,
      target: 'ratio <= 0.1',
    }),
  dart500: (context, field) => manyDrops(context, field()),
  round300: (context, field) => dropCost(context, field().data),
  threads: (context) => threads(context),
  flights: (context, _, folder) => flights(context, folder),
  predict: (context, field) => prediction(context, field()),
  goss: (context) => oneSided(context),
  bundles: (context) => bundles(context),
  columns: (context) => columnCopies(context),
}

export const dart: Bench = {
  name: 'dart',
  title: 'Boosted trees beside XGBoost (hist), CPU seconds of one thread, binning included',
  parts: Object.keys(parts),
  async run(context) {
    for (const [name, run] of Object.entries(parts)) {
      if (!context.wants(name)) continue
      const folder = mkdtempSync(join(tmpdir(), 'ft-bench-dart-'))
      try {
        await run(context, () => openField(context, folder), folder)
      } finally {
        rmSync(folder, { recursive: true, force: true })
      }
    }
  },
}

function openField(context: BenchContext, folder: string): Field {
  const data = makeData(100_000, 50, context.seed)
  return { data, peer: openPeer(context, folder, data) }
}

interface Race {
  readonly name: string
  readonly options: Partial<TrainOptions>
  readonly trees: number
  readonly rounds: number
  readonly target: string
}

async function race(context: BenchContext, { data, peer }: Field, given: Race): Promise<void> {
  const { name, options, trees, rounds, target } = given
  const dropRate = typeof options.dropout === 'object' ? (options.dropout.dropRate ?? 0) : 0
  const pairs: Pair<Cost>[] = []
  for (let round = 0; round < rounds; round++) {
    const own = await ours(data, options, trees)
    pairs.push({ own, other: peer?.train({ dropRate, trees, threads: 1 }) })
  }
  const lines = { name, baseline: 'XGBoost', pairs }
  emitPairs(context, lines, { metric: 'train', unit: 'CPU s', of: ({ cpu }) => cpu, target })
  emitPairs(context, lines, { metric: 'test AUC', unit: '', of: ({ auc }) => auc })
}

/**
 * DART of 500 trees. XGBoost follows all trees for all rows every round: its time is a t + b t^2, from runs of 50 and 100
 * trees, and is extrapolated, for 500 trees would take it a quarter of an hour.
 */
async function manyDrops(context: BenchContext, { data, peer }: Field): Promise<void> {
  const dropRate = 0.1
  const trees = context.quick ? 200 : 500
  const pairs: Pair<{ cpu: number }>[] = []
  for (let round = 0; round < (context.quick ? 1 : 6); round++) {
    const own = await ours(data, { dropout: { dropRate } }, trees)
    const spent = (count: number) => peer?.train({ dropRate, trees: count, threads: 1 }).cpu ?? NaN
    const [half, whole] = [spent(50), spent(100)]
    const b = (whole - 2 * half) / 5000
    const a = half / 50 - 50 * b
    pairs.push({ own, other: peer && { cpu: a * trees + b * trees * trees } })
  }
  emitPairs(
    context,
    {
      name: `DART 80,000 x 50, ${trees} trees, drop ${dropRate}`,
      baseline: 'XGBoost, extrapolated from 50 and 100 trees',
      pairs,
    },
    { metric: 'train', unit: 'CPU s', of: ({ cpu }) => cpu, target: 'ratio <= 0.04 at 500 trees' },
  )
}

/** A DART round beside a MART round, in one process, over 300 trees. */
async function dropCost(context: BenchContext, data: Data): Promise<void> {
  const trees = context.quick ? 100 : 300
  const pairs: Pair<Result>[] = []
  for (let round = 0; round < 6; round++) {
    const mart = await ours(data, { dropout: false }, trees)
    pairs.push({ own: await ours(data, { dropout: { dropRate: 0.1 } }, trees), other: mart })
  }
  emitPairs(
    context,
    { name: `DART round, drop 0.1, ${trees} trees`, baseline: 'MART', pairs },
    { metric: 'train', unit: 'CPU s', of: ({ cpu }) => cpu, target: 'ratio <= 1.3' },
  )
}

/** A fifth of the rows by gradient and a tenth of the others beside all rows, and beside three tenths drawn evenly. */
async function oneSided(context: BenchContext): Promise<void> {
  const data = makeData(250_000, 50, context.seed)
  const trees = context.quick ? 20 : 60
  const found: Record<'goss' | 'even', Pair<Result>[]> = { goss: [], even: [] }
  for (let round = 0; round < 6; round++) {
    const all = await ours(data, { dropout: false }, trees)
    found.goss.push({ own: await ours(data, { dropout: false, goss: true }, trees), other: all })
    found.even.push({ own: await ours(data, { dropout: false, rowFraction: 0.3 }, trees), other: all })
  }
  for (const [kind, name] of [
    ['goss', 'by gradient (GOSS 0.2, 0.1)'],
    ['even', '30 % drawn evenly'],
  ] as const) {
    const lines = {
      name: `${data.trainRows} x 50, ${trees} trees, ${name}`,
      baseline: 'all rows',
      pairs: found[kind],
    }
    emitPairs(context, lines, { metric: 'train', unit: 'CPU s', of: ({ cpu }) => cpu })
    emitPairs(context, lines, { metric: 'test AUC', unit: '', of: ({ auc }) => auc })
  }
}

/** One-hot columns that share bytes beside columns of their own: the same model. */
async function bundles(context: BenchContext): Promise<void> {
  const data = makeOneHot(context.quick ? 20_000 : 60_000, context.seed)
  const trees = 30
  const pairs: Pair<Result>[] = []
  for (let round = 0; round < 6; round++) {
    const plain = await ours(data, { dropout: false, bundle: false }, trees)
    pairs.push({ own: await ours(data, { dropout: false }, trees), other: plain })
  }
  const lines = {
    name: `${data.trainRows} x ${data.columns} one-hot, ${trees} trees, bundled`,
    baseline: 'unbundled',
    pairs,
  }
  emitPairs(context, lines, { metric: 'train', unit: 'CPU s', of: ({ cpu }) => cpu })
  emitPairs(context, lines, { metric: 'test AUC', unit: '', of: ({ auc }) => auc })
}

/** Bins by column too, beside bins by row alone: where the copy is made by default, and where it is not. */
async function columnCopies(context: BenchContext): Promise<void> {
  for (const [rows, columns, depth] of [
    [100_000, 50, 6],
    [context.quick ? 600_000 : 3_125_000, 21, 8],
  ] as const) {
    const data = makeData(rows, columns, context.seed)
    const trees = 20
    const options = { dropout: false, maxDepth: depth } as const
    const pairs: Pair<Result>[] = []
    for (let round = 0; round < 6; round++) {
      const byRow = await ours(data, { ...options, columnCopy: false }, trees)
      pairs.push({ own: await ours(data, { ...options, columnCopy: true }, trees), other: byRow })
    }
    const name = `${data.trainRows} x ${columns}, depth ${depth}, ${trees} trees, bins by column too`
    emitPairs(
      context,
      { name, baseline: 'by row alone', pairs },
      { metric: 'train', unit: 'CPU s', of: ({ cpu }) => cpu },
    )
  }
}

/** Wall time of one thread beside two. */
async function threads(context: BenchContext): Promise<void> {
  const data = makeData(500_000, 30, context.seed + 1)
  const trees = context.quick ? 20 : 40
  const pairs: Pair<Result>[] = []
  for (let round = 0; round < (context.quick ? 6 : 16); round++) {
    const one = await ours(data, { dropout: false }, trees)
    pairs.push({ own: one, other: await ours(data, { dropout: false, threads: 2 }, trees) })
  }
  const lines = { name: `${data.trainRows} x 30, ${trees} trees, one thread / two`, baseline: 'two threads', pairs }
  emitPairs(context, lines, { metric: 'train, wall', unit: 's', of: ({ wall }) => wall, target: 'ratio >= 1.4' })
  // What the wall time would be on two idle processors at best: it does not depend on what else the machine does.
  if (pairs.every(({ own, other }) => own.busiest > 0 && other && other.busiest > 0)) {
    emitPairs(context, lines, { metric: 'CPU of the busiest thread', unit: 's', of: ({ busiest }) => busiest })
  }
}

/** Predictions of all rows that are timed together, after a first one that is not. */
const PREDICTIONS = 5

async function prediction(context: BenchContext, { data, peer }: Field): Promise<void> {
  const trees = 100
  const { model } = await ours(data, { dropout: false }, trees)
  const { features } = part(data, 0, data.rows)
  predict(model, features)
  const pairs: Pair<number>[] = []
  for (let round = 0; round < (context.quick ? 6 : 12); round++) {
    const start = process.cpuUsage()
    for (let i = 0; i < PREDICTIONS; i++) predict(model, features)
    const { user, system } = process.cpuUsage(start)
    const own = ((user + system) * 1e3) / (PREDICTIONS * data.rows * trees)
    pairs.push({ own, other: peer?.predict({ threads: 1, repeats: PREDICTIONS }) })
  }
  emitPairs(
    context,
    { name: `predict, ${data.rows} x ${data.columns}, ${trees} trees`, baseline: 'XGBoost inplace', pairs },
    { metric: 'predict', unit: 'CPU ns a row and tree', of: (ns) => ns, target: 'ratio <= 0.8' },
  )
}
