// Run by scripts/packed.mjs from a folder where the packed tarballs are installed, in both module forms.
const values = (count, step) => Float32Array.from({ length: count }, (_, i) => Math.sin(step * i))

export const checks = {
  'finds, locates and corrects a fault inside the kernel': async (load, assert) => {
    const { createKernels } = await load('@ft/abft-kernels')
    const { createWasmEngine } = await load('@ft/tensor-core/wasm')
    const engine = createWasmEngine({ threads: 1, instrumented: true })
    const kernels = createKernels({ engine })
    const a = { data: values(20 * 64, 3), shape: [20, 64], dtype: 'float32' }
    const weights = await kernels.prepare({ data: values(64 * 30, 7), shape: [64, 30], dtype: 'float32' })
    const clean = await kernels.matmul(a, weights)
    assert.equal(clean.report.status, 'clean')
    const fault = { site: { kind: 'accumulator', row: 11, column: 5, step: 9 }, effect: { kind: 'set', value: 1e6 } }
    const { output, report } = await kernels.matmul(a, weights, { scheme: 'row-column', faults: [fault] })
    assert.equal(report.status, 'corrected')
    assert.deepEqual(report.detections[0].region, { kind: 'element', row: 11, column: 5 })
    assert.deepEqual(output.data, clean.output.data)
    await engine.dispose()
  },
  'runs layers by shape for whoever measures': async (load, assert) => {
    const { default: loadRunner } = await load('@ft/abft-kernels/runner')
    const runner = await loadRunner({ engine: 'wasm', calibrate: false })
    const layer = { id: 'fc', m: 4, n: 8, k: 16, count: 1, dtype: 'float32', op: { kind: 'matmul', batch: 1 } }
    const { run, release } = await runner.prepare(layer, 'global', { seed: 1, chained: true })
    await run()
    release()
    assert.ok(runner.smallestDetectable(layer, 'row') > 0)
    await runner.dispose()
  },
  'loads the wrapper of TensorFlow.js models without TensorFlow.js': async (load, assert) => {
    const { protectTfjs } = await load('@ft/abft-kernels/tfjs')
    const model = { predict: () => undefined, layers: [] }
    await assert.rejects(protectTfjs({}, model, { plan: { scheme: 'column' } }), { code: 'INVALID_ARGUMENT' })
  },
  'writes checks into an ONNX model': async (load, assert) => {
    const { protectOnnx } = await load('@ft/abft-kernels/onnx')
    const { graphBuilder, serializeModel, parseModel } = await load('@ft/onnx')
    const b = graphBuilder({ name: 'net' })
    const w = b.initializer('w', { dtype: 'float32', shape: [8, 4], data: values(32, 5) })
    b.output(b.node('MatMul', [b.input('x', 'float32', [2, 8]), w], { outputs: ['y'] }), 'float32')
    const made = protectOnnx(serializeModel(b.build()), { scheme: 'row' })
    assert.deepEqual(made.unprotected, [])
    assert.equal(parseModel(made.bytes).graph.output.length, 2)
  },
}
