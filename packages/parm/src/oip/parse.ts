// Reading requests and responses: a JSON header, then the bytes of binary tensors in their order. Everything is checked
// before it is used; what is wrong is said with its place.
import { datatypes, isDatatype, type Datatype } from './datatypes.ts'
import { OipError } from './error.ts'
import { bytesFromJson, elementsOf, type JsonReading } from './json-data.ts'
import { integerOf, readJson, type JsonSource } from './json-source.ts'
import type { InferRequest, InferResponse, Parameters, WireTensor } from './message.ts'

/** A body with the value of its `Inference-Header-Content-Length` header, when it has one. */
export interface Body {
  readonly bytes: Uint8Array
  readonly headerLength?: string | undefined
}

const MAX_AXES = 16
const utf8 = new TextDecoder('utf-8', { fatal: true })

type CheckForm = (form: TensorForm) => void

/**
 * @param checkInput - called with each input's form before its contents are read, unless an equal header was read before
 * @throws OipError 400 with what is wrong and where; what `checkInput` throws
 */
export function parseRequest(body: Body, checkInput?: CheckForm): InferRequest {
  return readOnce(body, { headers: requests, key: 'inputs', read: (own) => readRequest(own, checkInput) })
}

/** @throws OipError 400 with what is wrong and where */
export function parseResponse(body: Body): InferResponse {
  return readOnce(body, { headers: responses, key: 'outputs', read: readResponse })
}

/** What a header said that was read before. */
interface Known<M> {
  /** All but its tensors. */
  readonly message: M
  /** Its tensors' forms, all of them binary and of contents that need no check, and their lengths in bytes. */
  readonly tensors: readonly (Omit<WireTensor, 'bytes'> & { readonly length: number })[]
  /** Bytes after the header. */
  readonly following: number
}

const MOST_KNOWN = 64
const LONGEST_KNOWN = 1024
/** By the text of the header; `tagged` by that of one whose id was cut out. */
interface KnownHeaders<M> {
  readonly plain: Map<string, Known<M>>
  readonly tagged: Map<string, Known<M>>
}

