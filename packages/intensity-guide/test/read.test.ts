import { describe, expect, it } from 'vitest'
import { perceptron } from './support/models.ts'
import { findDevice, parsePlan, planNetwork, readLanguageModel, readLayerList, readOnnx } from '../src/index.ts'

describe('reading models', () => {
  it('takes an ONNX model to a plan that belongs to it', () => {
    const network = readOnnx(perceptron(), { bind: { batch: 512 } })
    expect(network.layers.map(({ id, m, n, k, activation, next }) => ({ id, m, n, k, activation, next }))).toEqual([
      { id: 'h', m: 512, n: 256, k: 64, activation: 'relu', next: 'y' },
      { id: 'y', m: 512, n: 8, k: 256, activation: undefined, next: undefined },
    ])
    const plan = planNetwork(network, { device: findDevice('t4'), target: 'onnx' })
    expect(plan.model.fingerprint).toBe(network.fingerprint)
    expect(() => parsePlan(JSON.stringify(plan), { fingerprint: 'sha256-other' })).toThrow(/not for/)
  })

  it('names unbound dimensions and damaged files', () => {
    expect(() => readOnnx(perceptron())).toThrow(/dimensions batch are unbound/)
    expect(() => readOnnx(perceptron().subarray(0, 40))).toThrow(
      expect.objectContaining({ code: 'CORRUPT_DATA' }) as Error,
    )
  })

  it('takes a list of layers, and says what is wrong with one', () => {
    const { layers } = readLayerList('[{"id":"a","m":8,"n":16,"k":32},{"m":1,"n":2,"k":3,"count":4,"dtype":"float32"}]')
    expect(layers.map(({ id, count, dtype }) => [id, count, dtype])).toEqual([
      ['a', 1, 'float16'],
      ['layer1', 4, 'float32'],
    ])
    expect(() => readLayerList('[{"m":8,"n":0,"k":1}]')).toThrow(/layers\[0\]\.n must be a positive integer, got 0/)
    expect(() => readLayerList('{}')).toThrow(/array of layers/)
    expect(() => readLayerList('[')).toThrow(/not JSON/)
  })

  it('replaces the batch of an ONNX model, and says how much of one it does not know', () => {
    expect(readOnnx(perceptron(), { batch: 24 }).layers.map(({ m }) => m)).toEqual([24, 24])
    expect(readOnnx(perceptron(), { batch: 24 }).fingerprint).toBe(readOnnx(perceptron(), { batch: 1 }).fingerprint)
    expect(() => readOnnx(perceptron(), { batch: 0 })).toThrow(/`batch` must be an integer of at least 1/)
    const network = readOnnx(perceptron({ middle: 'Bogus' }), { batch: 8 })
    expect(network).toMatchObject({ unsupported: ['Bogus'], unknownShare: 1 / 3 })
    expect(network.layers.map(({ id }) => id)).toEqual(['h'])
    expect(network.skipped).toEqual([{ id: 'y', opType: 'MatMul', reason: 'its shape is unknown' }])
  })

  it('leaves out products without elements, by name', () => {
    expect(() => readOnnx(perceptron(), { inputs: { x: [0, 64] } }).layers.length).not.toThrow()
    expect(readOnnx(perceptron(), { inputs: { x: [0, 64] } })).toMatchObject({
      layers: [],
      skipped: [{ id: 'h', reason: 'it has no elements' }, { id: 'y' }],
    })
  })

  it('refuses texts that are no descriptions', () => {
    expect(() => readLayerList(' '.repeat(2 ** 26 + 1))).toThrow(/no description of a model/)
  })
})

