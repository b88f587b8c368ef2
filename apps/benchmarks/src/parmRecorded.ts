// Recorded outputs of a real model: queries carry them to instances that return them, so that an answer says whose it is.
import { pixelsToFloat, readBaseModel, readImages } from '@ft/datasets'
import { createModelRunner, denseFromTorch, toNamedTensor, toWireTensor, type OipClient } from '@ft/parm'

/** Logits of MNIST test images under the papers' base model: what instances return. */
export async function recordedOutputs(): Promise<Float32Array[]> {
  const model = await readBaseModel('mnist-base-mlp')
  const { images } = await readImages('mnist', { part: 'test' })
  const run = createModelRunner(denseFromTorch(model.tensors.map(({ tensor }) => tensor)))
  const { data } = run({ ...pixelsToFloat(images), shape: [10_000, 784] })
  return Array.from({ length: 10_000 }, (_, i) => (data as Float32Array).slice(10 * i, 10 * i + 10))
}

/** Asks one query whose recorded outputs are known. @throws when there is no answer; ends the bench when it is another's */
export async function askRecorded(client: OipClient, data: Float32Array): Promise<void> {
  const input = toWireTensor({ name: 'x', data, shape: [1, 10], dtype: 'float32' })
  const answer = await client.infer('recorded', { request: { parameters: {}, inputs: [input], binaryOutput: true } })
  const values = answer.outputs[0] && toNamedTensor(answer.outputs[0])?.data
  // Logits are below 100; a reconstruction adds k float32 roundings of sums of k
  if (!values || values.some((value, c) => Math.abs(value - (data[c] as number)) > 1e-3)) {
    process.stderr.write('an answer went to another query\n')
    process.exit(1)
  }
}
