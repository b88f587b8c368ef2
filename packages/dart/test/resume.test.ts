import { describe, expect, it } from 'vitest'
import { loadModel, predict, train, type TrainInput, type TrainOptions } from '../src/index.ts'
import { makeData } from './support/made.ts'

const data = makeData(400, { missing: 0.1 })
const test = makeData(200, { seed: 2, missing: 0.1 })
const input: TrainInput = { ...data, validation: test }
const options: TrainOptions = {
  objective: 'squared',
  rounds: 40,
  maxDepth: 4,
  dropout: { dropRate: 0.15 },
  rowFraction: 0.7,
  columnFraction: 0.8,
  nodeColumnFraction: 0.7,
  checkpointEvery: 7,
}

/** Runs until the checkpoint of round `at`, then fails: a run that was killed. */
async function killedAt(at: number, run: TrainInput, given: TrainOptions): Promise<Uint8Array> {
  let kept: Uint8Array | undefined
  let seen = 0
  const killed = train(run, {
    ...given,
    onCheckpoint: (state) => {
      seen += given.checkpointEvery ?? 10
      if (seen < at) return
      kept = state
      throw new Error('killed')
    },
  })
  await expect(killed).rejects.toThrow('killed')
  return kept as Uint8Array
}

describe('a resumed run', () => {
  const cases: [string, TrainInput, TrainOptions][] = [
    ['with validation', input, options],
    ['without', data, options],
    ['with early stopping', input, { ...options, rounds: 200, earlyStopping: 10 }],
    ['MART', input, { ...options, dropout: false }],
    ['with rows chosen by gradient', input, { ...options, rowFraction: 1, goss: true }],
    [
      'of classes, past a recomputation of the scores',
      { ...makeData(200, { task: 'classes' }) },
      { ...options, objective: 'softmax', rounds: 110, checkpointEvery: 49 },
    ],
  ]
  it.each(cases)('%s gives the bits of one that was never ended', async (_, run, given) => {
    const whole = await train(run, given)
    for (const rounds of [given.checkpointEvery ?? 0, 2 * (given.checkpointEvery ?? 0)]) {
      const state = await killedAt(rounds, run, given)
      const resumed = await train(run, { ...given, resume: state, threads: 2, leafCacheBytes: 0 })
      expect(resumed).toEqual(whole)
    }
  })

  it('of other data or options is refused', async () => {
    const state = await killedAt(7, input, options)
    const refused = (run: TrainInput, given: TrainOptions) =>
      expect(train(run, { ...given, resume: state })).rejects.toMatchObject({ code: 'FINGERPRINT_MISMATCH' })
    await refused(input, { ...options, learningRate: 0.3 })
    await refused({ ...input, label: data.label.map((y) => y + 1) }, options)
    await refused(data, options)
    await refused(input, { ...options, seed: 9 })
    const judged = { ...test, initialScore: test.label.map(() => 1) }
    await refused({ ...data, initialScore: data.label.map(() => 1), validation: judged }, options)
    await refused({ ...data, validation: judged }, options)
    // Of equal length, in the place of one another.
    const ones = data.label.map(() => 1)
    const weighted = await killedAt(7, { ...data, weight: ones }, options)
    await expect(train({ ...data, initialScore: ones }, { ...options, resume: weighted })).rejects.toMatchObject({
      code: 'FINGERPRINT_MISMATCH',
    })
  })

  it('under another metric is refused: the best round so far was judged by the first', async () => {
    const state = await killedAt(7, input, options)
    await expect(train(input, { ...options, metric: 'mae', resume: state })).rejects.toMatchObject({
      code: 'FINGERPRINT_MISMATCH',
    })
    // Its name said aloud is no other metric.
    await expect(train(input, { ...options, metric: 'rmse', resume: state })).resolves.toEqual(
      await train(input, options),
    )
  })

  it('with empty queries counted otherwise is refused', async () => {
    const queries = (seed: number) => {
      const { features, label } = makeData(100, { seed })
      const group = new Array<number>(10).fill(10)
      return { features, label: label.map((_, row) => (row < 10 ? 0 : row % 3)), group }
    }
    const ranks: TrainOptions = { ...options, objective: 'lambdarank', emptyQuery: 1 }
    const run = { ...queries(1), validation: queries(2) }
    const state = await killedAt(7, run, ranks)
    const { emptyQuery: _, ...skipping } = ranks
    await expect(train(run, { ...skipping, resume: state })).rejects.toMatchObject({ code: 'FINGERPRINT_MISMATCH' })
  })

  it('from damaged bytes is refused', async () => {
    const state = await killedAt(7, input, options)
    const flipped = state.slice()
    flipped[100] = (flipped[100] ?? 0) ^ 1
    await expect(train(input, { ...options, resume: flipped })).rejects.toMatchObject({ code: 'CHECKSUM_MISMATCH' })
    await expect(train(input, { ...options, resume: state.subarray(0, state.length - 9) })).rejects.toMatchObject({
      code: 'CHECKSUM_MISMATCH',
    })
    expect(() => loadModel(state)).toThrow(/holds a checkpoint, not a model/)
  })
})

