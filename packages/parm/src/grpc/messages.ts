// The messages of inference.GRPCInferenceService: requests and responses from and to protobuf.
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire'
import type { InferRequest, InferResponse, RequestedOutput, WireTensor } from '../oip/message.ts'
import type { ModelMetadata, TensorMetadata } from '../oip/service.ts'
import {
  joinContents,
  readFields,
  readMetadata,
  readParameter,
  readRequested,
  readTensor,
  writeParameters,
  writeRequested,
  writeShape,
  writeTensor,
  type HalfTensor,
} from './tensors.ts'

const LENGTH = WireType.LengthDelimited

/** Which model a message is about. */
export interface ModelName {
  readonly model: string
  /** '' for any. */
  readonly version: string
}

export type Ready = { readonly ready: boolean }

export const empty = { write: () => Buffer.alloc(0) }

/** ServerLive, ServerReady and ModelReady answers. */
export const ready = {
  write: (message: Ready) => finish(new BinaryWriter().tag(1, WireType.Varint).bool(message.ready)),
  read(bytes: Uint8Array): Ready {
    let value = false
    readFields(bytes, (field, type, reader) => {
      if (field !== 1 || type !== WireType.Varint) return false
      value = reader.bool()
      return true
    })
    return { ready: value }
  },
}

export const modelName = {
  write({ model, version }: ModelName): Buffer {
    const writer = new BinaryWriter().tag(1, LENGTH).string(model)
    if (version !== '') writer.tag(2, LENGTH).string(version)
    return finish(writer)
  },
  read(bytes: Uint8Array): ModelName {
    const texts = ['', '']
    readFields(bytes, (field, type, reader) => {
      if ((field !== 1 && field !== 2) || type !== LENGTH) return false
      texts[field - 1] = reader.string(true)
      return true
    })
    return { model: texts[0] as string, version: texts[1] as string }
  },
}

export interface ServerFacts {
  readonly name: string
  readonly version: string
}

export const serverFacts = {
  write: ({ name, version }: ServerFacts) =>
    finish(new BinaryWriter().tag(1, LENGTH).string(name).tag(2, LENGTH).string(version)),
  read(bytes: Uint8Array): ServerFacts {
    const { model, version } = modelName.read(bytes)
    return { name: model, version }
  },
}

export const metadata = {
  write({ name, versions = [], platform, inputs, outputs, properties = {} }: ModelMetadata): Buffer {
    const writer = new BinaryWriter().tag(1, LENGTH).string(name)
    for (const version of versions) writer.tag(2, LENGTH).string(version)
    writer.tag(3, LENGTH).string(platform)
    const tensors = (field: number, list: readonly TensorMetadata[]) => {
      for (const one of list) {
        writer.tag(field, LENGTH).fork().tag(1, LENGTH).string(one.name).tag(2, LENGTH).string(one.datatype)
        writeShape(writer, one.shape)
        writer.join()
      }
    }
    tensors(4, inputs)
    tensors(5, outputs)
    for (const [key, value] of Object.entries(properties))
      writer.tag(6, LENGTH).fork().tag(1, LENGTH).string(key).tag(2, LENGTH).string(value).join()
    return finish(writer)
  },
  read(bytes: Uint8Array): ModelMetadata {
    let [name, platform] = ['', '']
    const versions: string[] = []
    const inputs: TensorMetadata[] = []
    const outputs: TensorMetadata[] = []
    const properties: [string, string][] = []
    readFields(bytes, (field, type, reader) => {
      if (type !== LENGTH) return false
      if (field === 1) name = reader.string(true)
      else if (field === 2) versions.push(reader.string(true))
      else if (field === 3) platform = reader.string(true)
      else if (field === 4) inputs.push(readMetadata(reader.bytes()))
      else if (field === 5) outputs.push(readMetadata(reader.bytes()))
      else if (field === 6) {
        const { model: key, version: value } = modelName.read(reader.bytes())
        properties.push([key, value])
      } else return false
      return true
    })
    return { name, versions, platform, inputs, outputs, properties: Object.fromEntries(properties) }
  },
}

export interface GrpcInfer {
  readonly model: string
  readonly version: string
  readonly request: InferRequest
}

export const inferRequest = {
  write({ model, version, request }: GrpcInfer): Buffer {
    const writer = new BinaryWriter().tag(1, LENGTH).string(model)
    if (version !== '') writer.tag(2, LENGTH).string(version)
    if (request.id !== undefined) writer.tag(3, LENGTH).string(request.id)
    writeParameters(writer, 4, request.parameters)
    writeTensors(writer, request.inputs, 5)
    for (const one of request.outputs ?? []) writeRequested(writer, 6, one)
    for (const { bytes } of request.inputs) writer.tag(7, LENGTH).bytes(bytes)
    return finish(writer)
  },
  /** @throws OipError 400 with what is wrong and where */
  read(bytes: Uint8Array): GrpcInfer {
    const { model, version, id, parameters, tensors, wanted, raw } = readInfer(bytes, { rawField: 7 })
    return {
      model,
      version,
      request: {
        ...(id === '' ? {} : { id }),
        parameters,
        inputs: joinContents(tensors, { raw, where: 'input' }),
        ...(wanted.length > 0 ? { outputs: wanted } : {}),
        binaryOutput: true,
      },
    }
  },
}

export const inferResponse = {
  write(response: InferResponse): Buffer {
    const writer = new BinaryWriter().tag(1, LENGTH).string(response.modelName)
    if (response.modelVersion !== undefined) writer.tag(2, LENGTH).string(response.modelVersion)
    if (response.id !== undefined) writer.tag(3, LENGTH).string(response.id)
    writeParameters(writer, 4, response.parameters ?? {})
    writeTensors(writer, response.outputs, 5)
    for (const { bytes } of response.outputs) writer.tag(6, LENGTH).bytes(bytes)
    return finish(writer)
  },
  /** @throws OipError 400 with what is wrong and where */
  read(bytes: Uint8Array): InferResponse {
    const { model, version, id, parameters, tensors, raw } = readInfer(bytes, { rawField: 6 })
    return {
      modelName: model,
      ...(version === '' ? {} : { modelVersion: version }),
      ...(id === '' ? {} : { id }),
      parameters,
      outputs: joinContents(tensors, { raw, where: 'output' }),
    }
  },
}

function writeTensors(writer: BinaryWriter, tensors: readonly WireTensor[], field: number): void {
  for (const tensor of tensors) writeTensor(writer, field, tensor)
}

function readInfer(bytes: Uint8Array, { rawField }: { rawField: number }) {
  const texts = ['', '', '']
  const parameters: Record<string, string | number | boolean> = {}
  const tensors: HalfTensor[] = []
  const wanted: RequestedOutput[] = []
  const raw: Uint8Array[] = []
  readFields(bytes, (field, type, reader) => {
    if (type !== LENGTH) return false
    if (field >= 1 && field <= 3) texts[field - 1] = reader.string(true)
    else if (field === 4) readParameter(reader.bytes(), parameters)
    else if (field === 5) tensors.push(readTensor(reader.bytes()))
    else if (field === rawField) raw.push(reader.bytes())
    else if (field === 6) wanted.push(readRequested(reader.bytes(), `outputs[${wanted.length}]`))
    else return false
    return true
  })
  const [model = '', version = '', id = ''] = texts
  return { model, version, id, parameters, tensors, wanted, raw }
}

function finish(writer: BinaryWriter): Buffer {
  const bytes = writer.finish()
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
