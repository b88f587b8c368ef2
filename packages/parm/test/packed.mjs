// Run by scripts/packed.mjs from a folder where the packed tarballs are installed, in both module forms.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const float32 = (values, shape) => ({ data: Float32Array.from(values), shape, dtype: 'float32' })

export const checks = {
  'serves a model folder from worker processes and reconstructs a lost answer exactly': async (load, assert) => {
    const { createGateway, fingerprintOf, firstWins, sum, writeModelFolder } = await load('@ft/parm')
    const folder = mkdtempSync(join(tmpdir(), 'ft-packed-'))
    const layers = (bias) => [{ weights: float32([1, 2, 3, 4], [2, 2]), bias: float32([bias, bias], [2]), relu: false }]
    const parity = { baseFingerprint: fingerprintOf(layers(1)), code: 'sum', k: 2 }
    await writeModelFolder(join(folder, 'base'), { layers: layers(1) })
    await writeModelFolder(join(folder, 'parity'), { layers: layers(2), parity })
    const worker = (name) => ({ worker: { folder: join(folder, name) } })
    const gateway = await createGateway({
      model: 'm',
      instances: [worker('base'), worker('base')],
      parityInstances: [worker('parity')],
      code: sum({ k: 2 }),
      policy: firstWins(),
    })
    try {
      process.kill(gateway.snapshot().instances[0].pid, 'SIGSTOP')
      const response = await fetch(`${gateway.url}/v2/models/m/infer`, {
        method: 'POST',
        body: JSON.stringify({ inputs: [{ name: 'input', datatype: 'FP32', shape: [2, 2], data: [1, 1, 2, 0] }] }),
      })
      const reply = await response.json()
      assert.deepEqual(reply.outputs[0].data, [5, 7, 3, 5])
      assert.equal(reply.parameters['ft.quality'], 'reconstructed')
    } finally {
      await gateway.close()
      rmSync(folder, { recursive: true })
    }
  },
  'misuse is an FtError': async (load, assert) => {
    const { sum } = await load('@ft/parm')
    const { isFtError } = await load('@ft/core')
    assert.throws(
      () => sum({ k: 0 }),
      (error) => isFtError(error, 'INVALID_ARGUMENT'),
    )
  },
}
