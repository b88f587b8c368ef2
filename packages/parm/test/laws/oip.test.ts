// Laws of the protocol's reader and writer: what is written is read back bit by bit, in every type and both forms; damaged
// bodies give a refusal with a reason, never another error and never a wrong tensor.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { OipError, type InferRequest, type WireTensor } from '../../src/index.ts'
import { datatypes, type Datatype } from '../../src/oip/datatypes.ts'
import { parseRequest, parseResponse } from '../../src/oip/parse.ts'
import { writeRequest, writeResponse, type Written } from '../../src/oip/serialise.ts'

const shape = fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 3 })
const bytesElements = (texts: readonly string[]) =>
  new Uint8Array(
    Buffer.concat(
      texts.map((text) => {
        const contents = Buffer.from(text)
        const head = Buffer.alloc(4)
        head.writeUInt32LE(contents.length)
        return Buffer.concat([head, contents])
      }),
    ),
  )

/** Any contents of a type; `finite` keeps to what JSON can hold. */
const tensor = (finite: boolean) =>
  fc.tuple(fc.constantFrom(...(Object.keys(datatypes) as Datatype[])), shape).chain(([datatype, sizes]) => {
    const size = sizes.reduce((product, length) => product * length, 1)
    const { bytes } = datatypes[datatype]
    const exactly = { minLength: size, maxLength: size }
    const make = (data: Uint8Array): WireTensor => ({ name: 't', datatype, shape: sizes, bytes: data })
    if (datatype === 'BYTES')
      return fc.array(fc.string({ unit: 'grapheme' }), exactly).map((texts) => make(bytesElements(texts)))
    if (datatype === 'BOOL')
      return fc.array(fc.integer({ min: 0, max: 1 }), exactly).map((bits) => make(Uint8Array.from(bits)))
    if (finite && datatype === 'FP32')
      return fc
        .array(fc.float({ noNaN: true, noDefaultInfinity: true }), exactly)
        .map((v) => make(new Uint8Array(Float32Array.from(v, (x) => x + 0).buffer)))
    if (finite && datatype === 'FP64')
      return fc
        .array(fc.double({ noNaN: true, noDefaultInfinity: true }), exactly)
        .map((v) => make(new Uint8Array(Float64Array.from(v, (x) => x + 0).buffer)))
    if (finite && (datatype === 'FP16' || datatype === 'BF16'))
      return fc
        .array(fc.integer({ min: 0, max: 0x7bff }), exactly)
        .map((v) => make(new Uint8Array(Uint16Array.from(v, (x) => (datatype === 'BF16' ? x & 0x3fff : x)).buffer)))
    if (finite && bytes === 8)
      return fc.array(fc.maxSafeNat(), exactly).map((v) => make(new Uint8Array(BigInt64Array.from(v, BigInt).buffer)))
    return fc
      .uint8Array({ minLength: size * bytes, maxLength: size * bytes })
      .map((data) => make(Uint8Array.from(data)))
  })

const joined = ({ parts, headerLength }: Written) => ({ bytes: Buffer.concat(parts), headerLength })
const bits = (tensors: readonly WireTensor[]) => tensors.map((t) => ({ ...t, bytes: [...t.bytes] }))

describe('round trips', () => {
  it('keeps every bit in the binary extension', () => {
    fc.assert(
      fc.property(fc.array(tensor(false), { minLength: 1, maxLength: 3 }), fc.string(), (list, id) => {
        const inputs = list.map((t, i) => ({ ...t, name: `t${i}` }))
        const request: InferRequest = { id, parameters: { 'ft.allowDegraded': false }, inputs, binaryOutput: false }
        const { bytes, headerLength } = joined(writeRequest(request))
        const read = parseRequest({ bytes, headerLength: String(headerLength) })
        expect(bits(read.inputs)).toEqual(bits(inputs))
        expect([read.id, read.binaryOutput, read.parameters['ft.allowDegraded']]).toEqual([id, true, false])
      }),
    )
  })

  it('keeps every value in JSON', () => {
    fc.assert(
      fc.property(fc.array(tensor(true), { minLength: 1, maxLength: 3 }), (list) => {
        const outputs = list.map((t, i) => ({ ...t, name: `t${i}` }))
        const { bytes, headerLength } = joined(writeResponse({ modelName: 'm', outputs }, { binary: () => false }))
        expect(headerLength).toBeUndefined()
        expect(bits(parseResponse({ bytes }).outputs)).toEqual(bits(outputs))
      }),
    )
  })

  it('reads nested and flat data alike', () => {
    const request = (data: unknown) =>
      parseRequest({
        bytes: Buffer.from(JSON.stringify({ inputs: [{ name: 'x', datatype: 'FP32', shape: [2, 3], data }] })),
      })
    const flat = request([1, 2, 3, 4, 5, 6]).inputs[0]?.bytes
    expect(
      request([
        [1, 2, 3],
        [4, 5, 6],
      ]).inputs[0]?.bytes,
    ).toEqual(flat)
  })
})