describe('going on from a model', () => {
  it('without dropout is the longer run: same trees, scores to rounding', async () => {
    const plain: TrainOptions = { objective: 'squared', rounds: 40, maxDepth: 4, dropout: false }
    const whole = await train(data, plain)
    const half = await train(data, { ...plain, rounds: 25 })
    const both = await train(data, { ...plain, rounds: 15, continueFrom: half.model })
    expect(both.model.trees.length).toBe(40)
    expect(both.bestRound).toBe(40)
    expect(both.model.trees.slice(0, 25)).toEqual(half.model.trees)
    const [a, b] = [predict(whole.model, test.features), predict(both.model, test.features)]
    // Scores are summed anew in the same order: gradients, and with them trees, are the same bits.
    expect(b).toEqual(a)
  })

  it('drops and re-weights the trees it was given', async () => {
    const half = await train(data, { ...options, rounds: 20 })
    const both = await train(input, { ...options, rounds: 20, continueFrom: half.model })
    expect(both.model.trees.slice(0, 20)).toEqual(half.model.trees.slice(0, 20))
    expect([...both.model.weights.subarray(0, 20)]).not.toEqual([...half.model.weights])
    const scores = predict(both.model, test.features, { output: 'raw' })
    scores.forEach((score, row) =>
      expect(Math.abs(score - (both.validationScores?.[row] ?? NaN))).toBeLessThan(1e-9 * Math.max(1, Math.abs(score))),
    )
  })

  it('takes a model grown on other rows, and keeps it where nothing gets better', async () => {
    const first = await train(makeData(300, { seed: 7 }), { ...options, rounds: 60, dropout: false })
    const noise = { ...data, label: data.label.map((_, row) => ((row * 7919) % 13) * 10) }
    const both = await train(
      { ...noise, validation: makeData(300, { seed: 8 }) },
      { ...options, continueFrom: first.model, earlyStopping: 3 },
    )
    expect(both.bestRound).toBe(60)
    expect(predict(both.model, test.features)).toEqual(predict(first.model, test.features))
  })

  it('with other columns is refused', async () => {
    const half = await train(data, { ...options, rounds: 2 })
    await expect(train(makeData(50, { columns: 4 }), { ...options, continueFrom: half.model })).rejects.toMatchObject({
      code: 'SHAPE_MISMATCH',
    })
  })

  it('reads categories in the codes of the model, whatever levels the new rows have', async () => {
    const rows = (levels: readonly string[]) => {
      const features = Array.from({ length: 120 }, (_, i) => ({ kind: levels[i % levels.length] as string, x: i % 11 }))
      return { features, label: features.map(({ kind, x }) => kind.charCodeAt(0) + x / 10) }
    }
    const first = await train(rows(['b', 'd', 'f']), { ...options, rounds: 40 })
    const both = await train(rows(['a', 'd']), { ...options, rounds: 1, dropout: false, continueFrom: first.model })
    expect(both.model.featureLevels).toEqual(first.model.featureLevels)
    // 'd' was learnt under code 1; as code 1 of the new levels it would be what 'a' is not.
    const [d] = predict(both.model, [{ kind: 'd', x: 5 }])
    expect(Math.abs((d ?? 0) - 100.5)).toBeLessThan(1)
  })
})
