// Tensors, parameters and metadata in the protocol's protobuf form (package inference, service GRPCInferenceService),
// written and read field by field on the wire.
import type { BinaryWriter } from '@bufbuild/protobuf/wire'
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire'
import { datatypes, viewAs, type Datatype } from '../oip/datatypes.ts'
import { OipError } from '../oip/error.ts'
import { bytesFromJson } from '../oip/json-data.ts'
import type { Parameters, RequestedOutput, WireTensor } from '../oip/message.ts'
import { assertDistinct, assertSent, bad, checkBytes, checkForm, saidBesides, type TensorForm } from '../oip/parse.ts'
import type { TensorMetadata } from '../oip/service.ts'

/** Calls back for every field; a field that is not taken is skipped. @throws OipError 400 for damaged bytes */
export function readFields(
  bytes: Uint8Array,
  take: (field: number, type: WireType, reader: BinaryReader) => boolean,
): void {
  try {
    const reader = new BinaryReader(bytes)
    while (reader.pos < reader.len) {
      const [field, type] = reader.tag()
      if (!take(field, type, reader)) reader.skip(type, field)
    }
    if (reader.pos !== reader.len) throw new Error('cut off')
  } catch (cause) {
    if (cause instanceof OipError) throw cause
    throw new OipError(400, 'the message must be a protobuf of the Open Inference Protocol', { cause })
  }
}

const LENGTH = WireType.LengthDelimited

export function writeParameters(writer: BinaryWriter, field: number, parameters: Parameters): void {
  for (const [key, value] of Object.entries(parameters)) {
    writer.tag(field, LENGTH).fork()
    writer.tag(1, LENGTH).string(key)
    writer.tag(2, LENGTH).fork()
    if (typeof value === 'boolean') writer.tag(1, WireType.Varint).bool(value)
    else if (typeof value === 'string') writer.tag(3, LENGTH).string(value)
    else if (typeof value === 'bigint') {
      if (value < 1n << 63n) writer.tag(2, WireType.Varint).int64(value)
      else writer.tag(5, WireType.Varint).uint64(value)
    } else if (Number.isSafeInteger(value) && !Object.is(value, -0)) writer.tag(2, WireType.Varint).int64(value)
    else writer.tag(4, WireType.Bit64).double(value)
    writer.join().join()
  }
}

/** As a number, where there is one. */
function integer(value: bigint | string | number): number | bigint {
  return Number.isSafeInteger(Number(value)) ? Number(value) : BigInt(value)
}

/** One entry of a parameters map. */
export function readParameter(bytes: Uint8Array, into: Record<string, Parameters[string]>): void {
  let key = ''
  let value: Parameters[string] | undefined
  readFields(bytes, (field, type, reader) => {
    if (field === 1 && type === LENGTH) key = reader.string(true)
    else if (field === 2 && type === LENGTH)
      readFields(reader.bytes(), (choice, form, inner) => {
        if (choice === 1 && form === WireType.Varint) value = inner.bool()
        else if (choice === 2 && form === WireType.Varint) value = integer(inner.int64())
        else if (choice === 3 && form === LENGTH) value = inner.string(true)
        else if (choice === 4 && form === WireType.Bit64) value = inner.double()
        else if (choice === 5 && form === WireType.Varint) value = integer(inner.uint64())
        else return false
        return true
      })
    else return false
    return true
  })
  if (value === undefined) return
  // A name such as '__proto__' is a name like any other
  Object.defineProperty(into, key, { value, enumerable: true, configurable: true, writable: true })
}

/** Name, type, shape and parameters; contents follow at the end of the message. */
export function writeTensor(writer: BinaryWriter, field: number, tensor: WireTensor): void {
  const { name, datatype, shape, parameters } = tensor
  writer.tag(field, LENGTH).fork()
  writer.tag(1, LENGTH).string(name)
  writer.tag(2, LENGTH).string(datatype)
  writeShape(writer, shape)
  if (parameters) writeParameters(writer, 4, parameters)
  writer.join()
}

/** An output that a client asks for. */
export function writeRequested(writer: BinaryWriter, field: number, { name, parameters }: RequestedOutput): void {
  writer.tag(field, LENGTH).fork()
  writer.tag(1, LENGTH).string(name)
  if (parameters) writeParameters(writer, 2, parameters)
  writer.join()
}

/** @throws OipError 400 for one that is to be written into shared memory */
export function readRequested(bytes: Uint8Array, where: string): RequestedOutput {
  let name = ''
  const parameters: Record<string, Parameters[string]> = {}
  readFields(bytes, (field, type, reader) => {
    if (type !== LENGTH) return false
    if (field === 1) name = reader.string(true)
    else if (field === 2) readParameter(reader.bytes(), parameters)
    else return false
    return true
  })
  // How REST writes it, which here is one way only
  const { binary_data: _asked, ...own } = parameters
  const said = saidBesides(own)
  assertSent(said, where)
  return { name, ...said }
}

export function writeShape(writer: BinaryWriter, shape: readonly number[]): void {
  if (shape.length === 0) return
  writer.tag(3, LENGTH).fork()
  for (const length of shape) writer.int64(length)
  writer.join()
}

/** A tensor as it lies in its message; its contents may lie among the message's raw contents. */
export interface HalfTensor {
  readonly name: string
  readonly datatype: string
  readonly shape: readonly number[]
  readonly contents: Uint8Array | undefined
  readonly parameters?: Parameters
}