describe('language models', () => {
  const llama = {
    model_type: 'llama',
    hidden_size: 4096,
    num_hidden_layers: 32,
    num_attention_heads: 32,
    num_key_value_heads: 8,
    intermediate_size: 14_336,
    vocab_size: 128_256,
    hidden_act: 'silu',
    torch_dtype: 'bfloat16',
  }
  const weightsOf = (layers: readonly { id: string; n: number; k: number; count: number }[]) =>
    layers
      .filter(({ id }) => !id.endsWith('scores') && !id.endsWith('values'))
      .reduce((sum, { n, k, count }) => sum + n * k * count, 0)

  it('have the parameters that they are known for', () => {
    const { prefill, decode, shape } = readLanguageModel(JSON.stringify(llama), { prompt: 1024, context: 4096 })
    expect(shape.gated).toBe(true)
    // Llama 3 8B has 8.03 billion parameters, of which 0.53 billion are its embedding table: no product
    expect(weightsOf(prefill.layers) / 1e9).toBeCloseTo(8.03 - 0.525, 2)
    expect(decode?.layers.every(({ dtype }) => dtype === 'bfloat16')).toBe(true)
    expect(decode?.layers.find(({ id }) => id === 'layer0.scores')).toMatchObject({ m: 1, n: 4096, k: 128 })
    expect(prefill.layers.find(({ id }) => id === 'layer0.scores')).toMatchObject({ m: 1024, n: 1024, k: 128 })
    expect([prefill.layers.at(-1)?.m, prefill.layers.at(-1)?.n]).toEqual([1, 128_256])
  })

  it.each([
    // Published parameter counts in millions, less embedding tables (wte and wpe; BERT: 30,522 + 512 + 2 rows)
    ['gpt2', { n_embd: 768, n_layer: 12, n_head: 12, vocab_size: 50_257 }, 124.4 - 38.6 - 0.8 + 38.6],
    [
      'bert',
      { hidden_size: 768, num_hidden_layers: 12, num_attention_heads: 12, intermediate_size: 3072, vocab_size: 30_522 },
      85.05,
    ],
  ])('%s too', (model_type, fields, millions) => {
    const { prefill } = readLanguageModel(JSON.stringify({ model_type, ...fields }))
    // Biases and normalisation are no products: within half a per cent
    expect(Math.abs(weightsOf(prefill.layers) / 1e6 / millions - 1)).toBeLessThan(0.005)
  })

  it('experts: a token visits few of many', () => {
    const mixtral = {
      ...llama,
      model_type: 'mixtral',
      num_local_experts: 8,
      num_experts_per_tok: 2,
      vocab_size: 32_000,
    }
    const { prefill, decode } = readLanguageModel(JSON.stringify(mixtral), { prompt: 512 })
    expect(decode?.layers.find(({ id }) => id === 'layer0.up')).toMatchObject({
      m: 1,
      count: 2,
      n: 2 * 14_336,
      k: 4096,
    })
    expect(prefill.layers.find(({ id }) => id === 'layer0.down')).toMatchObject({ m: 128, count: 8 })
    expect(prefill.layers.find(({ id }) => id === 'layer0.router')).toMatchObject({ m: 512, n: 8 })
    // Mixtral 8x7B has 46.7 billion parameters, 0.13 of them an embedding table
    expect(weightsOf(prefill.layers) / 1e9).toBeCloseTo(46.7 - 0.13, 1)
  })

  it('encoders decode nothing, and take no logits', () => {
    const bert = {
      model_type: 'bert',
      hidden_size: 768,
      num_hidden_layers: 2,
      num_attention_heads: 12,
      vocab_size: 30_522,
    }
    const { prefill, decode } = readLanguageModel(JSON.stringify(bert))
    expect(decode).toBeUndefined()
    expect(prefill.layers.some(({ id }) => id === 'logits')).toBe(false)
  })

  it('say what is missing or wrong', () => {
    const without = (name: string, value?: unknown) => JSON.stringify({ ...llama, [name]: value })
    expect(() => readLanguageModel(without('vocab_size'))).toThrow(/none of vocab_size/)
    expect(() => readLanguageModel(without('hidden_size', -1))).toThrow(/hidden_size must be an integer from 1/)
    expect(() => readLanguageModel(without('num_attention_heads', 33))).toThrow(/needs head_dim/)
    expect(() => readLanguageModel('[]')).toThrow(/as in a config\.json/)
    expect(() => readLanguageModel('{')).toThrow(/not JSON/)
  })
})
