// Language models from the config.json that is published beside their weights: shapes alone, no weights are read.
import { assertInteger, FtError, type DType } from '@ft/core'
import { transformerLayers, type TransformerShape } from '../zoo/transformer.ts'
import { isRecord, parseJson, type Json, type ReadNetwork } from './network.ts'

export interface LanguageModelOptions {
  /** Default the config's model type. */
  readonly name?: string
  /** Sequences a pass. Default 1. */
  readonly batch?: number
  /** Tokens of a prompt. Default 512. */
  readonly prompt?: number
  /** Tokens that a decoded token attends to. Default `prompt`. */
  readonly context?: number
  /** Default the config's, or 'float16'. */
  readonly dtype?: DType
}

/** The same model twice, since its two phases lie on the two sides of most devices' ridge. */
export interface LanguageModel {
  readonly shape: TransformerShape
  /** One pass over a prompt. */
  readonly prefill: ReadNetwork
  /** One decoded token; absent for encoders, which decode nothing. */
  readonly decode?: ReadNetwork
}

/**
 * Reads a transformer's shapes from its config.json: GPT-2, OPT, BLOOM, GPT-NeoX, LLaMA, Mistral, Mixtral, Qwen, Gemma, Phi,
 * BERT and what uses the same field names.
 *
 * @throws FtError `CORRUPT_DATA` for what is no config or lacks a size, naming the fields it looked for
 */
export function readLanguageModel(text: string, options: LanguageModelOptions = {}): LanguageModel {
  const json = parseJson(text, 'readLanguageModel')
  if (!isRecord(json)) throw new FtError('CORRUPT_DATA', 'readLanguageModel: expected an object, as in a config.json')
  const config = isRecord(json['text_config']) ? json['text_config'] : json
  const type = typeof config['model_type'] === 'string' ? config['model_type'] : 'transformer'
  const { name = type, batch = 1, prompt = 512, context = prompt, dtype = typeOf(config) ?? 'float16' } = options
  for (const [argument, value] of Object.entries({ batch, prompt, context }))
    assertInteger(value, { where: 'readLanguageModel', argument, min: 1 })
  const shape = shapeOf(config, type)
  const network = (phase: string, tokens: number, attended: number): ReadNetwork => ({
    name: `${name}, ${phase}`,
    layers: transformerLayers(shape, { batch, tokens, context: attended, dtype }),
    skipped: [],
    unsupported: [],
    unknownShare: 0,
  })
  return {
    shape,
    prefill: network('prefill', prompt, prompt),
    ...(shape.encoder ? {} : { decode: network('decode', 1, context) }),
  }
}

/** Whether a text is such a config; other JSON models have other fields. */
export function isLanguageModelConfig(json: unknown): boolean {
  return isRecord(json) && (typeof json['model_type'] === 'string' || isRecord(json['text_config']))
}

const encoders = new Set(['bert', 'roberta', 'xlm-roberta', 'distilbert', 'electra', 'albert', 'mpnet', 'deberta-v2'])
/** Model types whose feed-forward block has no gate although its activation is SiLU, and with one although it is not. */
const ungated = new Set(['phi', 'gptj', 'gpt_neox'])
const gated = new Set(['gemma', 'gemma2', 'gemma3_text', 'phi3', 't5gemma'])

function shapeOf(config: Json, type: string): TransformerShape {
  const hidden = size(config, ['hidden_size', 'n_embd', 'd_model', 'dim'])
  const heads = size(config, ['num_attention_heads', 'n_head', 'num_heads', 'n_heads'])
  const perToken = optional(config, ['num_experts_per_tok', 'num_experts_per_token'])
  const experts = optional(config, ['num_local_experts', 'num_experts', 'n_routed_experts'])
  const inner = optional(config, ['intermediate_size', 'n_inner', 'ffn_dim', 'hidden_dim', 'd_ff']) ?? 4 * hidden
  const keyValueHeads = optional(config, ['num_key_value_heads']) ?? (config['multi_query'] === true ? 1 : heads)
  const headWidth = optional(config, ['head_dim'])
  if (headWidth === undefined && hidden % heads !== 0) {
    const message = `readLanguageModel: ${hidden} hidden units do not divide among ${heads} heads; the config needs head_dim`
    throw new FtError('CORRUPT_DATA', message, { hidden, heads })
  }
  const activation = config['hidden_act'] ?? config['activation_function'] ?? config['hidden_activation']
  const silu = activation === 'silu' || activation === 'swish'
  return {
    hidden,
    layers: size(config, ['num_hidden_layers', 'n_layer', 'num_layers', 'n_layers']),
    heads,
    keyValueHeads,
    intermediate: experts === undefined ? inner : (optional(config, ['moe_intermediate_size']) ?? inner),
    vocabulary: size(config, ['vocab_size']),
    gated: gated.has(type) || (silu && !ungated.has(type)),
    ...(headWidth === undefined ? {} : { headWidth }),
    ...(experts === undefined ? {} : { experts: { count: experts, perToken: perToken ?? 1 } }),
    ...(encoders.has(type) ? { encoder: true } : {}),
  }
}

/** Larger numbers are damage, not a model; products of two such still count exactly. */
const LARGEST_SIZE = 2 ** 26

function size(config: Json, names: readonly string[]): number {
  const value = optional(config, names)
  if (value !== undefined) return value
  const message = `readLanguageModel: the config has none of ${names.join(', ')}`
  throw new FtError('CORRUPT_DATA', message, { names })
}

function optional(config: Json, names: readonly string[]): number | undefined {
  const name = names.find((candidate) => config[candidate] !== undefined && config[candidate] !== null)
  if (name === undefined) return undefined
  const value = config[name]
  if (Number.isSafeInteger(value) && (value as number) > 0 && (value as number) <= LARGEST_SIZE) return value as number
  const message = `readLanguageModel: ${name} must be an integer from 1 to ${LARGEST_SIZE}, got ${JSON.stringify(value)}`
  throw new FtError('CORRUPT_DATA', message, { name, value })
}

function typeOf(config: Json): DType | undefined {
  const dtype = config['torch_dtype'] ?? config['dtype']
  return dtype === 'float16' || dtype === 'bfloat16' || dtype === 'float32' ? dtype : undefined
}