describe('headers that come again', () => {
  it('gives each body its own tensors, and a request that is read again its own parameters', () => {
    fc.assert(
      fc.property(fc.array(tensor(false), { minLength: 1, maxLength: 3 }), fc.nat(255), (list, fill) => {
        const inputs = list.map((t, i) => ({ ...t, name: `t${i}` }))
        // Contents that are valid whatever they are: those of BYTES and BOOL stay
        const others = inputs.map((t) =>
          t.datatype === 'BYTES' || t.datatype === 'BOOL' ? t : { ...t, bytes: t.bytes.map(() => fill) },
        )
        for (const own of [inputs, others, inputs]) {
          const { bytes, headerLength } = joined(writeRequest({ parameters: {}, inputs: own, binaryOutput: true }))
          const read = parseRequest({ bytes, headerLength: String(headerLength) })
          expect(bits(read.inputs)).toEqual(bits(own))
          expect(read.binaryOutput).toBe(true)
        }
      }),
    )
  })

  it('gives each request and response its own id, wherever else it is written', () => {
    const id = fc.oneof(fc.constantFrom('1', '2', 'x', '1000000001', '1000000002'), fc.string({ maxLength: 5 }))
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.option(id), fc.option(id), fc.boolean()), { minLength: 2, maxLength: 6 }),
        fc.nat(255),
        (headers, fill) => {
          const x = { name: 'x', datatype: 'UINT8' as const, shape: [2], bytes: new Uint8Array(2).fill(fill) }
          for (const [own, other, escaped] of headers) {
            const parameters = other === null ? {} : { id: other }
            const message = { ...(own === null ? {} : { id: own }), parameters, inputs: [x], binaryOutput: true }
            const { bytes, headerLength = 0 } = joined(writeRequest(message, own === null ? { tag: '1000000003' } : {}))
            const said = own ?? '1000000003'
            // The same, with its own id after the others and in the long way
            const json = JSON.parse(bytes.subarray(0, headerLength).toString()) as Record<string, unknown>
            const { id: _, ...rest } = json
            const long = [...said].map((c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`).join('')
            const header = escaped
              ? Buffer.from(`${JSON.stringify(rest).slice(0, -1)},"id":"${long}"}`)
              : bytes.subarray(0, headerLength)
            const read = parseRequest({
              bytes: Buffer.concat([header, x.bytes]),
              headerLength: String(header.length),
            })
            expect(read.id).toBe(said)
            expect(read.parameters['id']).toBe(other ?? undefined)
            expect(bits(read.inputs)).toEqual(bits([x]))
          }
        },
      ),
      { numRuns: 500 },
    )
  })

  it.each([
    ['FP32', 8, 12, /belong to no tensor/],
    ['FP32', 8, 4, /are left in the body/],
    ['BOOL', 2, 2, /bytes 0 and 1 for BOOL/],
  ] as const)('still refuses contents that do not fit (%s, %i then %i bytes)', (datatype, length, second, message) => {
    const input = { name: 'x', datatype, shape: [2], bytes: new Uint8Array(length) }
    const { bytes, headerLength = 0 } = joined(writeRequest({ parameters: {}, inputs: [input], binaryOutput: true }))
    expect(parseRequest({ bytes, headerLength: String(headerLength) }).inputs).toHaveLength(1)
    const other = Buffer.concat([bytes.subarray(0, headerLength), new Uint8Array(second).fill(7)])
    expect(() => parseRequest({ bytes: other, headerLength: String(headerLength) })).toThrow(message)
  })

  it('writes a shape anew when its array was changed', () => {
    const sizes = [1, 4]
    const write = (name: string) =>
      joined(
        writeRequest({
          parameters: {},
          inputs: [{ name, datatype: 'UINT8', shape: sizes, bytes: new Uint8Array(4) }],
          binaryOutput: true,
        }),
      )
    const read = ({ bytes, headerLength }: ReturnType<typeof write>) =>
      parseRequest({ bytes, headerLength: String(headerLength) }).inputs[0]
    expect(read(write('x'))).toMatchObject({ name: 'x', shape: [1, 4] })
    sizes[0] = 2
    sizes[1] = 2
    expect(read(write('x'))).toMatchObject({ name: 'x', shape: [2, 2] })
    expect(read(write('y'))).toMatchObject({ name: 'y', shape: [2, 2] })
  })
})

describe('damage', () => {
  const good = joined(
    writeRequest({
      parameters: {},
      inputs: [
        { name: 'a', datatype: 'FP32', shape: [2, 2], bytes: new Uint8Array(16) },
        { name: 'b', datatype: 'BYTES', shape: [2], bytes: bytesElements(['one', 'two']) },
      ],
      binaryOutput: true,
    }),
  )

  it('gives a refusal with status 400 or an undamaged reading, whatever bytes change', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(good.bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        fc.option(fc.nat(good.bytes.length)),
        fc.oneof(fc.constant(String(good.headerLength)), fc.string({ maxLength: 6 }), fc.nat(400).map(String)),
        (changes, cut, headerLength) => {
          const bytes = Uint8Array.from(good.bytes)
          for (const [at, value] of changes) bytes[at] = value
          try {
            const read = parseRequest({ bytes: bytes.subarray(0, cut ?? bytes.length), headerLength })
            for (const { shape: sizes, datatype, bytes: data } of read.inputs) {
              const size = sizes.reduce((product, length) => product * length, 1)
              if (datatype !== 'BYTES') expect(data.length).toBe(size * datatypes[datatype].bytes)
            }
          } catch (error) {
            expect(error).toBeInstanceOf(OipError)
            expect((error as OipError).status).toBe(400)
          }
        },
      ),
      { numRuns: 2000 },
    )
  })

  it('refuses any JSON that is no request', () => {
    fc.assert(
      fc.property(
        fc.jsonValue(),
        fc.constantFrom('inputs', 'parameters', 'outputs', 'id', 'body', 'tensor'),
        (value, where) => {
          const input = { name: 'x', datatype: 'FP32', shape: [1], data: [1] }
          const body =
            where === 'body'
              ? value
              : where === 'tensor'
                ? { inputs: [{ ...input, ...(typeof value === 'object' ? value : { data: value }) }] }
                : { inputs: [input], [where]: value }
          try {
            parseRequest({ bytes: Buffer.from(JSON.stringify(body)) })
          } catch (error) {
            expect((error as OipError).status).toBe(400)
          }
        },
      ),
      { numRuns: 1000 },
    )
  })

  const input = { name: 'x', datatype: 'FP32', shape: [2], data: [1, 2] }
  it.each([
    ['not JSON', '{', /JSON header/],
    ['no inputs', '{}', /inputs must be a non-empty array/],
    [
      'wrong type',
      JSON.stringify({ inputs: [{ ...input, datatype: 'FP31' }] }),
      /inputs\[0\]\.datatype must be one of/,
    ],
    ['wrong shape', JSON.stringify({ inputs: [{ ...input, shape: [-1] }] }), /inputs\[0\]\.shape/],
    ['too few elements', JSON.stringify({ inputs: [{ ...input, data: [1] }] }), /needs 2 elements, got 1/],
    ['text in numbers', JSON.stringify({ inputs: [{ ...input, data: [1, 'a'] }] }), /element 1 must be a number/],
    [
      'an integer out of range',
      JSON.stringify({ inputs: [{ ...input, datatype: 'UINT8', data: [1, 256] }] }),
      /element 1 must be in \[0, 255\]/,
    ],
    [
      'ragged rows',
      JSON.stringify({ inputs: [{ ...input, shape: [2, 2], data: [[1, 2], [3]] }] }),
      /nested data must follow/,
    ],
    ['the same name twice', JSON.stringify({ inputs: [input, input] }), /distinct names/],
    [
      'binary and JSON',
      JSON.stringify({ inputs: [{ ...input, parameters: { binary_data_size: 8 } }] }),
      /either data or/,
    ],
    [
      'missing bytes',
      JSON.stringify({ inputs: [{ name: 'x', datatype: 'FP32', shape: [2], parameters: { binary_data_size: 8 } }] }),
      /says 8 bytes, 0 are left/,
    ],
  ])('says what is wrong: %s', (_name, body, message) => {
    expect(() => parseRequest({ bytes: Buffer.from(body) })).toThrow(message)
  })
})
