// The network that is served: the dense part of the trained DLRM over vectors. A vector holds a flight's dense features
// and its looked-up embeddings; ids are looked up before the gateway, as sums of ids would mean nothing.
import { createHash } from 'node:crypto'
import type { Tensor } from '@ft/core'
import { createDenseModel, type Samples } from '@ft/ecrm'
import { createWasmEngine } from '@ft/tensor-core/wasm'
import { WIDTH, type Run } from '../dlrm.ts'

export interface NetworkShape {
  /** Dense features. */
  readonly features: number
  /** Categorical features, each a vector of `WIDTH` embedding values. */
  readonly tables: number
}

/** A function from vectors `[b, features + tables * WIDTH]` to log odds `[b, 1]`. */
export function openNetwork({ features, tables }: NetworkShape, parameters: readonly Float32Array[]) {
  const model = createDenseModel({
    engine: createWasmEngine({ threads: 1 }),
    features,
    tables,
    d: WIDTH,
    // Not trained here: only its weights count
    optimizer: { name: 'sgd', learningRate: 0 },
    seed: 0,
  })
  model.parameters.forEach((own, i) => own.set(parameters[i] as Float32Array))
  const width = features + tables * WIDTH
  return ({ data }: Tensor): Tensor => {
    const rows = data.length / width
    const dense = new Float32Array(rows * features)
    const embeddings = new Float32Array(rows * (width - features))
    const values = data as Float32Array
    for (let row = 0; row < rows; row++) {
      dense.set(values.subarray(row * width, row * width + features), row * features)
      embeddings.set(values.subarray(row * width + features, (row + 1) * width), row * (width - features))
    }
    const logits = model.predict({ dense, embeddings }).map((p) => Math.log(p / (1 - p)))
    return { data: logits, shape: [rows, 1], dtype: 'float32' }
  }
}

/** Vectors of all samples, `[rows, features + tables * WIDTH]`, with the embeddings of a finished run. */
export function vectorsOf(samples: Samples, { snapshot, offsets }: Run): Tensor & { readonly data: Float32Array } {
  const rows = samples.label.length
  const features = samples.dense.length / rows
  const width = features + samples.categorical.length * WIDTH
  const data = new Float32Array(rows * width)
  const stored = new Float32Array(snapshot.words.buffer, snapshot.words.byteOffset, snapshot.words.length)
  for (let row = 0; row < rows; row++) {
    data.set(samples.dense.subarray(row * features, (row + 1) * features), row * width)
    samples.categorical.forEach(({ ids }, table) => {
      const from = ((offsets[table] as number) + (ids[row] as number)) * snapshot.width
      data.set(stored.subarray(from, from + WIDTH), row * width + features + table * WIDTH)
    })
  }
  return { data, shape: [rows, width], dtype: 'float32' }
}

/** What binds a parity model to the network it was trained for. */
export function networkFingerprint(parameters: readonly Float32Array[]): string {
  const hash = createHash('sha256')
  for (const { buffer, byteOffset, byteLength } of parameters)
    hash.update(new Uint8Array(buffer, byteOffset, byteLength))
  return hash.digest('hex')
}
