// What a protected model says about itself, in its own metadata: which output and input belong to which layer.
import { FtError, invalidArgument } from '@ft/core'
import type { OnnxModel } from '@ft/onnx'
import type { OnnxScheme } from './site.ts'

export const METADATA_KEY = 'ft.protection'

export interface ProtectedLayer {
  readonly id: string
  readonly opType: string
  readonly scheme: OnnxScheme
  /** Output of two numbers: checks that failed, worst residual in units of its scale. */
  readonly output: string
  /** Output `[2, layers]` that holds the same beside other layers' (the same output where there are no others), and the column. */
  readonly table: string
  readonly column: number
  /** Input with a default: the largest residual, in units of its scale, that passes. */
  readonly threshold: string
  /** What rounding can never exceed, in the same units; the default threshold. 0 for exact checks. */
  readonly bound: number
}

interface Protection {
  readonly layers: readonly ProtectedLayer[]
}

/** @throws FtError `INVALID_ARGUMENT` for what is no file's bytes */
export function assertBytes(bytes: unknown, where: string): Uint8Array {
  if (bytes instanceof Uint8Array) return bytes
  throw invalidArgument({ where, argument: 'bytes' }, "a Uint8Array: a model file's bytes", bytes)
}

export function protectionText({ layers }: Protection): string {
  return JSON.stringify({ schema: 'ft.protection', version: 2, layers })
}

/**
 * Reads what `protectOnnx` wrote.
 *
 * @throws FtError `INVALID_ARGUMENT` for a model that is not protected, `CORRUPT_DATA` for text that does not fit the graph
 */
export function readProtection(model: OnnxModel): Protection {
  const text = model.metadataProps.find(({ key }) => key === METADATA_KEY)?.value
  if (text === undefined)
    throw new FtError(
      'INVALID_ARGUMENT',
      'createGuardedSession: the model carries no checks; protect it with protectOnnx',
    )
  const fail = (what: string): FtError =>
    new FtError('CORRUPT_DATA', `createGuardedSession: the model's ${METADATA_KEY} ${what}`, {})
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw fail('is not JSON')
  }
  const { schema, version, layers } = (value ?? {}) as Partial<Record<'schema' | 'version' | 'layers', unknown>>
  if (schema !== 'ft.protection') throw fail('has another schema')
  if (version !== 2)
    throw new FtError(
      'VERSION_UNSUPPORTED',
      `createGuardedSession: protection version ${String(version)}; this reads 2: protect the model again`,
    )
  if (!Array.isArray(layers)) throw fail('has no layers')
  const outputs = new Set(model.graph.output.map(({ name }) => name))
  const inputs = new Set(model.graph.input.map(({ name }) => name))
  for (const layer of layers as Partial<ProtectedLayer>[]) {
    if (typeof layer.id !== 'string' || typeof layer.scheme !== 'string') throw fail('has a layer without id or scheme')
    for (const name of [layer.output, layer.table])
      if (!outputs.has(name ?? '')) throw fail(`names an output of layer ${layer.id} that the graph has not`)
    if (!inputs.has(layer.threshold ?? '')) throw fail(`names an input of layer ${layer.id} that the graph has not`)
    if (!Number.isInteger(layer.column) || !((layer.column as number) >= 0))
      throw fail(`has no column for layer ${layer.id}`)
    if (!Number.isFinite(layer.bound) || !((layer.bound as number) >= 0))
      throw fail(`has no bound for layer ${layer.id}`)
  }
  return { layers: layers as ProtectedLayer[] }
}
