import { describe, expect, it } from 'vitest'
import { isFtError } from '@ft/core'
import { predict, train, type Trained, type TrainInput, type TrainOptions } from '../src/index.ts'
import { makeData } from './support/made.ts'
import { boostNaive, recompute } from './support/naive.ts'

const data = makeData(600)
const test = makeData(300, { seed: 2 })
const quick: TrainOptions = { objective: 'squared', rounds: 30, maxDepth: 4 }

function rmse(scores: Float64Array, label: Float64Array): number {
  return Math.sqrt(scores.reduce((sum, score, row) => sum + (score - (label[row] ?? 0)) ** 2, 0) / scores.length)
}

async function code(input: TrainInput, options: TrainOptions): Promise<[string, string]> {
  try {
    await train(input, options)
  } catch (error) {
    if (isFtError(error)) return [error.code, error.message]
    throw error
  }
  return ['none', '']
}

describe('against a plain exact booster', () => {
  // Few distinct values, so that bins are values and both see the same cuts; eighths, so that every sum is exact.
  const coarse = (rows: number, missing: boolean) => {
    const made = makeData(rows, { columns: 4, seed: 9 })
    for (let i = 0; i < made.features.data.length; i++) {
      const value = made.features.data[i] ?? 0
      made.features.data[i] = missing && value > 0.85 ? NaN : Math.round(value * 40) / 8
    }
    return { ...made, label: made.label.map((value) => Math.round(value * 8) / 8) }
  }
  it.each([
    ['one tree, no missing', 1, false],
    ['one tree, missing values', 1, true],
    ['twelve trees, missing values', 12, true],
  ])('%s: the same training scores', async (_, rounds, missing) => {
    const made = coarse(256, missing)
    const { model } = await train(made, {
      objective: 'squared',
      rounds,
      learningRate: 0.5,
      dropout: false,
      maxDepth: 4,
      l2: 1,
      minHessian: 1,
    })
    const naive = boostNaive(made.list, made.label, {
      rounds,
      learningRate: 0.5,
      maxDepth: 4,
      l2: 1,
      minHessian: 1,
    }).at(-1) as Float64Array
    const ours = predict(model, made.features, { output: 'raw' })
    // Gains are summed in another order and packed to 31 bits: the trees must be the same, the values to rounding.
    ours.forEach((score, row) => expect(Math.abs(score - (naive[row] ?? NaN))).toBeLessThan(1e-6))
  })

  it('keeps minRows on both sides of every split', async () => {
    const made = coarse(256, true)
    const { model } = await train(made, {
      objective: 'squared',
      rounds: 5,
      dropout: false,
      maxDepth: 6,
      minRows: 20,
      l2: 0,
    })
    const leaves = predict(model, made.features, { output: 'leaf' })
    model.trees.forEach((tree, t) => {
      const counts = new Map<number, number>()
      made.list.forEach((_, row) =>
        counts.set(leaves[row * 5 + t] ?? -1, (counts.get(leaves[row * 5 + t] ?? -1) ?? 0) + 1),
      )
      expect(counts.size).toBe(tree.value.length)
      expect(Math.min(...counts.values())).toBeGreaterThanOrEqual(20)
    })
    const naive = boostNaive(made.list, made.label, {
      rounds: 1,
      learningRate: 1,
      maxDepth: 3,
      l2: 1,
      minHessian: 0,
      minRows: 30,
    })[0] as Float64Array
    const one = await train(made, {
      objective: 'squared',
      rounds: 1,
      learningRate: 1,
      dropout: false,
      maxDepth: 3,
      l2: 1,
      minHessian: 0,
      minRows: 30,
    })
    predict(one.model, made.features).forEach((score, row) =>
      expect(Math.abs(score - (naive[row] ?? NaN))).toBeLessThan(1e-6),
    )
  })
})

