// TensorFlow.js LayersModels: Keras topologies, sequential or functional, with models inside models.
import { FtError, type DType, type LinearLayer } from '@ft/core'
import { isRecord, type Json } from '../network.ts'
import { layerResult, type Shape } from './layerKinds.ts'

export interface Walk {
  readonly layers: LinearLayer[]
  readonly skipped: { id: string; opType: string; reason: string }[]
  readonly unknown: string[]
  /** Operators seen. */
  operators: number
}

export interface InputOptions {
  readonly inputs?: Readonly<Record<string, readonly number[]>>
  readonly batch?: number
  readonly dtype: DType
}

interface KerasLayer {
  readonly name: string
  readonly kind: string
  readonly config: Json
  /** Calls of the layer; each names the layers whose outputs it reads. */
  readonly calls: readonly (readonly string[])[]
}

/** @throws FtError `CORRUPT_DATA` for what is no topology; `INVALID_ARGUMENT` for an input without a size, naming it */
export function walkLayersModel(
  topology: Json,
  options: InputOptions & { stored: (name: string) => Shape | undefined },
): Walk {
  const walk: Walk = { layers: [], skipped: [], unknown: [], operators: 0 }
  const root = isRecord(topology['model_config']) ? topology['model_config'] : topology
  walkModel(root, { ...options, walk, prefix: '', given: undefined })
  return walk
}

interface Context extends InputOptions {
  readonly walk: Walk
  readonly prefix: string
  /** Shapes that an outer model hands in. */
  readonly given: readonly (Shape | undefined)[] | undefined
  readonly stored: (name: string) => Shape | undefined
}

/** Walks a model and returns the shape of its (first) output. */
function walkModel(model: Json, context: Context): Shape | undefined {
  const { walk, prefix } = context
  const layers = layersOf(model, prefix || 'model')
  const shapes = new Map<string, Shape | undefined>()
  let last: Shape | undefined
  let inputs = 0
  for (const { name, kind, config, calls } of layers) {
    const id = prefix + name
    if (kind === 'InputLayer') {
      last = context.given ? context.given[inputs] : inputShape(config, { ...context, name })
      inputs += 1
      shapes.set(name, last)
      continue
    }
    // A sequential model may begin with a layer that has the input's shape in its own config.
    const begins = shapes.size === 0 && calls.length === 0
    const firstInput = begins ? (context.given?.[0] ?? inputShape(config, { ...context, name })) : undefined
    for (const [call, sources] of (calls.length > 0 ? calls : [undefined]).entries()) {
      const read = sources?.map((source) => shapes.get(source)) ?? [firstInput ?? last]
      walk.operators += 1
      last = callLayer({ id: call === 0 ? id : `${id}/call${call}`, kind, config }, read, context)
    }
    shapes.set(name, last)
  }
  const outputs = isRecord(model['config']) ? model['config']['output_layers'] : undefined
  const [first] = Array.isArray(outputs) ? (outputs as unknown[]) : []
  const output = Array.isArray(first) ? first[0] : first
  return typeof output === 'string' && shapes.has(output) ? shapes.get(output) : last
}

function callLayer(
  { id, kind, config }: { id: string; kind: string; config: Json },
  read: readonly (Shape | undefined)[],
  context: Context,
): Shape | undefined {
  const { walk, dtype, stored } = context
  if (kind === 'Model' || kind === 'Functional' || kind === 'Sequential')
    return walkModel({ class_name: kind, config }, { ...context, prefix: `${id}/`, given: read })
  if (kind === 'TimeDistributed' && isRecord(config['layer'])) {
    // A dense layer treats leading axes alike; images of a sequence are one larger batch.
    const inner = config['layer']
    const [x] = read
    const merged = x && x.length > 3 ? [(x[0] ?? 1) * (x[1] ?? 1), ...x.slice(2)] : x
    const shape = callLayer({ id, kind: text(inner['class_name']), config: record(inner['config']) }, [merged], context)
    return shape && x && merged !== x ? [x[0] ?? 1, x[1] ?? 1, ...shape.slice(1)] : shape
  }
  const inputs = read.filter((shape) => shape !== undefined)
  if (inputs.length < read.length || inputs.length === 0) {
    if (products.has(kind)) walk.skipped.push({ id, opType: kind, reason: 'its shape is unknown' })
    else if (!layerResult(kind, { id, config, inputs: [[1, 1, 1, 1]], dtype })) walk.unknown.push(kind)
    return undefined
  }
  const result = layerResult(kind, { id, config, inputs, dtype, stored })
  if (!result) {
    walk.unknown.push(kind)
    return undefined
  }
  walk.layers.push(...(result.products ?? []))
  if (result.skipped !== undefined) walk.skipped.push({ id, opType: kind, reason: result.skipped })
  return result.shape
}

const products = new Set([
  'Dense',
  'Conv1D',
  'Conv2D',
  'DepthwiseConv2D',
  'SeparableConv2D',
  'Conv2DTranspose',
  'LSTM',
  'GRU',
])

function layersOf(model: Json, where: string): KerasLayer[] {
  const config = model['config']
  const list = Array.isArray(config) ? config : isRecord(config) ? config['layers'] : undefined
  if (!Array.isArray(list)) {
    throw new FtError('CORRUPT_DATA', `readTfjs: ${where} has no list of layers`, { where })
  }
  return list.map((item: unknown, index) => {
    const layer = isRecord(item) ? item : {}
    const inner = isRecord(layer['config']) ? layer['config'] : {}
    const kind = layer['class_name']
    const name = layer['name'] ?? inner['name']
    if (typeof kind !== 'string' || typeof name !== 'string') {
      throw new FtError('CORRUPT_DATA', `readTfjs: layer ${index} of ${where} needs class_name and name`, {
        where,
        index,
      })
    }
    // A nested Sequential's config may be the bare list of its layers.
    return {
      name,
      kind,
      config: Array.isArray(layer['config']) ? { layers: layer['config'] } : inner,
      calls: callsOf(layer),
    }
  })
}

/** `inbound_nodes` is `[[[name, node, tensor, {}], ...], ...]`: one list a call. */
function callsOf(layer: Json): string[][] {
  const nodes = layer['inbound_nodes']
  if (!Array.isArray(nodes)) return []
  return nodes.map((node: unknown) =>
    (Array.isArray(node) ? node : []).map((entry: unknown) => text(Array.isArray(entry) ? entry[0] : entry)),
  )
}

function inputShape(config: Json, { inputs, batch, name }: InputOptions & { name: string }): Shape {
  const declared = config['batch_input_shape'] ?? config['batch_shape']
  const shape =
    inputs?.[name] ?? inputs?.[`${name}_input`] ?? (Array.isArray(declared) ? (declared as (number | null)[]) : [])
  const sized = shape.map((size, axis) => (axis === 0 && inputs?.[name] === undefined ? (batch ?? size ?? 1) : size))
  if (sized.length > 0 && sized.every((size) => Number.isSafeInteger(size) && (size as number) > 0))
    return sized as number[]
  const message = `readTfjs: input ${name} is ${shape.map((size) => size ?? '?').join('x') || 'of no shape'}; give its whole shape (inputs)`
  throw new FtError('INVALID_ARGUMENT', message, { unbound: [name], declared: shape })
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function record(value: unknown): Json {
  return isRecord(value) ? value : {}
}
