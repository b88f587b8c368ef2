// Grows both ensembles on the sampled flights, a round of each in turn, and tells every round.
import { predict, train, type RoundEvent, type TrainOptions } from '@ft/dart'
import { createRandom } from '@ft/core/random'
import { auc, logLoss } from '@ft/core/statistics'
import { loadFlightsSample, type FlightsSample } from '../data/format.ts'
import type { GrowOrder, Name, News, Order, Round } from './messages.ts'

const sample = loadFlightsSample()
const tell = (news: News): void => postMessage(news)
let running = new AbortController()
let runs = 0

onmessage = ({ data }: MessageEvent<Order>) => {
  running.abort()
  running = new AbortController()
  if (data.kind === 'grow') grow(data, { run: runs++, signal: running.signal }).catch(report)
}

function report(error: unknown): void {
  const aborted = (error as { code?: string }).code === 'ABORTED'
  if (!aborted) tell({ kind: 'failed', why: String(error) })
}

async function grow(order: GrowOrder, { run, signal }: { run: number; signal: AbortSignal }): Promise<void> {
  const flights = await sample
  const parts = partsOf(flights, order)
  const share = parts.train.label.reduce((sum, value) => sum + value, 0) / parts.train.label.length
  const labels = parts.later.label
  tell({
    kind: 'loaded',
    run,
    train: parts.train.label.length,
    later: labels.length,
    features: flights.features,
    base: logLoss({ probabilities: new Float64Array(labels.length).fill(share), labels }),
    turned: parts.turned,
  })
  const one = async (name: Name, more: Partial<TrainOptions>): Promise<void> => {
    const begun = performance.now()
    const { model, history, bestRound } = await train(
      { ...parts.train, validation: parts.later },
      {
        objective: 'logistic',
        rounds: order.rounds,
        maxDepth: order.depth,
        minHessian: 5,
        seed: order.seed,
        signal,
        onRound: (event) => tell(roundOf(event, { run, name })),
        ...more,
      },
    )
    tell({
      kind: 'grown',
      run,
      name,
      best: { round: bestRound, loss: history[bestRound - 1]?.validation ?? NaN },
      last: history.at(-1)?.validation ?? NaN,
      auc: auc({ scores: predict(model, parts.later.features, { output: 'raw' }), labels }),
      milliseconds: performance.now() - begun,
    })
  }
  // They take turns at the event loop
  await Promise.all([
    one('MART', { dropout: false, learningRate: order.martRate }),
    one('DART', { dropout: { dropRate: order.drop }, learningRate: order.dartRate }),
  ])
}

function partsOf({ data, features, train: rows, rows: all, label }: FlightsSample, { noise, seed }: GrowOrder) {
  const columns = features.length
  const part = (start: number, end: number) => ({
    features: { data: data.subarray(start * columns, end * columns), rows: end - start, columns },
    label: label.slice(start, end),
  })
  const own = part(0, rows)
  const random = createRandom(seed).stream('turned labels')
  let turned = 0
  own.label.forEach((value, row) => {
    if (!random.bernoulli(noise)) return
    own.label[row] = 1 - value
    turned++
  })
  return { train: own, later: part(rows, all), turned }
}

function roundOf(event: RoundEvent, { run, name }: { run: number; name: Name }): Round {
  const tree = event.trees[0]
  const plain = (values: ArrayLike<number> | undefined) => Array.from(values ?? [])
  return {
    kind: 'round',
    run,
    name,
    round: event.round,
    loss: event.validation ?? NaN,
    tree: {
      left: plain(tree?.left),
      right: plain(tree?.right),
      feature: plain(tree?.feature),
      value: plain(tree?.value),
    },
    dropped: plain(event.dropped),
    weights: plain(event.weights),
  }
}