describe('training', () => {
  it('learns: far below the error of the mean', async () => {
    const { model } = await train(data, { ...quick, rounds: 80 })
    const mean = data.label.reduce((sum, value) => sum + value, 0) / data.label.length
    expect(rmse(predict(model, test.features), test.label)).toBeLessThan(
      0.45 * rmse(new Float64Array(300).fill(mean), test.label),
    )
  })

  it('DART without drops is MART, bit for bit', async () => {
    const mart = await train(data, { ...quick, dropout: false, learningRate: 0.2 })
    const dart = await train(data, { ...quick, dropout: { dropRate: 0, plusOne: false }, learningRate: 0.2 })
    expect(predict(dart.model, test.features)).toEqual(predict(mart.model, test.features))
    expect(mart.model.weights).toEqual(new Float64Array(30).fill(0.2))
  })

  it.each([
    ['threads', { threads: 2 }],
    ['no leaf cache', { leafCacheBytes: 0 }],
    ['half a leaf cache', { leafCacheBytes: 600 * 15 }],
  ])('%s: the same model bits', async (_, change) => {
    const options: TrainOptions = {
      ...quick,
      dropout: { dropRate: 0.2 },
      rowFraction: 0.7,
      columnFraction: 0.8,
      nodeColumnFraction: 0.7,
    }
    const input = { ...data, validation: test }
    const plain = await train(input, options)
    const other = await train(input, { ...options, ...change })
    expect(other.model).toEqual(plain.model)
    expect(other.history).toEqual(plain.history)
  })

  it.each([2, 3, 5])('%i threads on enough rows to share give the same bits', async (threads) => {
    const large = makeData(40_000, { task: 'binary', missing: 0.1 })
    const options: TrainOptions = { objective: 'logistic', rounds: 6, dropout: { dropRate: 0.3 } }
    for (const more of [{}, { minRows: 30, l1: 0.5, growth: 'leaf' as const }]) {
      const one = await train(large, { ...options, ...more })
      const many = await train(large, { ...options, ...more, threads })
      expect(many.model).toEqual(one.model)
    }
  })

  it('the same seed gives the same bits, another seed other trees; the drop seed moves only the drops', async () => {
    const run = (more: Partial<TrainOptions>) => train(data, { ...quick, rowFraction: 0.5, ...more })
    const [a, b, c, d] = [
      await run({}),
      await run({}),
      await run({ seed: 2 }),
      await run({ dropout: { dropSeed: 99 } }),
    ]
    expect(b.model).toEqual(a.model)
    expect(c.model.trees[0]).not.toEqual(a.model.trees[0])
    // The first round drops nothing: another drop seed leaves its rows and its tree alone.
    expect(d.model.trees[0]).toEqual(a.model.trees[0])
    expect(d.history.map((record) => record.dropped)).not.toEqual(a.history.map((record) => record.dropped))
  })

  it('kept scores equal the model recomputed from its arrays after 500 rounds of drops', async () => {
    const { model, validationScores, bestRound } = await train(
      { ...data, validation: test },
      {
        objective: 'squared',
        rounds: 500,
        dropout: { dropRate: 0.05 },
        maxDepth: 3,
        metric: { name: 'rounds', better: 'higher', compute: increasing() },
      },
    )
    expect(bestRound).toBe(500)
    const fresh = recompute(model, test.list)
    const scale = Math.max(...fresh.map(Math.abs))
    validationScores?.forEach((score, row) => expect(Math.abs(score - (fresh[row] ?? NaN))).toBeLessThan(1e-9 * scale))
  })

  /** A metric that says each round is better than the one before. */
  function increasing(): () => number {
    let calls = 0
    return () => calls++
  }

  it('early stopping restores the best round: predictions equal the scores recorded then', async () => {
    const noisy = makeData(150, { seed: 4 })
    for (const dropout of [false, { dropRate: 0.1 }, 'paper'] as const) {
      const out = await train(
        { ...noisy, validation: test },
        { objective: 'squared', rounds: 400, dropout, learningRate: 0.8, maxDepth: 6, earlyStopping: 30 },
      )
      expect(out.history.length).toBeLessThan(400)
      expect(out.history.length).toBe(out.bestRound + 30)
      expect(out.model.trees.length).toBe(out.bestRound)
      const best = Math.min(...out.history.map((record) => record.validation ?? Infinity))
      expect(out.history[out.bestRound - 1]?.validation).toBe(best)
      const restored = predict(out.model, test.features, { output: 'raw' })
      const recorded = out.validationScores as Float64Array
      restored.forEach((score, row) =>
        expect(Math.abs(score - (recorded[row] ?? NaN))).toBeLessThanOrEqual(1e-12 * Math.max(1, Math.abs(score))),
      )
      expect(rmse(restored, test.label)).toBeCloseTo(best, 9)
    }
  })

  it('a prefix of a dropped-out model is not the model of that round; the restored weights are', async () => {
    const long = await train(data, { ...quick, rounds: 60, dropout: { dropRate: 0.2 } })
    const short = await train(data, { ...quick, rounds: 30, dropout: { dropRate: 0.2 } })
    expect(long.model.trees.slice(0, 30)).toEqual(short.model.trees)
    expect(predict(long.model, test.features, { rounds: 30 })).not.toEqual(predict(short.model, test.features))
  })

  it.each(['squared', 'absolute', 'logistic', 'poisson', 'softmax'] as const)(
    '%s: weights of 0 alone teach nothing, and break nothing',
    async (objective) => {
      const none = new Float64Array(data.label.length)
      const input = { features: data.features, label: none, weight: none }
      const { model } = await train(input, { objective, rounds: 3, minHessian: 0 })
      const answers = predict(model, test.features)
      expect(answers.every((answer) => Number.isFinite(answer) && answer === answers[0])).toBe(true)
    },
  )

  it('a weight of three is a row three times', async () => {
    // Hundredths, so that both see one bin a value: bins follow rows, not weights.
    const coarse = { ...data.features, data: data.features.data.map((value) => Math.round(value * 100) / 100) }
    const copies = Float64Array.from(data.label, (_, row) => 1 + (row % 3))
    const rows = [...copies].flatMap((count, row) => Array<number>(count).fill(row))
    const repeated = {
      data: Float32Array.from(rows.flatMap((row) => [...coarse.data.subarray(row * 6, row * 6 + 6)])),
      rows: rows.length,
      columns: 6,
    }
    const options: TrainOptions = { objective: 'squared', rounds: 8, dropout: false, maxDepth: 3 }
    const weighted = await train({ features: coarse, label: data.label, weight: copies }, options)
    const twice = await train({ features: repeated, label: rows.map((row) => data.label[row] ?? 0) }, options)
    const [a, b] = [predict(weighted.model, test.features), predict(twice.model, test.features)]
    a.forEach((value, row) => expect(Math.abs(value - (b[row] ?? NaN))).toBeLessThan(1e-9))
  })

  it('monotone features stay monotone under dropout', async () => {
    const { model } = await train(data, {
      objective: 'squared',
      rounds: 60,
      monotone: { f3: 1, f2: -1 },
      dropout: { dropRate: 0.2 },
    })
    for (const row of test.list.slice(0, 40)) {
      const along = (feature: number) => {
        const grid = Float32Array.from({ length: 21 * 6 }, (_, i) =>
          i % 6 === feature ? Math.floor(i / 6) / 20 : (row[i % 6] ?? 0),
        )
        return predict(model, { data: grid, rows: 21, columns: 6 })
      }
      const [up, down] = [along(3), along(2)]
      for (let i = 1; i < 21; i++) {
        expect(up[i] ?? NaN).toBeGreaterThanOrEqual((up[i - 1] ?? NaN) - 1e-9)
        expect(down[i] ?? NaN).toBeLessThanOrEqual((down[i - 1] ?? NaN) + 1e-9)
      }
    }
  })

  it('leaf-wise growth makes the asked number of leaves, largest gains first', async () => {
    const { model } = await train(data, {
      objective: 'squared',
      rounds: 3,
      growth: 'leaf',
      maxLeaves: 12,
      dropout: false,
    })
    for (const tree of model.trees) {
      expect(tree.value.length).toBe(12)
      expect(tree.gain[0]).toBe(Math.max(...tree.gain))
    }
  })

  it('stops when told to', async () => {
    const controller = new AbortController()
    const seen: number[] = []
    const run = train(data, {
      ...quick,
      rounds: 10_000,
      signal: controller.signal,
      onProgress: ({ done, total }) => {
        seen.push(done, total)
        if (done >= 10) controller.abort()
      },
    })
    await expect(run).rejects.toMatchObject({ code: 'ABORTED' })
    expect(seen.slice(0, 2)).toEqual([1, 10_000])
  })
})

