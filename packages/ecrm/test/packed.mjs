// Run by scripts/packed.mjs from a folder where the packed tarballs are installed, in both module forms.
const ids = Array.from({ length: 1280 }, (_, i) => (i * 37) % 90)
const data = { dense: new Float32Array(1280).fill(1), categorical: [{ size: 90, ids }], label: ids.map((id) => id % 2) }

export const checks = {
  'trains on shard processes and survives a kill': async (load, assert) => {
    const { openShards, train } = await load('@ft/ecrm')
    const store = await openShards({ tables: [{ rows: 90 }], d: 4, k: 2, r: 1 })
    try {
      const onStep = ({ step }) => step === 3 && store.kill(0)
      const { history } = await train(data, { store, onStep })
      assert.equal(history.length, 10)
      assert.deepEqual(await store.recovered(), [])
      assert.equal(store.replacements, 1)
    } finally {
      await store.close()
    }
  },
  'rebuilds a unit of a code': async (load, assert) => {
    const { createCode } = await load('@ft/ecrm')
    const code = createCode({ k: 2, r: 1 })
    const parity = Uint32Array.of(5 ^ 9)
    assert.deepEqual(Array.from(code.reconstruct([undefined, Uint32Array.of(9), parity], 0)), [5])
  },
  'exports a model and advises': async (load, assert) => {
    const { openShards, train, wastedTime } = await load('@ft/ecrm')
    const { exportOnnx } = await load('@ft/ecrm/onnx')
    const store = await openShards({ tables: [{ rows: 90 }], d: 4, k: 2, r: 1, where: 'memory' })
    const { model } = await train(data, { store })
    assert.ok((await exportOnnx(model, { from: 'ids', store })).length > 1000)
    await store.close()
    const coding = { overhead: 0.04, rebuild: 20, slowdown: 0.13 }
    assert.equal(wastedTime({ meanTimeBetweenFailures: 240, checkpoint: { stall: 10 }, coding }).choose, 'coding')
  },
  'keeps shards in memory, without processes': async (load, assert) => {
    const { openShards } = await load('@ft/ecrm/memory')
    const store = await openShards({ tables: [{ rows: 90 }], d: 4, k: 2, r: 1 })
    const before = await store.snapshot()
    store.kill(1)
    assert.deepEqual(await store.recovered(), [])
    assert.deepEqual((await store.snapshot()).words, before.words)
    await store.close()
  },
  'gives shards to trainers elsewhere': async (load, assert) => {
    const { openShards, serveShards } = await load('@ft/ecrm')
    const token = 'a secret of the packed tests'
    const served = await Promise.all([1, 2, 3].map(() => serveShards({ listen: '127.0.0.1:0', token })))
    const shards = served.map(({ address }) => address)
    const store = await openShards({ tables: [{ rows: 90 }], d: 4, k: 2, r: 1, shards, token })
    assert.equal((await store.snapshot()).versions.length, 90)
    await store.close()
    await Promise.all(served.map((one) => one.close()))
  },
  'misuse is an FtError': async (load, assert) => {
    const { openShards } = await load('@ft/ecrm')
    const { isFtError } = await load('@ft/core')
    await assert.rejects(openShards({ tables: [], d: 4 }), (error) => isFtError(error, 'INVALID_ARGUMENT'))
  },
}
