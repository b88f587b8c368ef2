// Stored tensors of a TensorFlow.js model: shapes from the manifest, elements of small whole-number ones from the files.
import { FtError } from '@ft/core'
import { isRecord, type Json } from '../network.ts'
import type { Known } from './graphOps.ts'

/** Reads a file of the model by the path that its manifest gives. */
export type ReadFile = (path: string) => Uint8Array

/** Larger tensors hold data, not shapes. */
const MOST_ELEMENTS = 64
const bytesOf: Readonly<Record<string, number>> = {
  float32: 4,
  int32: 4,
  complex64: 8,
  bool: 1,
  uint8: 1,
  uint16: 2,
  float16: 2,
}

/** @throws FtError `CORRUPT_DATA` for an entry without name or shape, or a file shorter than its manifest says */
export function constants(model: Json, readFile?: ReadFile): Map<string, Known> {
  const known = new Map<string, Known>()
  const manifest = model['weightsManifest'] ?? []
  if (!Array.isArray(manifest)) throw new FtError('CORRUPT_DATA', 'readTfjs: weightsManifest must be a list')
  for (const group of manifest as unknown[])
    readGroup(isRecord(group) ? group : {}, { known, ...(readFile ? { readFile } : {}) })
  return known
}

function readGroup(group: Json, { known, readFile }: { known: Map<string, Known>; readFile?: ReadFile }): void {
  const weights = Array.isArray(group['weights']) ? (group['weights'] as unknown[]) : []
  const paths = Array.isArray(group['paths']) ? group['paths'].filter((path) => typeof path === 'string') : []
  let files: Uint8Array | undefined
  let offset: number | undefined = 0
  for (const [index, entry] of weights.entries()) {
    const { name, shape, dtype, quantization } = isRecord(entry) ? entry : {}
    const sizes = Array.isArray(shape) ? shape.map(Number) : [NaN]
    if (typeof name !== 'string' || sizes.some((size) => !Number.isSafeInteger(size) || size < 0)) {
      throw new FtError('CORRUPT_DATA', `readTfjs: weight ${index} of the manifest needs name and shape`, { index })
    }
    const stored = isRecord(quantization) ? quantization['dtype'] : dtype
    const count = sizes.reduce((all, size) => all * size, 1)
    const bytes = typeof stored === 'string' ? bytesOf[stored] : undefined
    const plain = dtype === 'int32' && stored === 'int32' && count <= MOST_ELEMENTS
    if (plain && readFile && offset !== undefined) {
      files ??= joined(paths.map(readFile))
      if (files.length < offset + 4 * count) {
        throw new FtError('CORRUPT_DATA', `readTfjs: the weight files end before ${name}`, {
          name,
          offset,
          length: files.length,
        })
      }
      const view = new DataView(files.buffer, files.byteOffset + offset, 4 * count)
      known.set(name, { shape: sizes, elements: Array.from({ length: count }, (_, i) => view.getInt32(4 * i, true)) })
    } else {
      known.set(name, { shape: sizes })
    }
    // Texts have no size in the manifest: what lies behind one cannot be found.
    offset = bytes === undefined || offset === undefined ? undefined : offset + bytes * count
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0] as Uint8Array
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}