describe('objectives', () => {
  const losses: [string, TrainOptions, (out: Trained) => void][] = [
    ['absolute', { objective: 'absolute' }, () => {}],
    ['huber', { objective: 'huber', delta: 2 }, () => {}],
    ['poisson', { objective: 'poisson' }, () => {}],
  ]
  it.each(losses)('%s lowers its own metric by more than a third', async (_, options) => {
    const positive = { ...data, label: data.label.map((value) => Math.max(0, Math.round(value))) }
    const { history } = await train(positive, {
      ...options,
      rounds: 60,
      dropout: false,
      trackTraining: true,
      maxDepth: 4,
    })
    const [first, last] = [history[0]?.train ?? NaN, history.at(-1)?.train ?? NaN]
    expect(last).toBeLessThan(0.67 * first)
  })

  it('quantile covers the share it names', async () => {
    const large = makeData(4000, { seed: 7 })
    for (const alpha of [0.1, 0.5, 0.9]) {
      const { model } = await train(large, {
        objective: 'quantile',
        alpha,
        rounds: 60,
        dropout: false,
        learningRate: 0.2,
        maxDepth: 3,
        minRows: 20,
      })
      const below =
        predict(model, large.features).reduce((count, q, row) => count + Number((large.label[row] ?? 0) <= q), 0) / 4000
      // On the training rows the fit only ever moves leaves to their quantile: 3 points of slack for shrinkage.
      expect(Math.abs(below - alpha)).toBeLessThan(0.03)
    }
  })

  it('logistic gives probabilities that match frequencies, softmax sums to one and equals logistic for two classes', async () => {
    const binary = makeData(3000, { task: 'binary' })
    const { model } = await train(binary, { objective: 'logistic', rounds: 60 })
    const p = predict(model, binary.features)
    expect(
      Math.abs(
        p.reduce((sum, value) => sum + value, 0) / 3000 - binary.label.reduce((sum, value) => sum + value, 0) / 3000,
      ),
    ).toBeLessThan(0.01)
    const classes = makeData(1500, { task: 'classes' })
    const many = await train(classes, { objective: 'softmax', rounds: 30 })
    expect(many.model.trees.length).toBe(90)
    const q = predict(many.model, classes.features)
    let right = 0
    classes.label.forEach((label, row) => {
      const row3 = q.subarray(3 * row, 3 * row + 3)
      expect((row3[0] ?? 0) + (row3[1] ?? 0) + (row3[2] ?? 0)).toBeCloseTo(1, 12)
      if (row3.indexOf(Math.max(...row3)) === label) right++
    })
    expect(right / 1500).toBeGreaterThan(0.9)
  })

  it('a custom objective equal to a built-in one gives the built-in model', async () => {
    const own = {
      name: 'half squared',
      baseScore: data.label.reduce((sum, value) => sum + value, 0) / data.label.length,
      derive: (scores: Float64Array, labels: Float64Array, g: Float64Array, h: Float64Array) => {
        scores.forEach((score, row) => {
          g[row] = score - (labels[row] ?? 0)
          h[row] = 1
        })
      },
    }
    const [built, custom] = [await train(data, quick), await train(data, { ...quick, objective: own })]
    expect(custom.model.trees).toEqual(built.model.trees)
    expect(predict(custom.model, test.features)).toEqual(predict(built.model, test.features))
  })
})

