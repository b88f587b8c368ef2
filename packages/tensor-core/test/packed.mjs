// Run by scripts/packed.mjs from a folder where the packed tarballs are installed, in both module forms.
const values = (count, step) => Float32Array.from({ length: count }, (_, i) => Math.sin(step * i))
const a = { data: values(37 * 80, 3), shape: [37, 80], dtype: 'float32' }
const b = { data: values(80 * 41, 7), shape: [80, 41], dtype: 'float32' }

export const checks = {
  'wasm agrees with the reference, with and without emitted sums': async (load, assert) => {
    const { createEngine } = await load('@ft/tensor-core')
    const [wasm, reference] = [await createEngine('wasm', { threads: 1 }), await createEngine('reference')]
    const plain = await wasm.matmul(a, b)
    const emitted = await wasm.matmul(a, b, { emit: { rowSums: true, columnSums: true } })
    assert.deepEqual(emitted.output.data, plain.output.data)
    const exact = await reference.matmul(a, b)
    // 80 products below 1: sequential float32 rounding stays below 80 * 80 * 2^-24.
    plain.output.data.forEach((value, i) => assert.ok(Math.abs(value - exact.output.data[i]) < 80 * 80 * 2 ** -24))
    await wasm.dispose()
  },
  'two threads, started from the package, give the same bits': async (load, assert) => {
    const { createWasmEngine } = await load('@ft/tensor-core/wasm')
    const [one, two] = [createWasmEngine({ threads: 1 }), createWasmEngine({ threads: 2 })]
    assert.deepEqual((await two.matmul(a, b)).output.data, (await one.matmul(a, b)).output.data)
    await Promise.all([one.dispose(), two.dispose()])
  },
  'webgpu computes, or says what is missing': async (load, assert) => {
    const { createWebgpuEngine } = await load('@ft/tensor-core/webgpu')
    const engine = await createWebgpuEngine().catch((error) => error)
    if (engine instanceof Error) {
      assert.equal(engine.code, 'ENGINE_UNAVAILABLE')
      assert.match(engine.message, /npm install webgpu|no adapter/)
      return
    }
    const one = { data: Float32Array.of(3), shape: [1, 1], dtype: 'float32' }
    assert.deepEqual([...(await engine.matmul(one, one)).output.data], [9])
    await engine.dispose()
  },
  'gpujs computes, or says what is missing': async (load, assert) => {
    const { createGpujsEngine } = await load('@ft/tensor-core/gpujs')
    const engine = await createGpujsEngine().catch((error) => error)
    if (engine instanceof Error) {
      assert.equal(engine.code, 'ENGINE_UNAVAILABLE')
      assert.match(engine.message, /npm install gpu\.js/)
      return
    }
    const one = { data: Float32Array.of(3), shape: [1, 1], dtype: 'float32' }
    assert.deepEqual([...(await engine.matmul(one, one)).output.data], [9])
    await engine.dispose()
  },
  'tfjs chooses a backend, or says what is missing': async (load, assert) => {
    const { selectTfjsBackend } = await load('@ft/tensor-core/tfjs')
    const chosen = await selectTfjsBackend().catch((error) => error)
    if (!(chosen instanceof Error)) return assert.ok(chosen.backend)
    assert.equal(chosen.code, 'MISSING_PEER')
    assert.match(chosen.message, /npm install @tensorflow\/tfjs/)
  },
}