const requests: KnownHeaders<InferRequest> = { plain: new Map(), tagged: new Map() }
const responses: KnownHeaders<InferResponse> = { plain: new Map(), tagged: new Map() }
const idField = /[{,]"id":"([\w-]{1,64})"/

/**
 * Bodies of one model have the same header again and again, but for an id: what it says is kept, and only the tensors are cut
 * anew.
 */
function readOnce<M extends InferRequest | InferResponse>(
  body: Body,
  { headers, key, read }: { headers: KnownHeaders<M>; key: 'inputs' | 'outputs'; read: (body: Body) => M },
): M {
  const { bytes, headerLength } = body
  const length = Number(headerLength)
  if (!(length <= LONGEST_KNOWN && length <= bytes.length && String(length) === headerLength)) return read(body)
  // Every byte a character: as a key it stands for these bytes and no others
  const header = Buffer.from(bytes.buffer, bytes.byteOffset, length).toString('latin1')
  const field = idField.exec(header)
  const id = field?.[1]
  const at = (field?.index ?? 0) + '{"id":"'.length
  const known = id === undefined ? headers.plain : headers.tagged
  // A line end, which no string in JSON has, marks its place
  const text = id === undefined ? header : `${header.slice(0, at)}\n${header.slice(at + id.length)}`
  const found = known.get(text)
  if (found?.following === bytes.length - length) return readKnown(found, { bytes, from: length, key, id })
  const message = read(body)
  const tensors = (message as unknown as Record<string, readonly WireTensor[]>)[key] as readonly WireTensor[]
  const following = tensors.reduce((sum, tensor) => sum + tensor.bytes.length, 0)
  const plain = tensors.every(({ datatype }) => datatype !== 'BYTES' && datatype !== 'BOOL')
  // The id that was cut out is the message's own: there once, and nothing is written in a second way
  const isOwn = id === undefined || (header.split(id).length === 2 && !header.includes('\\'))
  // Tensors written as JSON have bytes that do not follow
  if (!found && plain && isOwn && message.id === id && following === bytes.length - length) {
    if (known.size >= MOST_KNOWN) known.clear()
    // Without contents, which would keep their body in memory
    const forms = tensors.map(({ bytes: own, ...form }) => ({ ...form, length: own.length }))
    known.set(text, { message: { ...message, [key]: [] }, tensors: forms, following })
  }
  return message
}

function readKnown<M extends InferRequest | InferResponse>(
  { message, tensors: forms }: Known<M>,
  o: { bytes: Uint8Array; from: number; key: 'inputs' | 'outputs'; id: string | undefined },
): M {
  let at = o.from
  const tensors = forms.map(({ name, datatype, shape, length, parameters }) => {
    at += length
    const bytes = o.bytes.subarray(at - length, at)
    return parameters === undefined ? { name, datatype, shape, bytes } : { name, datatype, shape, bytes, parameters }
  })
  return { ...message, ...(o.id === undefined ? {} : { id: o.id }), [o.key]: tensors }
}

function readRequest(body: Body, check: CheckForm | undefined): InferRequest {
  const { json, source, binary } = split(body)
  const reader = binaryReader(binary)
  const id = optionalText(json, 'id')
  const parameters = exactly(parseParameters(json['parameters'], 'parameters'), () => source.exact())
  if (!Array.isArray(json['inputs']) || json['inputs'].length === 0)
    throw bad('inputs', 'a non-empty array', json['inputs'])
  const inputs = json['inputs'].map((entry: unknown, i) =>
    parseTensor(entry, {
      where: `inputs[${i}]`,
      reader,
      reading: readingOf(source, { key: 'inputs', i }),
      parseParameters: (value, where) => exactly(parseParameters(value, where), () => entryOf(source, 'inputs', i)),
      check,
    }),
  )
  assertDistinct(inputs, 'inputs')
  reader.end()
  const outputs = parseRequestedOutputs(json['outputs'], source)
  return {
    ...(id === undefined ? {} : { id }),
    parameters,
    inputs,
    ...(outputs ? { outputs } : {}),
    binaryOutput: parameters['binary_data_output'] === true,
  }
}

function readResponse(body: Body): InferResponse {
  const { json, source, binary } = split(body)
  const reader = binaryReader(binary)
  const modelName = optionalText(json, 'model_name') ?? ''
  const modelVersion = optionalText(json, 'model_version')
  const id = optionalText(json, 'id')
  if (!Array.isArray(json['outputs'])) throw bad('outputs', 'an array', json['outputs'])
  const outputs = json['outputs'].map((entry: unknown, i) =>
    parseTensor(entry, {
      where: `outputs[${i}]`,
      reader,
      reading: { ...readingOf(source, { key: 'outputs', i }), nullIsNaN: true },
      parseParameters: (value) => exactly(knownParameters(value), () => entryOf(source, 'outputs', i)),
    }),
  )
  assertDistinct(outputs, 'outputs')
  reader.end()
  return {
    modelName,
    ...(modelVersion === undefined ? {} : { modelVersion }),
    ...(id === undefined ? {} : { id }),
    parameters: exactly(knownParameters(json['parameters']), () => source.exact()),
    outputs,
  }
}

interface Split {
  readonly json: Record<string, unknown>
  readonly source: JsonSource
  readonly binary: Uint8Array
}

function split({ bytes, headerLength }: Body): Split {
  let length = bytes.length
  if (headerLength !== undefined) {
    if (!/^\d{1,15}$/.test(headerLength) || Number(headerLength) > bytes.length)
      throw bad('Inference-Header-Content-Length', `a length of at most the body's ${bytes.length} bytes`, headerLength)
    length = Number(headerLength)
  }
  let source: JsonSource
  try {
    source = readJson(utf8.decode(bytes.subarray(0, length)))
  } catch (cause) {
    throw new OipError(400, 'the body must start with a JSON header', { cause })
  }
  if (!isObject(source.value)) throw bad('the body', 'a JSON object', source.value)
  return { json: source.value, source, binary: bytes.subarray(length) }
}

/** What the data of a message's tensor is read from where it has to be read again. */
function readingOf(source: JsonSource, { key, i }: { key: 'inputs' | 'outputs'; i: number }): JsonReading {
  return { exact: () => entryOf(source, key, i)['data'], nonFinite: source.nonFinite }
}

/** A tensor of the message, read exactly. */
function entryOf(source: JsonSource, key: 'inputs' | 'outputs', i: number): Record<string, unknown> {
  return (source.exact() as Record<typeof key, Record<string, unknown>[]>)[key][i] as Record<string, unknown>
}

interface BinaryReader {
  take(length: number, where: string): Uint8Array
  end(): void
}

function binaryReader(binary: Uint8Array): BinaryReader {
  let at = 0
  return {
    take(length, where) {
      if (at + length > binary.length)
        throw new OipError(
          400,
          `${where}: binary_data_size says ${length} bytes, ${binary.length - at} are left in the body`,
        )
      at += length
      return binary.subarray(at - length, at)
    },
    end() {
      if (at !== binary.length)
        throw new OipError(400, `the body has ${binary.length - at} bytes that belong to no tensor`)
    },
  }
}

/** Where a tensor lies in its message, and how it is read. */
interface Place {
  readonly where: string
  readonly reader: BinaryReader
  readonly reading: JsonReading
  readonly parseParameters: (value: unknown, where: string) => Parameters
  readonly check?: CheckForm | undefined
}

function parseTensor(entry: unknown, { where, reader, reading, check, ...read }: Place): WireTensor {
  if (!isObject(entry)) throw bad(where, 'an object', entry)
  const form = checkForm(entry, where)
  check?.(form)
  const { name, datatype, shape } = form
  const { size: binarySize, ...own } = sizeAndOwn(read.parseParameters(entry['parameters'], `${where}.parameters`))
  assertSent(own, where)
  if (binarySize === undefined)
    return { name, datatype, shape, bytes: bytesFromJson(entry['data'], form, reading), ...own }
  if (entry['data'] !== undefined) throw bad(where, 'either data or binary_data_size', 'both')
  if (typeof binarySize !== 'number' || !Number.isSafeInteger(binarySize) || binarySize < 0)
    throw bad(`${where}.parameters.binary_data_size`, 'a number of bytes', binarySize)
  const width = datatypes[datatype].bytes
  if (width > 0 && binarySize !== form.size * width)
    throw bad(`${where}.parameters.binary_data_size`, `${form.size * width} bytes for its shape and type`, binarySize)
  return { name, datatype, shape, bytes: checkBytes(form, { bytes: reader.take(binarySize, where), where }), ...own }
}

/** Memory of the client's machine is not the gateway's, nor its instances'. @throws OipError 400 */
export function assertSent({ parameters }: { readonly parameters?: Parameters }, where: string): void {
  if (parameters?.['shared_memory_region'] !== undefined)
    throw bad(where, 'sent with its data', 'a region of shared memory')
}

/** How a tensor is written, and what is said of it besides. */
function sizeAndOwn(all: Parameters): { size?: Parameters[string]; parameters?: Parameters } {
  const { binary_data_size: size, ...rest } = all
  return { ...(size === undefined ? {} : { size }), ...saidBesides(rest) }
}

/** Parameters as a field, which is there when there are any. */
export function saidBesides(parameters: Parameters): { parameters?: Parameters } {
  for (const _ in parameters) return { parameters }
  return {}
}

export interface TensorForm {
  readonly name: string
  readonly datatype: Datatype
  readonly shape: readonly number[]
  /** Elements. */
  readonly size: number
}

/** @throws OipError 400 unless name, type and shape are those of a tensor */
export function checkForm(
  { name, datatype, shape }: { readonly name?: unknown; readonly datatype?: unknown; readonly shape?: unknown },
  where: string,
): TensorForm {
  if (typeof name !== 'string' || name === '') throw bad(`${where}.name`, 'a non-empty string', name)
  if (!isDatatype(datatype)) throw bad(`${where}.datatype`, `one of ${Object.keys(datatypes).join(', ')}`, datatype)
  if (!isShape(shape)) throw bad(`${where}.shape`, `at most ${MAX_AXES} non-negative integers`, shape)
  const size = shape.reduce((product, length) => product * length, 1)
  if (!Number.isSafeInteger(size * 8)) throw bad(`${where}.shape`, 'of fewer than 2^50 elements', shape)
  return { name, datatype, shape, size }
}

/** @throws OipError 400 unless the bytes are the contents of such a tensor */
export function checkBytes(
  { name, datatype, size }: TensorForm,
  { bytes, where }: { readonly bytes: Uint8Array; readonly where: string },
): Uint8Array {
  const width = datatypes[datatype].bytes
  if (width > 0 && bytes.length !== size * width)
    throw bad(where, `${size * width} bytes for its shape and type`, bytes.length)
  if (width === 0) {
    let count = 0
    for (const _element of elementsOf(bytes, name)) count++
    if (count !== size) throw bad(where, `${size} BYTES elements for its shape`, count)
  }
  if (datatype === 'BOOL' && bytes.some((byte) => byte > 1)) throw bad(where, 'bytes 0 and 1 for BOOL', 'another')
  return bytes
}

function parseRequestedOutputs(entries: unknown, source: JsonSource): InferRequest['outputs'] {
  if (entries === undefined) return undefined
  if (!Array.isArray(entries)) throw bad('outputs', 'an array', entries)
  return entries.map((entry: unknown, i) => {
    if (!isObject(entry) || typeof entry['name'] !== 'string')
      throw bad(`outputs[${i}]`, 'an object with a name', entry)
    const { binary_data: binary, ...own } = exactly(
      parseParameters(entry['parameters'], `outputs[${i}].parameters`),
      () => entryOf(source, 'outputs', i),
    )
    if (binary !== undefined && typeof binary !== 'boolean')
      throw bad(`outputs[${i}].parameters.binary_data`, 'true or false', binary)
    const said = saidBesides(own)
    assertSent(said, `outputs[${i}]`)
    return { name: entry['name'], ...(binary === undefined ? {} : { binary }), ...said }
  })
}

function parseParameters(value: unknown, where: string): Parameters {
  if (value === undefined || value === null) return {}
  if (!isObject(value)) throw bad(where, 'an object', value)
  for (const [key, entry] of Object.entries(value))
    if (typeof entry !== 'string' && typeof entry !== 'number' && typeof entry !== 'boolean')
      throw bad(`${where}.${key}`, 'a string, number or truth value', entry)
  return value as Parameters
}

/**
 * The same, with integers that JavaScript's numbers do not hold as bigints.
 *
 * @param holder - what the parameters are a field of, read exactly; called where there are such integers
 */
function exactly(parameters: Parameters, holder: () => unknown): Parameters {
  let exact: Record<string, Parameters[string]> | undefined
  for (const name in parameters) {
    const value = parameters[name]
    if (!Number.isInteger(value) || Number.isSafeInteger(value)) continue
    const wide = integerOf((holder() as { readonly parameters: Record<string, unknown> }).parameters[name])
    if (wide === undefined || wide >= 1n << 64n || wide < -(1n << 63n)) continue
    exact ??= { ...parameters }
    Object.defineProperty(exact, name, { value: wide, enumerable: true })
  }
  return exact ?? parameters
}

/** Those that the protocol knows; servers say further things of their own in any form, which are nobody's fault. */
function knownParameters(value: unknown): Parameters {
  if (!isObject(value)) return {}
  const known = Object.entries(value).filter(([, entry]) => ['string', 'number', 'boolean'].includes(typeof entry))
  return Object.fromEntries(known) as Parameters
}

function optionalText(json: Record<string, unknown>, key: string): string | undefined {
  const value = json[key]
  if (value === undefined || value === null) return undefined
  if (typeof value !== 'string') throw bad(key, 'a string', value)
  return value
}

export function assertDistinct(tensors: readonly WireTensor[], where: string): void {
  const names = new Set(tensors.map(({ name }) => name))
  if (names.size !== tensors.length)
    throw bad(where, 'tensors of distinct names', tensors.map(({ name }) => name).join(', '))
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const isShape = (value: unknown): value is number[] =>
  Array.isArray(value) &&
  value.length <= MAX_AXES &&
  value.every((length) => Number.isSafeInteger(length) && (length as number) >= 0)

export function bad(where: string, expected: string, got: unknown): OipError {
  const shown =
    typeof got === 'string'
      ? `'${got.slice(0, 60)}'`
      : typeof got === 'object' && got !== null
        ? 'something else'
        : String(got)
  return new OipError(400, `${where} must be ${expected}, got ${shown}`)
}
