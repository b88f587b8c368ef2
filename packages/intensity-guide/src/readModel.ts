// Networks from outside: ONNX models and plain lists of layers.
import { FtError, type LinearLayer } from '@ft/core'
import { linearLayers, modelFingerprint, parseModel, type InferOptions } from '@ft/onnx'
import type { Network } from './zoo/index.ts'

export interface ReadNetwork extends Network {
  readonly fingerprint?: string
  /** Products that the model has and the analysis leaves out, with the reason. */
  readonly skipped: readonly { readonly id: string; readonly opType: string; readonly reason: string }[]
  /** Operators whose shapes are not known; what follows from them may be missing. */
  readonly unsupported: readonly string[]
}

/**
 * Reads an ONNX model's linear layers.
 *
 * @param options.bind - sizes of named dimensions; `options.inputs` - whole input shapes
 * @throws FtError `CORRUPT_DATA` for bytes that are no model; `INVALID_ARGUMENT` for unbound dimensions, naming them
 */
export function readOnnx(bytes: Uint8Array, options: InferOptions & { name?: string } = {}): ReadNetwork {
  const model = parseModel(bytes)
  const { layers, skipped, inference } = linearLayers(model, options)
  return {
    name: options.name ?? (model.graph.name || 'model'),
    layers,
    fingerprint: modelFingerprint(model),
    skipped,
    unsupported: [...new Set(inference.unsupported.map((item) => item.opType))],
  }
}

/**
 * Reads a JSON list of layers: `[{ "id", "m", "n", "k", "count"?, "dtype"? }]`, matrix products.
 *
 * @throws FtError `CORRUPT_DATA`, naming the layer and field
 */
export function readLayerList(text: string, options: { name?: string } = {}): ReadNetwork {
  let list: unknown
  try {
    list = JSON.parse(text)
  } catch (cause) {
    throw new FtError('CORRUPT_DATA', 'readLayerList: not JSON', {}, { cause })
  }
  if (!Array.isArray(list)) throw new FtError('CORRUPT_DATA', 'readLayerList: expected an array of layers')
  const layers = list.map((item: unknown, index): LinearLayer => {
    const layer = (typeof item === 'object' && item !== null ? item : {}) as Record<string, unknown>
    const size = (name: string, fallback?: number): number => {
      const value = layer[name] ?? fallback
      if (Number.isSafeInteger(value) && (value as number) > 0) return value as number
      throw new FtError(
        'CORRUPT_DATA',
        `readLayerList: layers[${index}].${name} must be a positive integer, got ${JSON.stringify(layer[name])}`,
        { index, name },
      )
    }
    const dtype = layer['dtype'] ?? 'float16'
    if (dtype !== 'float16' && dtype !== 'float32' && dtype !== 'bfloat16' && dtype !== 'int8' && dtype !== 'float64') {
      throw new FtError('CORRUPT_DATA', `readLayerList: layers[${index}].dtype ${JSON.stringify(dtype)} is not known`, {
        index,
        dtype,
      })
    }
    const id = typeof layer['id'] === 'string' ? layer['id'] : `layer${index}`
    return {
      id,
      m: size('m'),
      n: size('n'),
      k: size('k'),
      count: size('count', 1),
      dtype,
      op: { kind: 'matmul', batch: 1 },
    }
  })
  return { name: options.name ?? 'layers', layers, skipped: [], unsupported: [] }
}
