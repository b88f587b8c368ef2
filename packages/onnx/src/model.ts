// Models as bytes: parsed with every length checked, written back without losing what this package does not know.
import { clearField, clone, create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { FtError } from '@ft/core'
import { subgraphs } from './attributes.ts'
import { layoutOf, typeName } from './dtypes.ts'
import {
  ModelProtoSchema,
  StringStringEntryProtoSchema,
  TensorProtoSchema,
  TensorProto_DataLocation,
  type GraphProto,
  type ModelProto,
  type TensorProto,
} from './proto/onnx_pb.js'
import { isExternal, tensorShape } from './tensors.ts'

/** A parsed model. Fields are those of the ONNX format in camel case. */
export type OnnxModel = ModelProto & { graph: GraphProto }

export interface ParseOptions {
  /** Returns the bytes of a file beside the model, for tensors kept outside it. Its name is relative and checked. */
  readonly external?: (location: string) => Uint8Array
}

/**
 * Parses a model.
 *
 * Cost: tensors are views of `bytes` until they are read.
 *
 * @throws FtError `INVALID_ARGUMENT` for what is not bytes; `CORRUPT_DATA` for bytes that are not a model, or external data
 * outside their file; `IO` when reading an external file fails
 */
export function parseModel(bytes: Uint8Array, options: ParseOptions = {}): OnnxModel {
  if (!ArrayBuffer.isView(bytes)) {
    const got = typeof bytes === 'string' ? 'text: read the file first' : Object.prototype.toString.call(bytes)
    throw new FtError('INVALID_ARGUMENT', `parseModel: takes a Uint8Array of a file's bytes, got ${got}`)
  }
  let model: ModelProto
  try {
    // Node's Buffers would make every tensor a Buffer, whose slice() does not copy.
    model = fromBinary(ModelProtoSchema, new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength))
  } catch (cause) {
    throw new FtError(
      'CORRUPT_DATA',
      `parseModel: these ${bytes.length} bytes are not an ONNX model: ${String(cause)}`,
      { bytes: bytes.length },
      { cause },
    )
  }
  if (model.graph === undefined || model.irVersion === 0n) {
    throw new FtError('CORRUPT_DATA', `parseModel: these ${bytes.length} bytes hold no ONNX graph`, {
      bytes: bytes.length,
    })
  }
  const { external } = options
  if (external) for (const tensor of tensorsOf(model.graph)) if (isExternal(tensor)) embed(tensor, external)
  return model as OnnxModel
}

/** Every stored tensor of a graph: initialisers and attributes, subgraphs included. */
export function* tensorsOf(graph: GraphProto): Generator<TensorProto> {
  yield* graph.initializer
  for (const sparse of graph.sparseInitializer) {
    if (sparse.values) yield sparse.values
    if (sparse.indices) yield sparse.indices
  }
  for (const node of graph.node) {
    for (const item of node.attribute) {
      if (item.t) yield item.t
      yield* item.tensors
    }
    for (const inner of subgraphs(node)) yield* tensorsOf(inner)
  }
}

function embed(tensor: TensorProto, external: (location: string) => Uint8Array): void {
  const entry = (key: string) => tensor.externalData.find((item) => item.key === key)?.value
  const location = entry('location') ?? ''
  const unsafe = location === '' || /^([/\\]|[a-zA-Z]:)/.test(location) || location.split(/[/\\]/).includes('..')
  const fail = (what: string) =>
    new FtError('CORRUPT_DATA', `parseModel: tensor ${tensor.name}: ${what}`, { tensor: tensor.name, location })
  if (unsafe)
    throw fail(
      `external data at ${JSON.stringify(location)}: the place must be a relative path inside the model's folder`,
    )
  let file: Uint8Array
  try {
    file = external(location)
  } catch (cause) {
    throw new FtError(
      'IO',
      `parseModel: tensor ${tensor.name}: cannot read ${location}`,
      { tensor: tensor.name, location },
      { cause },
    )
  }
  const { bits } = layoutOf(typeName(tensor.dataType, `tensor ${tensor.name}`))
  const needed = Math.ceil((tensorShape(tensor).reduce((product, size) => product * size, 1) * bits) / 8)
  const offset = Number(entry('offset') ?? 0)
  const length = Number(entry('length') ?? needed)
  if (
    !Number.isSafeInteger(offset) ||
    !Number.isSafeInteger(length) ||
    offset < 0 ||
    length < 0 ||
    offset + length > file.length
  ) {
    throw fail(`external data [${offset}, +${length}] lie outside ${location} of ${file.length} bytes`)
  }
  if (length !== needed) throw fail(`external data have ${length} bytes, the shape needs ${needed}`)
  tensor.rawData = file.subarray(offset, offset + length)
  tensor.externalData = []
  clearField(tensor, TensorProtoSchema.field.dataLocation)
}

/** Serialises a model. Tensors still external stay so. */
export function serializeModel(model: ModelProto): Uint8Array {
  return toBinary(ModelProtoSchema, model)
}

/**
 * Serialises a model with its large tensors in one file beside it, as models above 2 GB must be.
 *
 * @param options.location - the file's name, relative to the model
 * @param options.threshold - smallest tensor moved, in bytes; default 1024
 */
export function serializeWithExternalData(
  model: ModelProto,
  options: { location: string; threshold?: number },
): { model: Uint8Array; external: Uint8Array } {
  const { location, threshold = 1024 } = options
  const copy = cloneModel(model)
  const moved: Uint8Array[] = []
  let offset = 0
  for (const tensor of copy.graph ? tensorsOf(copy.graph) : []) {
    const { length } = tensor.rawData
    if (length < threshold) continue
    const entries = { location, offset: String(offset), length: String(length) }
    tensor.externalData = Object.entries(entries).map(([key, value]) =>
      create(StringStringEntryProtoSchema, { key, value }),
    )
    tensor.dataLocation = TensorProto_DataLocation.EXTERNAL
    moved.push(tensor.rawData)
    tensor.rawData = new Uint8Array()
    offset += length
  }
  const external = new Uint8Array(offset)
  let at = 0
  for (const part of moved) {
    external.set(part, at)
    at += part.length
  }
  return { model: serializeModel(copy), external }
}

/** Writes an entry of the model's metadata, in place of one of the same key. */
export function setMetadata(model: ModelProto, { key, value }: { key: string; value: string }): void {
  const others = model.metadataProps.filter((entry) => entry.key !== key)
  model.metadataProps = [...others, create(StringStringEntryProtoSchema, { key, value })]
}

/** A deep copy that shares no node with the original. */
export function cloneModel<T extends ModelProto>(model: T): T {
  return clone(ModelProtoSchema, model) as T
}
