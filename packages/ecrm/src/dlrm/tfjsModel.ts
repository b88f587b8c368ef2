// The dense part of a DLRM on TensorFlow.js: the same parameters, optimizer and interface as on the matrix engines.
import type * as TensorFlow from '@tensorflow/tfjs'
import { FtError } from '@ft/core'
import { checkTfjsNames } from '../knownOptions.ts'
import {
  createDenseLayers,
  probability,
  type DenseBatch,
  type DenseModel,
  type DenseModelOptions,
} from './denseModel.ts'
import { createDenseOptimizer } from './denseOptimizer.ts'
import { pairCount } from './interaction.ts'

export interface TfjsModelOptions extends Omit<DenseModelOptions, 'engine'> {
  /**
   * TensorFlow.js, with the backend of your choice ready: `import * as tf from '@tensorflow/tfjs'`, or tfjs-node or
   * tfjs-node-gpu where they are installed.
   */
  readonly tf: typeof TensorFlow
}

/**
 * Makes the dense part of a DLRM whose forward and backward passes TensorFlow.js computes.
 *
 * Parameters stay in the caller's memory, where the package's own optimizer updates them, so both models of one seed start
 * alike and save alike; they are uploaded for every batch (a few MB at most). Results carry the backend's rounding.
 *
 * @throws FtError `INVALID_ARGUMENT`
 */
export function createTfjsModel(options: TfjsModelOptions): DenseModel {
  checkTfjsNames(options)
  const { tf, features, tables, d } = options
  const { below, above } = createDenseLayers(options, 'createTfjsModel')
  const parameters = [...below, ...above].flatMap(({ weights, bias }) => [weights, bias])
  const optimizer = createDenseOptimizer(parameters, options.optimizer)
  const vectors = tables + 1
  // Pairs (i, j), j < i, row by row, taken from a sample's vectors x vectors products by a constant matrix: not every backend
  // has the gradient of a gather.
  const pairs = pairCount(vectors)
  const choice = new Float32Array(vectors * vectors * pairs)
  for (let i = 1, pair = 0; i < vectors; i++)
    for (let j = 0; j < i; j++, pair++) choice[(i * vectors + j) * pairs + pair] = 1

  function upload({ dense, embeddings }: DenseBatch) {
    const batch = dense.length / features
    if (!Number.isInteger(batch) || embeddings.length !== batch * tables * d) {
      throw new FtError(
        'SHAPE_MISMATCH',
        `createTfjsModel: a batch must have ${features} features and ${tables} x ${d} embedding values a sample`,
        { features: dense.length, embeddings: embeddings.length },
      )
    }
    const layers = [...below, ...above]
    return {
      dense: tf.tensor2d(dense, [batch, features]),
      embeddings: tf.tensor3d(embeddings, [batch, tables, d]),
      parameters: layers.flatMap(({ weights, bias, inputs, outputs }) => [
        tf.tensor2d(weights, [inputs, outputs]),
        tf.tensor1d(bias),
      ]),
    }
  }

  function logits(
    dense: TensorFlow.Tensor,
    embeddings: TensorFlow.Tensor,
    layers: readonly TensorFlow.Tensor[],
  ): TensorFlow.Tensor {
    const batch = dense.shape[0]
    let at = 0
    const layer = (x: TensorFlow.Tensor, relu: boolean): TensorFlow.Tensor => {
      const sum = tf.add(tf.matMul(x as TensorFlow.Tensor2D, layers[at++] as TensorFlow.Tensor2D), layers[at++]!)
      return relu ? tf.relu(sum) : sum
    }
    let z0 = dense
    for (const { relu } of below) z0 = layer(z0, relu)
    const stack = tf.concat([tf.reshape(z0, [batch, 1, d]), embeddings], 1)
    const products = tf.reshape(tf.matMul(stack, stack, false, true), [batch, vectors * vectors])
    let x = tf.concat([z0, tf.matMul(products, tf.tensor2d(choice, [vectors * vectors, pairs]))], 1)
    for (const { relu } of above) x = layer(x, relu)
    return tf.reshape(x, [batch])
  }

  return {
    parameters,
    state: optimizer.state,
    predict(batch) {
      return tf.tidy(() => {
        const on = upload(batch)
        return tf
          .sigmoid(logits(on.dense, on.embeddings, on.parameters))
          .dataSync()
          .slice() as Float32Array
      })
    },
    gradients(batch, labels) {
      return tf.tidy(() => {
        const on = upload(batch)
        const wanted = tf.tensor1d(Float32Array.from(labels))
        let probabilities = new Float32Array(0)
        const loss = (embeddings: TensorFlow.Tensor, ...layers: TensorFlow.Tensor[]): TensorFlow.Tensor => {
          const z = logits(on.dense, embeddings, layers)
          // Read here, where the forward pass has them: afterwards TensorFlow.js has thrown them away.
          probabilities = Float32Array.from(z.dataSync(), probability)
          return tf.losses.sigmoidCrossEntropy(wanted, z)
        }
        const { value, grads } = tf.valueAndGrads(loss)([on.embeddings, ...on.parameters])
        const [embeddings, ...rest] = grads.map((one) => one.dataSync().slice() as Float32Array)
        return { loss: value.dataSync()[0]!, parameters: rest, embeddings: embeddings!, probabilities }
      })
    },
    update: (gradients) => optimizer.step(gradients),
  }
}