describe('prediction', () => {
  it('one row, few rows and many rows give the same bits, twice', async () => {
    const { model } = await train(makeData(500, { missing: 0.1 }), { ...quick, maxDepth: 10 })
    const many = makeData(1000, { seed: 3, missing: 0.1 })
    const all = predict(model, many.features)
    expect(predict(model, many.features)).toEqual(all)
    const each = many.list.map((row) => predict(model, { data: row, rows: 1, columns: 6 })[0])
    expect(each).toEqual([...all])
    expect([...recompute(model, many.list)]).toEqual([...all])
  })

  it('takes records by name, in any order, with null for missing', async () => {
    const records = data.list.map((row) => ({ a: row[0] ?? 0, b: row[3] ?? 0, flag: (row[2] ?? 0) > 0.5 }))
    const { model } = await train({ features: records, label: data.label }, quick)
    expect(model.featureNames).toEqual(['a', 'b', 'flag'])
    const [one] = predict(model, [{ flag: true, b: 0.5, a: 0.25 }])
    const [same] = predict(model, { data: Float32Array.of(0.25, 0.5, 1), rows: 1, columns: 3 })
    expect(one).toBe(same)
    expect(Number.isFinite(predict(model, [{ a: null, b: undefined, flag: false }])[0])).toBe(true)
  })
})

