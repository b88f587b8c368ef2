// Checks of the packed package as a user gets it: every subpath, in both module forms.
export const checks = {
  async 'random streams have their pinned numbers'(load, assert) {
    const { createRandom, restoreRandom } = await load('@ft/core/random')
    const random = createRandom(7).stream('faults')
    assert.equal(random.integer(0, 31), 19)
    assert.equal(restoreRandom(random.state()).uint32(), random.uint32())
  },
  async 'exp and log invert each other'(load, assert) {
    const { exp, log } = await load('@ft/core/math')
    assert.equal(exp(1), 2.718281828459045)
    assert.equal(log(10), 2.302585092994046)
  },
  async 'every float16 pattern returns'(load, assert) {
    const { decodeFloat16, encodeFloat16 } = await load('@ft/core/formats')
    for (let pattern = 0; pattern < 0x7c00; pattern++) assert.equal(encodeFloat16(decodeFloat16(pattern)), pattern)
  },
  async 'fault lists are saved and read'(load, assert) {
    const { parseFaultList, sampleFaults, saveFaultList, bitFlips } = await load('@ft/core/faults')
    const layer = { id: 'a', m: 2, n: 2, k: 2, count: 1, dtype: 'int8', op: { kind: 'matmul', batch: 1 } }
    const list = sampleFaults([layer], { model: bitFlips(), count: 5, seed: 1 })
    assert.deepEqual(parseFaultList(saveFaultList(list)), list)
  },
  async 'statistics give intervals'(load, assert) {
    const { wilson } = await load('@ft/core/statistics')
    assert.equal(wilson({ successes: 0, trials: 1000 }).high.toFixed(4), '0.0038')
  },
  async 'errors are known across module forms'(load, assert) {
    const { isFtError, tensor } = await load('@ft/core')
    const { FtError } = await import('@ft/core')
    assert.ok(isFtError(new FtError('IO', 'x'), 'IO'))
    assert.throws(
      () => tensor([1], [2]),
      (error) => isFtError(error, 'SHAPE_MISMATCH'),
    )
  },
}
