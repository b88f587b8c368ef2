// Part of bench "parm-accuracy": a linear model is its own parity model, its bias k times: what the gateway reconstructs is
// then the model's output but for rounding, which checks the whole path from request to answer.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pixelsToFloat, readBaseModel, readImages } from '@ft/datasets'
import {
  createGateway,
  createModelRunner,
  createOipClient,
  denseFromTorch,
  fingerprintOf,
  hold,
  sum,
  toNamedTensor,
  toWireTensor,
  writeModelFolder,
  type Layer,
} from '@ft/parm'
import type { BenchContext } from './bench.ts'

const QUERIES = 400
const K = 2

export async function measureLinear(context: BenchContext): Promise<void> {
  const model = await readBaseModel('mnist-logistic')
  const base = denseFromTorch(model.tensors.map(({ tensor }) => tensor))
  const own = base.map((layer): Layer => {
    const bias = { ...layer.bias, data: Float32Array.from(layer.bias.data, (value) => K * value) }
    return { ...layer, bias }
  })
  const { images, labels } = await readImages('mnist', { part: 'test' })
  const inputs = { ...pixelsToFloat(images), shape: [labels.length, 784] }
  const wanted = createModelRunner(base)(inputs).data
  let right = 0
  labels.forEach((label, i) => {
    const row = wanted.subarray(10 * i, 10 * i + 10)
    if (row.indexOf(Math.max(...row)) === label) right++
  })
  context.emit({
    case: 'mnist logistic base',
    metric: 'right of 10,000',
    value: right,
    unit: 'images',
    target: `= ${model.testCorrect}`,
  })

  const folder = await mkdtemp(join(tmpdir(), 'parm-linear-'))
  const [baseFolder, parityFolder] = [join(folder, 'base'), join(folder, 'parity')]
  await writeModelFolder(baseFolder, { layers: base })
  const parity = { baseFingerprint: fingerprintOf(base), code: 'sum', k: K }
  await writeModelFolder(parityFolder, { layers: own, parity })
  const gateway = await createGateway({
    model: 'mnist',
    code: sum({ k: K }),
    policy: hold({ afterMs: 20 }),
    instances: [0, 1].map((i) => ({
      worker: { folder: baseFolder },
      concurrency: 16,
      faults: { seed: context.seed + i, late: { share: 0.3, ms: [300, 400] as const } },
    })),
    parityInstances: [{ worker: { folder: parityFolder }, concurrency: 16 }],
  })
  const client = createOipClient(gateway.url, { connections: 16, binary: true })
  let [reconstructed, worst, scale, next] = [0, 0, 0, 0]
  const caller = async (): Promise<void> => {
    for (let i = next++; i < QUERIES; i = next++) {
      const data = inputs.data.subarray(784 * i, 784 * i + 784)
      const x = toWireTensor({ name: 'input', data, shape: [1, 784], dtype: 'float32' })
      const answer = await client.infer('mnist', { request: { parameters: {}, inputs: [x], binaryOutput: true } })
      if (answer.parameters?.['ft.quality'] !== 'reconstructed') continue
      reconstructed++
      const values = answer.outputs[0] ? toNamedTensor(answer.outputs[0])?.data : undefined
      for (let c = 0; c < 10; c++) {
        worst = Math.max(worst, Math.abs((values?.[c] ?? NaN) - (wanted[10 * i + c] as number)))
        scale = Math.max(scale, Math.abs(wanted[10 * i + c] as number))
      }
    }
  }
  try {
    await Promise.all(Array.from({ length: 16 }, caller))
  } finally {
    await client.close()
    await gateway.close()
    await rm(folder, { recursive: true, force: true })
  }
  const line = { case: `linear model through the gateway, k=${K}` }
  context.emit({ ...line, metric: 'reconstructed', value: reconstructed, unit: `of ${QUERIES} queries` })
  context.emit({
    ...line,
    metric: 'largest error over the largest output',
    value: worst / scale,
    unit: '',
    target: '<= 1e-6',
  })
}
