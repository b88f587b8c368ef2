// Learned codes that start as the addition code: the encoder adds the queries, the decoder subtracts from the parity's output
// what came. Training goes on from there instead of finding it first.
import type { Layer } from '../models/layers.ts'

/** Networks of the forms in coders.ts, their weights drawn already; dense encoders of at least d units. */
interface Coders {
  readonly encoder: readonly Layer[]
  readonly decoder: readonly Layer[]
  readonly k: number
  /** The least element of an input, or 0: what is above it passes ReLU, moved up by this. */
  readonly lowest: number
}

/**
 * Overwrites weights so that the first unit (of a convolution the first channel) of each layer carries the sum. The others
 * keep theirs but for what they say to the sum and to the results, which is nothing until training changes it.
 */
export function startAsAddition({ encoder, decoder, k, lowest }: Coders): void {
  const plane = encoder.at(-1)?.bias.data.length ?? 0
  encoder.forEach((layer, i) => {
    const summed = i === 0 ? k : 1
    if (layer.kind === 'conv') addChannels(layer, summed)
    else connect(layer, { units: plane, weightOf: (row, unit) => Number(row < summed * plane && row % plane === unit) })
  })
  const moved = -k * lowest
  biasOf(encoder[0] as Layer).fill(moved, 0, plane)
  biasOf(encoder.at(-1) as Layer).fill(-moved, 0, plane)
  subtract(decoder, k)
}

/** Channel 0 of every pixel is the sum of its channels `0 .. summed - 1`. */
function addChannels({ weights }: Layer, summed: number): void {
  const [down = 0, across = 0, channels = 0, out = 0] = weights.shape
  const data = weights.data as Float32Array
  const centre = Math.floor((down * across) / 2)
  for (let tap = 0; tap < down * across; tap++)
    for (let c = 0; c < channels; c++) data[(tap * channels + c) * out] = Number(tap === centre && c < summed)
}

/**
 * The parity's output minus the others', among which the missing one is zeros: every answer is that, whichever is missing.
 * Its positive and its negative part go through the hidden layers, 2 c units.
 */
function subtract(decoder: readonly Layer[], k: number): void {
  const [first, second, third] = decoder as readonly [Layer, Layer, Layer]
  const c = third.bias.data.length / k
  const sign = (unit: number) => (unit < c ? 1 : -1)
  connect(first, {
    units: 2 * c,
    weightOf: (row, unit) => (row % c === unit % c ? sign(unit) * (row < k * c ? -1 : 1) : 0),
  })
  connect(second, { units: 2 * c, weightOf: (row, unit) => Number(row === unit) })
  connect(third, { units: k * c, weightOf: (row, unit) => (row < 2 * c && row % c === unit % c ? sign(row) : 0) })
}

/** Sets what the first units of a dense layer take from each of its inputs. */
function connect(
  { weights }: Layer,
  { units, weightOf }: { units: number; weightOf: (row: number, unit: number) => number },
): void {
  const [rows = 0, columns = 0] = weights.shape
  const data = weights.data as Float32Array
  for (let row = 0; row < rows; row++)
    for (let unit = 0; unit < units; unit++) data[row * columns + unit] = weightOf(row, unit)
}

const biasOf = ({ bias }: Layer) => bias.data as Float32Array
