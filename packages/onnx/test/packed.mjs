// Run by scripts/packed.mjs from a folder where the packed tarballs are installed, in both module forms.
export const checks = {
  'builds, writes, reads and describes a model': async (load, assert) => {
    const { graphBuilder, linearLayers, modelFingerprint, parseModel, serializeModel } = await load('@ft/onnx')
    const b = graphBuilder({ name: 'net' })
    const x = b.input('x', 'float32', ['batch', 4])
    const w = b.initializer('w', { dtype: 'float32', shape: [4, 8], data: new Float32Array(32).fill(1) })
    b.output(b.node('MatMul', [x, w], { outputs: ['y'] }), 'float32', ['batch', 8])
    const model = parseModel(serializeModel(b.build()))
    const { layers } = linearLayers(model, { bind: { batch: 3 } })
    assert.deepEqual([layers[0].id, layers[0].m, layers[0].n, layers[0].k], ['y', 3, 8, 4])
    assert.match(modelFingerprint(model), /^sha256-[0-9a-f]{64}$/)
  },
  'damaged bytes are an FtError': async (load, assert) => {
    const { parseModel } = await load('@ft/onnx')
    const { isFtError } = await load('@ft/core')
    assert.throws(
      () => parseModel(new Uint8Array([1, 2, 3])),
      (error) => isFtError(error, 'CORRUPT_DATA'),
    )
  },
}
