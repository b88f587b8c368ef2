// A parity model for the served network, trained on the spot (Parity Models, SOSP'19, section 4.1): from the sum of two
// flights' vectors it learns the sum of the network's log odds.
import type * as TensorFlow from '@tensorflow/tfjs'
import type { Tensor } from '@ft/core'
import { createRandom } from '@ft/core/random'
import type { DenseLayer } from '@ft/parm'
import type { Output } from '@ft/report'

const BATCH = 256
const HIDDEN = [96, 48] as const

export interface ParityTraining {
  readonly tf: typeof TensorFlow
  /** `[rows, width]` of training flights. */
  readonly vectors: Tensor
  /** The served network's log odds of each. */
  readonly logOdds: ArrayLike<number>
  /** Batches of 256 groups of two. */
  readonly steps: number
  readonly seed: number
  readonly output: Output
}

export async function trainParity(task: ParityTraining): Promise<DenseLayer[]> {
  const { tf, vectors, seed, steps, output } = task
  const [rows = 0, width = 0] = vectors.shape
  const random = createRandom(seed).stream('parity model')
  const scale = columnDeviations(vectors)
  const model = tf.sequential({
    layers: [...HIDDEN, 1].map((units, i) =>
      tf.layers.dense({
        units,
        activation: i < HIDDEN.length ? 'relu' : 'linear',
        kernelInitializer: tf.initializers.heNormal({ seed: seed * 10 + i }),
        ...(i === 0 ? { inputShape: [width] } : {}),
      }),
    ),
  })
  const optimizer = tf.train.adam(2e-3)
  model.compile({ optimizer, loss: 'meanSquaredError' })
  let smoothed: number | undefined
  try {
    for (let step = 0; step < steps; step++) {
      const x = new Float32Array(BATCH * width)
      const y = new Float32Array(BATCH)
      for (let group = 0; group < BATCH; group++) {
        const pair = [random.integer(0, rows - 1), random.integer(0, rows - 1)]
        for (const row of pair) {
          for (let j = 0; j < width; j++) {
            const at = group * width + j
            x[at] = (x[at] as number) + (vectors.data[row * width + j] as number) / (scale[j] as number)
          }
          y[group] = (y[group] as number) + (task.logOdds[row] as number)
        }
      }
      // Smaller steps in the last third
      if (step === Math.floor((2 * steps) / 3)) setRate(optimizer, 4e-4)
      const [xs, ys] = [tf.tensor2d(x, [BATCH, width]), tf.tensor2d(y, [BATCH, 1])]
      const loss = (await model.trainOnBatch(xs, ys)) as number
      tf.dispose([xs, ys])
      smoothed = smoothed === undefined ? loss : 0.98 * smoothed + 0.02 * loss
      output.onProgress({ phase: 'train parity', done: step + 1, total: steps, note: `loss ${smoothed.toFixed(4)}` })
    }
    return await layersOf(model, scale)
  } finally {
    model.dispose()
  }
}

function setRate(optimizer: TensorFlow.Optimizer, rate: number): void {
  ;(optimizer as unknown as { learningRate: number }).learningRate = rate
}

/** Embeddings vary by hundredths, delays by units: a network learns from both when they are scaled alike. */
function columnDeviations({ data, shape: [rows = 0, width = 0] }: Tensor): Float64Array {
  const [sums, squares] = [new Float64Array(width), new Float64Array(width)]
  for (let i = 0; i < rows * width; i++) {
    const [j, value] = [i % width, data[i] as number]
    sums[j] = (sums[j] as number) + value
    squares[j] = (squares[j] as number) + value * value
  }
  return squares.map((square, j) => Math.sqrt(Math.max(square / rows - ((sums[j] as number) / rows) ** 2, 1e-12)))
}

/** Plain layers; the scale goes into the first one's weights, so that the model takes vectors as they are. */
async function layersOf(model: TensorFlow.Sequential, scale: Float64Array): Promise<DenseLayer[]> {
  const layers: DenseLayer[] = []
  for (const [index, layer] of model.layers.entries()) {
    const [kernel, bias] = await Promise.all(
      layer.getWeights().map(async (tensor) => ({
        data: Float32Array.from(await tensor.data()),
        shape: [...tensor.shape],
        dtype: 'float32' as const,
      })),
    )
    if (!kernel || !bias) throw new Error('a layer of the parity model has no weights')
    const columns = kernel.shape[1] as number
    if (index === 0) kernel.data.forEach((w, i) => (kernel.data[i] = w / (scale[Math.floor(i / columns)] as number)))
    layers.push({ weights: kernel, bias, relu: index < HIDDEN.length })
  }
  return layers
}
