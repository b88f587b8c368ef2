// A coded endpoint in front of three Open Inference servers, one of which never answers: asked with a plain HTTP client.
//
// Prints:
//   [3, 6]
//   [30, 60]
//   one is exact, the other reconstructed
//   ready: 200
import { createGateway, hold, startOipServer, sum, toNamedTensor, toWireTensor, type OipService } from '@ft/parm'

/** A server of the model y = 3 x, which is its own parity model; a silent one never answers. */
const triple = (silent: boolean): OipService => ({
  name: 'triple',
  version: '1',
  ready: () => true,
  metadata: (name) => ({
    name,
    platform: 'example',
    inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 2] }],
    outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, 2] }],
  }),
  infer: (modelName, { request }) => {
    const x = toNamedTensor(request.inputs[0]!)!
    const y = { name: 'y', shape: x.shape, dtype: 'float32' as const, data: Float32Array.from(x.data, (v) => 3 * v) }
    return silent ? new Promise(() => undefined) : Promise.resolve({ modelName, outputs: [toWireTensor(y)] })
  },
})
const servers = await Promise.all([false, true, false].map((silent) => startOipServer(triple(silent))))
const [good, bad, parity] = servers.map(({ url }) => ({ url, model: 'triple', concurrency: 1 }))

const gateway = await createGateway({
  model: 'triple',
  code: sum({ k: 2 }),
  policy: hold({ afterMs: 50 }),
  instances: [bad!, good!],
  parityInstances: [parity!],
})
const ask = async (x: number) => {
  const response = await fetch(`${gateway.url}/v2/models/triple/infer`, {
    method: 'POST',
    body: JSON.stringify({ inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [x, 2 * x] }] }),
  })
  return (await response.json()) as { outputs: { data: number[] }[]; parameters: { 'ft.quality': string } }
}
// Two queries at a time form a group; the one that the silent instance got is decoded
const answers = await Promise.all([ask(1), ask(10)])
for (const { outputs } of answers) console.log(`[${outputs[0]?.data.join(', ')}]`)
const qualities = answers.map(({ parameters }) => parameters['ft.quality']).sort()
console.log(`one is ${qualities.join(', the other ')}`)
console.log(`ready: ${(await fetch(`${gateway.url}/v2/health/ready`)).status}`)
await gateway.close()
for (const server of servers) server.destroy()
