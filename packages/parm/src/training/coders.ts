// The forms of the encoders and decoders of learned codes (Learning a Code, section 3), without weights.
import type { ConvLayer, DenseLayer } from '../models/layers.ts'

const dense = (rows: number, columns: number, relu: boolean): DenseLayer => ({
  weights: { data: new Float32Array(rows * columns), shape: [rows, columns], dtype: 'float32' },
  bias: { data: new Float32Array(columns), shape: [columns], dtype: 'float32' },
  relu,
})

/** MLPEncoder: k planes to a hidden layer (published: k d units) to one plane. */
export function mlpEncoder({ k, plane, hidden }: { k: number; plane: number; hidden: number }): DenseLayer[] {
  return [dense(k * plane, hidden, true), dense(hidden, plane, false)]
}

/** MLPDecoder: k + 1 outputs, one of them zeros, to k. */
export function mlpDecoder({ k, classes }: { k: number; classes: number }): DenseLayer[] {
  const [all, own] = [(k + 1) * classes, k * classes]
  return [dense(all, all, true), dense(all, own, true), dense(own, own, false)]
}

/** ConvEncoder: the k queries are channels; every pixel of the parity query sees 33 x 33 pixels of each. */
export function convEncoder({
  k,
  image,
  channels,
}: {
  k: number
  image: { height: number; width: number }
  channels: number
}): ConvLayer[] {
  const { height, width } = image
  const layer = (taps: number, from: number, to: number, dilation: number): ConvLayer => ({
    kind: 'conv',
    weights: { data: new Float32Array(taps * taps * from * to), shape: [taps, taps, from, to], dtype: 'float32' },
    bias: { data: new Float32Array(to), shape: [to], dtype: 'float32' },
    relu: taps > 1,
    image: { height, width },
    dilation,
  })
  const dilations = [1, 1, 2, 4, 8, 1]
  return [
    ...dilations.map((dilation, i) => layer(3, i === 0 ? k : channels, channels, dilation)),
    layer(1, channels, 1, 1),
  ]
}
