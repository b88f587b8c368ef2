// Networks from plain lists of products.
import { FtError, type DType, type LinearLayer } from '@ft/core'
import { isRecord, parseJson, type Json, type ReadNetwork } from './network.ts'

const types: readonly DType[] = ['float64', 'float32', 'float16', 'bfloat16', 'int8']

/**
 * Reads a JSON list of layers: `[{ "m", "n", "k", "id"?, "count"?, "dtype"?, "batch"? }]`, matrix products.
 *
 * @throws FtError `CORRUPT_DATA`, naming the layer and field
 */
export function readLayerList(text: string, options: { name?: string } = {}): ReadNetwork {
  const list = parseJson(text, 'readLayerList')
  if (!Array.isArray(list)) throw new FtError('CORRUPT_DATA', 'readLayerList: expected an array of layers')
  const layers = list.map((item: unknown, index) => readLayer(isRecord(item) ? item : {}, index))
  return { name: options.name ?? 'layers', layers, skipped: [], unsupported: [], unknownShare: 0 }
}

function readLayer(layer: Json, index: number): LinearLayer {
  const size = (name: string, fallback?: number): number => {
    const value = layer[name] ?? fallback
    if (Number.isSafeInteger(value) && (value as number) > 0) return value as number
    const got = JSON.stringify(layer[name]) ?? 'nothing'
    const message = `readLayerList: layers[${index}].${name} must be a positive integer, got ${got}`
    throw new FtError('CORRUPT_DATA', message, { index, name })
  }
  const dtype = (layer['dtype'] ?? 'float16') as DType
  if (!types.includes(dtype)) {
    const message = `readLayerList: layers[${index}].dtype must be one of ${types.join(', ')}, got ${JSON.stringify(dtype)}`
    throw new FtError('CORRUPT_DATA', message, { index, dtype })
  }
  return {
    id: typeof layer['id'] === 'string' ? layer['id'] : `layer${index}`,
    m: size('m'),
    n: size('n'),
    k: size('k'),
    count: size('count', 1),
    dtype,
    op: { kind: 'matmul', batch: size('batch', 1) },
  }
}