describe('bad input', () => {
  const ok = { ...data }
  const cases: [string, TrainInput, TrainOptions, string, RegExp][] = [
    [
      'a NaN label',
      { ...ok, label: data.label.map((v, i) => (i === 7 ? NaN : v)) },
      quick,
      'INVALID_ARGUMENT',
      /label: row 7 is NaN/,
    ],
    ['too few labels', { ...ok, label: [1, 2] }, quick, 'SHAPE_MISMATCH', /expected 600 values/],
    [
      'an infinite feature',
      { ...ok, features: { ...data.features, data: data.features.data.map((v, i) => (i === 13 ? Infinity : v)) } },
      quick,
      'INVALID_ARGUMENT',
      /row 2, column f1/,
    ],
    [
      'a wrong shape',
      { ...ok, features: { data: new Float32Array(7), rows: 2, columns: 4 } },
      quick,
      'SHAPE_MISMATCH',
      /need 8 values, got 7/,
    ],
    [
      'sizes below 0',
      { ...ok, features: { ...data.features, rows: -600, columns: -6 } },
      quick,
      'INVALID_ARGUMENT',
      /must be whole numbers, got -600 and -6/,
    ],
    [
      'data that are refused while threads start',
      { ...ok, features: { ...data.features, rows: 1200, columns: 3.5 } },
      { ...quick, threads: 3 },
      'INVALID_ARGUMENT',
      /got 1200 and 3.5/,
    ],
    ['a negative weight', { ...ok, weight: data.label.map(() => -1) }, quick, 'INVALID_ARGUMENT', /weight of row 0/],
    ['a bad class', { ...ok }, { ...quick, objective: 'logistic' }, 'INVALID_ARGUMENT', /takes 0 and 1/],
    [
      'a negative count',
      { ...ok, label: data.label.map(() => -1) },
      { ...quick, objective: 'poisson' },
      'INVALID_ARGUMENT',
      /counts/,
    ],
    ['NaN options', ok, { ...quick, learningRate: NaN }, 'INVALID_ARGUMENT', /learningRate/],
    [
      'a misspelt option',
      ok,
      { ...quick, learning_rate: 0.1 } as TrainOptions,
      'INVALID_ARGUMENT',
      /no option "learning_rate"; it has objective, rounds/,
    ],
    [
      'a misspelt dropout option',
      ok,
      { ...quick, dropout: { rate: 0.1 } as object },
      'INVALID_ARGUMENT',
      /no option "rate"; it has dropRate/,
    ],
    [
      'an unknown normalisation',
      ok,
      { ...quick, dropout: { normalize: 'paper' as 'tree' } },
      'INVALID_ARGUMENT',
      /dropout.normalize` must be one of 'tree', 'forest', 'lightgbm', 'none', got 'paper'/,
    ],
    [
      'an unknown growth',
      ok,
      { ...quick, growth: 'level' as 'depth' },
      'INVALID_ARGUMENT',
      /'depth', 'leaf', got 'level'/,
    ],
    ['a bad drop rate', ok, { ...quick, dropout: { dropRate: 2 } }, 'INVALID_ARGUMENT', /dropRate/],
    ['an unknown monotone feature', ok, { ...quick, monotone: { nose: 1 } }, 'INVALID_ARGUMENT', /no feature nose/],
    ['early stopping without validation', ok, { ...quick, earlyStopping: 5 }, 'INVALID_ARGUMENT', /validation/],
    [
      'other validation columns',
      { ...ok, validation: makeData(10, { columns: 3 }) },
      quick,
      'SHAPE_MISMATCH',
      /expected 6 columns/,
    ],
  ]
  it.each(cases)('%s is refused', async (_, input, options, expected, message) => {
    const [got, text] = await code(input, options)
    expect(got).toBe(expected)
    expect(text).toMatch(message)
  })

  it('one row, constant columns, all-missing columns and one class train to the base score', async () => {
    const one = await train({ features: { data: Float32Array.of(1, 2), rows: 1, columns: 2 }, label: [3] }, quick)
    expect(predict(one.model, { data: Float32Array.of(1, 2), rows: 1, columns: 2 })[0]).toBeCloseTo(3, 9)
    const flat = { data: new Float32Array(40).map((_, i) => (i % 2 ? NaN : 5)), rows: 20, columns: 2 }
    const constant = await train({ features: flat, label: Array.from({ length: 20 }, (_, i) => i) }, quick)
    predict(constant.model, flat).forEach((value) => expect(value).toBeCloseTo(9.5, 6))
    const single = await train({ ...data, label: data.label.map(() => 1) }, { ...quick, objective: 'logistic' })
    expect(predict(single.model, test.features)[0] ?? 0).toBeGreaterThan(0.999)
  })

  it('prediction with too few columns is refused', async () => {
    const { model } = await train(data, { ...quick, rounds: 2 })
    expect(() => predict(model, { data: new Float32Array(5), rows: 1, columns: 5 })).toThrow(/takes 6 columns, got 5/)
  })
})