export function readTensor(bytes: Uint8Array): HalfTensor {
  let [name, datatype] = ['', '']
  const shape: number[] = []
  let contents: Uint8Array | undefined
  let parameters: Record<string, Parameters[string]> | undefined
  readFields(bytes, (field, type, reader) => {
    if (field === 1 && type === LENGTH) name = reader.string(true)
    else if (field === 2 && type === LENGTH) datatype = reader.string(true)
    else if (field === 3) readNumbers({ type, reader }, 'int64', (value) => shape.push(value))
    else if (field === 4 && type === LENGTH) readParameter(reader.bytes(), (parameters ??= {}))
    else if (field === 5 && type === LENGTH) contents = reader.bytes()
    else return false
    return true
  })
  if (parameters === undefined) return { name, datatype, shape, contents }
  // How REST writes a tensor, which here is one way only
  const { binary_data_size: _size, ...own } = parameters
  return { name, datatype, shape, contents, ...saidBesides(own) }
}

export function readMetadata(bytes: Uint8Array): TensorMetadata {
  const { name, datatype, shape } = readTensor(bytes)
  return { name, datatype, shape }
}

/** @throws OipError 400 with what is wrong and where */
export function joinContents(
  tensors: readonly HalfTensor[],
  { raw, where }: { readonly raw: readonly Uint8Array[]; readonly where: string },
): WireTensor[] {
  if (raw.length > 0 && raw.length !== tensors.length)
    throw bad(`raw_${where}_contents`, `contents of all ${tensors.length} tensors`, raw.length)
  const joined = tensors.map(({ contents, parameters, ...tensor }, i): WireTensor => {
    const at = `${where}s[${i}]`
    const form = checkForm(tensor, at)
    const { name, datatype, shape } = form
    if (parameters) assertSent({ parameters }, at)
    if (raw.length > 0 && contents) throw bad(at, 'either contents or raw contents', 'both')
    const bytes = raw[i] ?? typedContents(form, { contents: contents ?? new Uint8Array(), where: at })
    const checked = checkBytes(form, { bytes, where: at })
    return { name, datatype, shape, bytes: checked, ...(parameters === undefined ? {} : { parameters }) }
  })
  assertDistinct(joined, `${where}s`)
  return joined
}

type Element = 'bool' | 'int32' | 'int64' | 'uint32' | 'uint64' | 'float' | 'double' | 'bytes'

/** Where the elements of a type lie in InferTensorContents. */
const homes: Partial<Record<Datatype, readonly [number, Element]>> = {
  BOOL: [1, 'bool'],
  INT8: [2, 'int32'],
  INT16: [2, 'int32'],
  INT32: [2, 'int32'],
  INT64: [3, 'int64'],
  UINT8: [4, 'uint32'],
  UINT16: [4, 'uint32'],
  UINT32: [4, 'uint32'],
  UINT64: [5, 'uint64'],
  FP32: [6, 'float'],
  FP64: [7, 'double'],
  BYTES: [8, 'bytes'],
}

function typedContents(form: TensorForm, o: { contents: Uint8Array; where: string }): Uint8Array {
  const home = homes[form.datatype]
  if (!home) throw bad(o.where, `raw contents for ${form.datatype}`, 'typed ones')
  const [expected, element] = home
  const values: (number | boolean)[] = []
  const wide: bigint[] = []
  const strings: Uint8Array[] = []
  readFields(o.contents, (field, type, reader) => {
    if (field !== expected) return false
    if (element === 'bytes') strings.push(reader.bytes())
    else if (element === 'int64' || element === 'uint64') readWide({ type, reader }, element, wide)
    else readNumbers({ type, reader }, element, (value) => values.push(element === 'bool' ? value !== 0 : value))
    return true
  })
  if (element === 'bytes') return prefixed(strings)
  if (element === 'int64') return new Uint8Array(BigInt64Array.from(wide).buffer)
  if (element === 'uint64') return new Uint8Array(BigUint64Array.from(wide).buffer)
  if (element === 'float' || element === 'double') {
    const bytes = new Uint8Array(values.length * datatypes[form.datatype].bytes)
    viewAs(element === 'float' ? 'float32' : 'float64', bytes).set(values as number[])
    return bytes
  }
  return bytesFromJson(values, form)
}

function prefixed(strings: readonly Uint8Array[]): Uint8Array {
  const parts = strings.flatMap((contents) => {
    const length = Buffer.alloc(4)
    length.writeUInt32LE(contents.length)
    return [length, contents]
  })
  return new Uint8Array(Buffer.concat(parts))
}

interface At {
  readonly type: WireType
  readonly reader: BinaryReader
}

const single: Record<Exclude<Element, 'bytes'>, WireType> = {
  bool: WireType.Varint,
  int32: WireType.Varint,
  uint32: WireType.Varint,
  int64: WireType.Varint,
  uint64: WireType.Varint,
  float: WireType.Bit32,
  double: WireType.Bit64,
}

/** Repeated numbers, packed or not. */
function readNumbers(at: At, element: Exclude<Element, 'bytes'>, take: (value: number) => void): void {
  each(at, element, (reader) => take(Number(reader[element]())))
}

function readWide(at: At, element: 'int64' | 'uint64', into: bigint[]): void {
  each(at, element, (reader) => into.push(BigInt(reader[element]())))
}

function each({ type, reader }: At, element: Exclude<Element, 'bytes'>, one: (reader: BinaryReader) => void): void {
  if (type === single[element]) return one(reader)
  if (type !== LENGTH) throw new OipError(400, 'a repeated field must be numbers of its own type')
  const packed = new BinaryReader(reader.bytes())
  while (packed.pos < packed.len) one(packed)
  if (packed.pos !== packed.len) throw new OipError(400, 'a packed field was cut off')
}
