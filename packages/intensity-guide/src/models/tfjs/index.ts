// Networks from TensorFlow.js model.json files, of both kinds.
import { assertInteger, FtError, type DType, type LinearLayer } from '@ft/core'
import { isRecord, parseJson, unknownOperators, type Json, type ReadNetwork } from '../network.ts'
import { walkGraphModel } from './graphModel.ts'
import { walkLayersModel } from './layersModel.ts'
import { constants, type ReadFile } from './weights.ts'

export interface TfjsReadOptions {
  /** Default 'model'. */
  readonly name?: string
  /** Whole shapes of inputs by name. */
  readonly inputs?: Readonly<Record<string, readonly number[]>>
  /** Samples a pass: replaces the first dimension of every input that `inputs` does not name. Default 1. */
  readonly batch?: number
  /** Element type served in. Default 'float32'. */
  readonly dtype?: DType
  /** Reads weight files; graphs whose shapes depend on stored numbers need them. Large ones are read whole. */
  readonly readFile?: ReadFile
}

/**
 * Reads the linear layers of a TensorFlow.js LayersModel or GraphModel. A layer's id is its layer's or node's name.
 *
 * @param text - of model.json
 * @throws FtError `CORRUPT_DATA` for what is no such model, saying where; `INVALID_ARGUMENT` for an input without a size,
 * naming it
 */
export function readTfjs(text: string, options: TfjsReadOptions = {}): ReadNetwork {
  const { name = 'model', dtype = 'float32', batch, inputs, readFile } = options
  if (batch !== undefined) assertInteger(batch, { where: 'readTfjs', argument: 'batch', min: 1 })
  const model = parseJson(text, 'readTfjs')
  const topology = isRecord(model) ? (isRecord(model['modelTopology']) ? model['modelTopology'] : model) : undefined
  if (!topology || !isTfjsModel(model)) {
    throw new FtError(
      'CORRUPT_DATA',
      'readTfjs: neither a LayersModel (class_name, config) nor a GraphModel (node) in modelTopology',
    )
  }
  const input = { dtype, ...(batch === undefined ? {} : { batch }), ...(inputs ? { inputs } : {}) }
  const walk = Array.isArray(topology['node'])
    ? walkGraphModel(model as Json, { ...input, ...(readFile ? { readFile } : {}) })
    : walkLayersModel(topology, { ...input, stored: storedShapes(model as Json) })
  const empty = walk.layers.filter((layer) => !hasElements(layer))
  return {
    name,
    layers: walk.layers.filter(hasElements),
    skipped: [
      ...walk.skipped,
      ...empty.map(({ id, op }) => ({ id, opType: op.kind, reason: 'it has no whole number of elements' })),
    ],
    ...unknownOperators(walk.operators, walk.unknown),
  }
}

/** Whether a JSON value is such a model. */
export function isTfjsModel(json: unknown): boolean {
  if (!isRecord(json)) return false
  const topology = isRecord(json['modelTopology']) ? json['modelTopology'] : json
  return (
    Array.isArray(topology['node']) || isRecord(topology['model_config']) || typeof topology['class_name'] === 'string'
  )
}

function storedShapes(model: Json): (name: string) => readonly number[] | undefined {
  const stored = constants(model)
  return (name) => stored.get(name)?.shape
}

function hasElements({ m, n, k, op }: LinearLayer): boolean {
  const sizes = [m, n, k, ...(op.kind === 'matmul' ? [op.batch] : [...op.x, ...op.filter])]
  return sizes.every((size) => Number.isSafeInteger(size) && size > 0)
}
