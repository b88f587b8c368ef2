// Writing requests and responses, tensors as bytes after the JSON header (the binary extension) or as JSON.
import { jsonFromBytes } from './json-data.ts'
import type { InferRequest, InferResponse, WireTensor } from './message.ts'

/** A body in parts, sent in order, and, when tensors follow it as bytes, the length of its JSON header. */
export interface Written {
  readonly parts: readonly Uint8Array[]
  readonly length: number
  readonly headerLength?: number
}

/** @param options.binary - whether tensors are written as bytes, and asked for so; default true */
export function writeRequest(request: InferRequest, { binary = true }: { binary?: boolean } = {}): Written {
  const [only, ...more] = request.inputs
  if (binary && only && more.length === 0 && saysNothingElse(request)) return writeAlone(only)
  return writeWhole(request, binary)
}

function saysNothingElse({ id, parameters, outputs }: InferRequest): boolean {
  for (const _ in parameters) return false
  return id === undefined && outputs === undefined
}

interface Header extends Omit<WireTensor, 'bytes'> {
  readonly length: number
  readonly header: Uint8Array
}

/** By the array that says a tensor's shape: requests that are passed on have the same again and again. */
const headers = new WeakMap<readonly number[], Header>()

function writeAlone(tensor: WireTensor): Written {
  const { name, datatype, shape, bytes } = tensor
  const known = headers.get(shape)
  if (
    known?.name === name &&
    known.datatype === datatype &&
    known.length === bytes.length &&
    known.shape.length === shape.length &&
    // Whose array it is may have changed it
    known.shape.every((size, axis) => size === shape[axis])
  ) {
    const { header } = known
    return { parts: [header, bytes], length: header.length + bytes.length, headerLength: header.length }
  }
  const written = writeWhole({ parameters: {}, inputs: [tensor], binaryOutput: true }, true)
  const header = written.parts[0] as Uint8Array
  headers.set(shape, { name, datatype, shape: [...shape], length: bytes.length, header })
  return written
}

function writeWhole(request: InferRequest, binary: boolean): Written {
  const head: Record<string, unknown> = {}
  if (request.id !== undefined) head['id'] = request.id
  const { binary_data_output: _asked, ...own } = request.parameters
  const parameters = binary ? { ...own, binary_data_output: true } : own
  if (Object.keys(parameters).length > 0) head['parameters'] = parameters
  if (request.outputs)
    head['outputs'] = request.outputs.map(({ name }) => ({ name, parameters: { binary_data: binary } }))
  return write(head, { key: 'inputs', tensors: request.inputs, binary: () => binary })
}

/** @param options.binary - which outputs are written as bytes */
export function writeResponse(response: InferResponse, { binary }: { binary: (name: string) => boolean }): Written {
  const head: Record<string, unknown> = { model_name: response.modelName }
  if (response.modelVersion !== undefined) head['model_version'] = response.modelVersion
  if (response.id !== undefined) head['id'] = response.id
  if (response.parameters && Object.keys(response.parameters).length > 0) head['parameters'] = response.parameters
  return write(head, { key: 'outputs', tensors: response.outputs, binary })
}

/** Which outputs a request wants as bytes. */
export function wantsBinary({ outputs, binaryOutput }: InferRequest): (name: string) => boolean {
  if (!outputs) return () => binaryOutput
  const said = new Map(outputs.flatMap(({ name, binary }) => (binary === undefined ? [] : [[name, binary] as const])))
  return (name) => said.get(name) ?? binaryOutput
}

function write(
  head: Record<string, unknown>,
  { key, tensors, binary }: { key: string; tensors: readonly WireTensor[]; binary: (name: string) => boolean },
): Written {
  const following: Uint8Array[] = []
  const entries = tensors.map((tensor) => {
    const { name, datatype, shape, bytes } = tensor
    const start = `{"name":${JSON.stringify(name)},"datatype":"${datatype}","shape":[${shape.join(',')}]`
    if (!binary(name)) return `${start},"data":${jsonFromBytes(tensor)}}`
    following.push(bytes)
    return `${start},"parameters":{"binary_data_size":${bytes.length}}}`
  })
  const rest = JSON.stringify(head)
  const text = `${rest.slice(0, -1)}${rest === '{}' ? '' : ','}${JSON.stringify(key)}:[${entries.join(',')}]}`
  const header = Buffer.from(text, 'utf8')
  if (following.length === 0) return { parts: [header], length: header.length }
  let length = header.length
  for (const bytes of following) length += bytes.length
  return { parts: [header, ...following], length, headerLength: header.length }
}
