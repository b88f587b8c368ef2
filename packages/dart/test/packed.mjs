// Run by scripts/packed.mjs from a folder where the packed tarballs are installed, in both module forms.
const features = { data: Float32Array.from({ length: 300 }, (_, i) => (i * 37) % 100), rows: 300, columns: 1 }
const label = Array.from(features.data, (x) => (x > 40 ? 3 : 1))

export const checks = {
  'trains, stops early and predicts the restored model': async (load, assert) => {
    const { predict, train } = await load('@ft/dart')
    const out = await train(
      { features, label, validation: { features, label } },
      { objective: 'squared', rounds: 60, dropout: { dropRate: 0.2 } },
    )
    const scores = predict(out.model, features, { output: 'raw' })
    scores.forEach((score, row) =>
      assert.ok(Math.abs(score - out.validationScores[row]) <= 1e-12 * Math.max(1, Math.abs(score))),
    )
    assert.ok(scores.every((score, row) => Math.abs(score - label[row]) < 0.1))
  },
  'two threads give the same bits': async (load, assert) => {
    const { train } = await load('@ft/dart')
    const options = { objective: 'squared', rounds: 10 }
    const [one, two] = [
      await train({ features, label }, options),
      await train({ features, label }, { ...options, threads: 2 }),
    ]
    assert.deepEqual(two.model, one.model)
  },
  'reads CSV, and models survive every form': async (load, assert) => {
    const dart = await load('@ft/dart')
    const csv = ['x,y', ...label.map((y, i) => `${features.data[i]},${y}`)].join('\n')
    const { model } = await dart.train(dart.takeLabel(dart.readCsv(csv), 'y'), { objective: 'squared', rounds: 10 })
    const scores = dart.predict(model, features)
    assert.deepEqual(dart.predict(dart.loadModel(dart.saveModel(model)), features), scores)
    for (const again of [dart.readXgboost(dart.writeXgboost(model)), dart.readLightgbm(dart.writeLightgbm(model))]) {
      dart.predict(again, features).forEach((score, row) => assert.ok(Math.abs(score - scores[row]) < 1e-6))
    }
    assert.equal(dart.toOnnx(model).graph.node.length, 1)
  },
  'misuse is an FtError': async (load, assert) => {
    const { train } = await load('@ft/dart')
    const { isFtError } = await load('@ft/core')
    await assert.rejects(train({ features, label: [1] }, { objective: 'squared' }), (error) =>
      isFtError(error, 'SHAPE_MISMATCH'),
    )
  },
}
