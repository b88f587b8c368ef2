// The reference against TensorFlow.js' cpu backend (an outside implementation) and against its own definition.
import fc from 'fast-check'
import * as tf from '@tensorflow/tfjs'
import { beforeAll, describe, expect, it } from 'vitest'
import { createReferenceEngine } from '../../src/reference.ts'
import { floats, integers, convCases } from '../support/cases.ts'

const engine = createReferenceEngine()

beforeAll(async () => {
  await tf.setBackend('cpu')
})

describe('reference', () => {
  it('multiplies as TensorFlow.js does, with every transposition', () => {
    fc.assert(
      fc.property(fc.nat(9), fc.nat(9), fc.nat(9), fc.boolean(), fc.boolean(), fc.nat(), (m, n, k, ta, tb, seed) => {
        const a = floats(ta ? [k + 1, m + 1] : [m + 1, k + 1], seed)
        const b = floats(tb ? [n + 1, k + 1] : [k + 1, n + 1], seed + 1)
        const { output } = engine.matmulSync(a, b, { transposeA: ta, transposeB: tb })
        const theirs = tf.tidy(() =>
          tf.matMul(tf.tensor(a.data, a.shape as number[]), tf.tensor(b.data, b.shape as number[]), ta, tb).dataSync(),
        )
        // Both round float64 sums of at most 10 terms below 1 once or (tfjs) per step of 48: 11 u * 10 covers both.
        expect(output.shape).toEqual([m + 1, n + 1])
        theirs.forEach((value, i) => expect(Math.abs((output.data[i] as number) - value)).toBeLessThan(110 * 2 ** -24))
      }),
      { numRuns: 60 },
    )
  })

  it.each(convCases)('convolves as TensorFlow.js does: $name', ({ x, filter, options }) => {
    const input = floats(x, 1)
    const weights = floats(filter, 2)
    const { output } = engine.conv2dSync(input, weights, options)
    const theirs = tf.tidy(() =>
      tfConv(input.data as Float32Array, weights.data as Float32Array, { name: '', x, filter, options }),
    )
    // At most 5 * 5 * 8 = 200 terms below 1, rounded to float32 at most once a term: 200^2 u.
    expect(output.data.length).toBe(theirs.length)
    theirs.forEach((value, i) =>
      expect(Math.abs((output.data[i] as number) - value)).toBeLessThan(200 * 200 * 2 ** -24),
    )
  })

  it('multiplies integers exactly modulo 2^32, signed and unsigned', () => {
    const k = 70_000
    const a = integers([1, k], 'uint8', () => 255)
    const b = integers([k, 1], 'int8', () => -128)
    const { output } = engine.matmulInt8Sync(a, b)
    expect(output.data[0]).toBe((255 * -128 * k) | 0)
    expect(output.dtype).toBe('int32')
    expect(255 * -128 * k).toBeLessThan(-(2 ** 31))
  })
})

function tfConv(x: Float32Array, w: Float32Array, c: (typeof convCases)[number]): Float32Array {
  const { stride = [1, 1], pad = [0, 0, 0, 0], dilation = [1, 1], groups = 1, format = 'NHWC' } = c.options
  let input = tf.tensor4d(x, c.x as [number, number, number, number])
  if (format === 'NCHW') input = tf.transpose(input, [0, 2, 3, 1])
  input = tf.pad(input, [
    [0, 0],
    [pad[0], pad[1]],
    [pad[2], pad[3]],
    [0, 0],
  ])
  const filter = tf.tensor4d(w, c.filter as [number, number, number, number])
  // TensorFlow.js knows neither groups nor stride with dilation: one convolution a group, dilated filters written out.
  const spread = spreadTaps(filter, dilation)
  const outputs = tf.split(input, groups, 3).map((part, g) => {
    const own = tf.split(spread, groups, 3)[g] as tf.Tensor4D
    return tf.conv2d(part as tf.Tensor4D, own, stride as [number, number], 'valid')
  })
  const joined = tf.concat(outputs, 3)
  return (format === 'NCHW' ? tf.transpose(joined, [0, 3, 1, 2]) : joined).dataSync() as Float32Array
}

function spreadTaps(filter: tf.Tensor4D, dilation: readonly [number, number]): tf.Tensor4D {
  const [kh, kw, i, o] = filter.shape
  const spread = tf.buffer([(kh - 1) * dilation[0] + 1, (kw - 1) * dilation[1] + 1, i, o])
  const values = filter.bufferSync()
  for (let r = 0; r < kh; r++)
    for (let s = 0; s < kw; s++)
      for (let c = 0; c < i; c++)
        for (let d = 0; d < o; d++) spread.set(values.get(r, s, c, d), r * dilation[0], s * dilation[1], c, d)
  return spread.toTensor() as tf.Tensor4D
}
