// Writing requests and responses, tensors as bytes after the JSON header (the binary extension) or as JSON.
import { sameForm } from '../named.ts'
import { jsonFromBytes } from './json-data.ts'
import type { InferRequest, InferResponse, Parameters, WireTensor } from './message.ts'

/** A body in parts, sent in order, and, when tensors follow it as bytes, the length of its JSON header. */
export interface Written {
  readonly parts: readonly Uint8Array[]
  readonly length: number
  readonly headerLength?: number
}

/**
 * @param options.binary - whether tensors are written as bytes, and asked for so; default true
 * @param options.tag - id of a request that has none: ASCII letters and digits
 */
export function writeRequest(
  request: InferRequest,
  { binary = true, tag }: { binary?: boolean; tag?: string | undefined } = {},
): Written {
  const [only, ...more] = request.inputs
  if (binary && only && more.length === 0 && saysNothingElse(request)) return writeAlone(only, tag)
  return writeWhole(tag === undefined || request.id !== undefined ? request : { ...request, id: tag }, binary)
}

function saysNothingElse({ id, parameters, outputs, inputs }: InferRequest): boolean {
  for (const _ in parameters) return false
  return id === undefined && outputs === undefined && inputs[0]?.parameters === undefined
}

/** What a tensor was written as, which the next one of its form is written as again. */
interface Known<T> extends Omit<WireTensor, 'bytes'> {
  readonly length: number
  readonly written: T
}

/** Of requests of one tensor, and of tensors among others: those of one model are alike. */
let lastHeader: Known<Uint8Array> | undefined
let lastEntry: Known<string> | undefined

function writeAlone(tensor: WireTensor, tag: string | undefined): Written {
  if (!lastHeader || !isSameForm(lastHeader, tensor)) {
    const { parts } = writeWhole({ parameters: {}, inputs: [tensor], binaryOutput: true }, true)
    lastHeader = knownAs(tensor, parts[0] as Uint8Array)
  }
  const header = lastHeader.written
  if (tag !== undefined) {
    // In front of what is known of the header, which begins with a brace
    const start = Buffer.from(`{"id":"${tag}",`, 'latin1')
    const headerLength = start.length + header.length - 1
    return {
      parts: [start, header.subarray(1), tensor.bytes],
      length: headerLength + tensor.bytes.length,
      headerLength,
    }
  }
  return { parts: [header, tensor.bytes], length: header.length + tensor.bytes.length, headerLength: header.length }
}

function writeWhole(request: InferRequest, binary: boolean): Written {
  const head: Record<string, unknown> = {}
  if (request.id !== undefined) head['id'] = request.id
  const { binary_data_output: _asked, ...own } = request.parameters
  const parameters = binary ? { ...own, binary_data_output: true } : own
  const outputs = request.outputs?.map(
    ({ name, parameters: said }) =>
      `{"name":${JSON.stringify(name)},"parameters":${jsonOf({ ...said, binary_data: binary })}}`,
  )
  const asked = outputs ? `,"outputs":[${outputs.join(',')}]` : ''
  return write(head, { parameters, asked, key: 'inputs', tensors: request.inputs, binary: () => binary })
}

/** @param options.binary - which outputs are written as bytes */
export function writeResponse(response: InferResponse, { binary }: { binary: (name: string) => boolean }): Written {
  const head: Record<string, unknown> = { model_name: response.modelName }
  if (response.modelVersion !== undefined) head['model_version'] = response.modelVersion
  if (response.id !== undefined) head['id'] = response.id
  return write(head, { parameters: response.parameters ?? {}, key: 'outputs', tensors: response.outputs, binary })
}

/** Which outputs a request wants as bytes. */
export function wantsBinary({ outputs, binaryOutput }: InferRequest): (name: string) => boolean {
  if (!outputs) return () => binaryOutput
  const said = new Map(outputs.flatMap(({ name, binary }) => (binary === undefined ? [] : [[name, binary] as const])))
  return (name) => said.get(name) ?? binaryOutput
}

interface Message {
  readonly parameters: Parameters
  /** Outputs that are asked for, behind a comma. */
  readonly asked?: string
  readonly key: string
  readonly tensors: readonly WireTensor[]
  readonly binary: (name: string) => boolean
}

function write(head: Record<string, unknown>, { parameters, asked = '', key, tensors, binary }: Message): Written {
  const following: Uint8Array[] = []
  const entries = tensors.map((tensor) => {
    if (!binary(tensor.name)) {
      const said = tensor.parameters ? `,"parameters":${jsonOf(tensor.parameters)}` : ''
      return `${startOf(tensor)}${said},"data":${jsonFromBytes(tensor)}}`
    }
    following.push(tensor.bytes)
    return binaryEntry(tensor)
  })
  const written = jsonOf(parameters)
  const said = written === '{}' ? '' : `,"parameters":${written}`
  const rest = `${JSON.stringify(head).slice(1, -1)}${said}${asked},"${key}":[${entries.join(',')}]}`
  const text = `{${rest.startsWith(',') ? rest.slice(1) : rest}`
  const header = Buffer.from(text, 'utf8')
  if (following.length === 0) return { parts: [header], length: header.length }
  let length = header.length
  for (const bytes of following) length += bytes.length
  return { parts: [header, ...following], length, headerLength: header.length }
}

/** Wide integers with all their digits. */
function jsonOf(parameters: Parameters): string {
  let wide = false
  for (const name in parameters) wide ||= typeof parameters[name] === 'bigint'
  if (!wide) return JSON.stringify(parameters)
  const entries = Object.entries(parameters).map(
    ([name, value]) => `${JSON.stringify(name)}:${typeof value === 'bigint' ? String(value) : JSON.stringify(value)}`,
  )
  return `{${entries.join(',')}}`
}

function binaryEntry(tensor: WireTensor): string {
  if (tensor.parameters) {
    const parameters = { ...tensor.parameters, binary_data_size: tensor.bytes.length }
    return `${startOf(tensor)},"parameters":${jsonOf(parameters)}}`
  }
  if (!lastEntry || !isSameForm(lastEntry, tensor))
    lastEntry = knownAs(tensor, `${startOf(tensor)},"parameters":{"binary_data_size":${tensor.bytes.length}}}`)
  return lastEntry.written
}

function knownAs<T>({ name, datatype, shape, bytes }: WireTensor, written: T): Known<T> {
  return { name, datatype, shape: [...shape], length: bytes.length, written }
}

const startOf = ({ name, datatype, shape }: WireTensor) =>
  `{"name":${JSON.stringify(name)},"datatype":"${datatype}","shape":[${shape.join(',')}]`

const isSameForm = (known: Known<unknown>, tensor: WireTensor) =>
  sameForm(known, tensor) && known.datatype === tensor.datatype && known.length === tensor.bytes.length
