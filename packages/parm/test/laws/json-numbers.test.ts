// Numbers that JavaScript does not hold, or JSON does not have, in requests and answers: 64-bit integers keep their digits, NaN
// and infinities are read as servers write them, and what a type cannot hold is refused.
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { OipError, toNamedTensor } from '../../src/index.ts'
import { parseRequest, parseResponse } from '../../src/oip/parse.ts'
import { parsePredict, writePredict } from '../../src/tfs/predict.ts'

const utf8 = (text: string) => ({ bytes: new TextEncoder().encode(text) })
const request = (datatype: string, data: string, more = '') => {
  const shape = `[${data.split(',').length}]`
  return parseRequest(
    utf8(`{${more}"inputs":[{"name":"x","datatype":"${datatype}","shape":${shape},"data":[${data}]}]}`),
  )
}
const wideOf = (bytes: Uint8Array | undefined) => [...new BigInt64Array(new Uint8Array(bytes ?? []).buffer)]
const numbersOf = (tensor: Parameters<typeof toNamedTensor>[0] | undefined) =>
  Array.from((tensor && toNamedTensor(tensor)?.data) ?? [])
const refusal = (run: () => unknown) => {
  try {
    run()
  } catch (error) {
    expect(error).toBeInstanceOf(OipError)
    return { status: (error as OipError).status, message: (error as OipError).message }
  }
  throw new Error('it was taken')
}

const wide = fc.oneof(fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n }), fc.bigInt({ min: -9n, max: 9n }))

it('keeps every digit of 64-bit integers, flat or nested, whatever texts stand around them', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(wide, wide), { minLength: 1 }), fc.string(), fc.boolean(), (rows, text, nested) => {
      const digits = nested ? rows.map((row) => `[ ${row.join(' , ')} ]`).join(',') : rows.flat().join(',')
      const said = JSON.stringify(`${text}"\\1234567890123456789 NaN`)
      const tensor = `{"datatype":"INT64","shape":[${rows.length},2],"data":[${digits}],"name":${said}}`
      const other = `{"name":"y","datatype":"BYTES","shape":[1],"data":[${said}]}`
      const read = parseRequest(utf8(`{"id":${said},"inputs":[${other},${tensor}]}`))
      const [bytes, integers] = read.inputs
      expect(wideOf(integers?.bytes)).toEqual(rows.flat())
      for (const kept of [read.id, integers?.name, new TextDecoder().decode(bytes?.bytes.subarray(4))])
        expect(kept).toBe(JSON.parse(said))
      const answer = parseResponse(utf8(`{"model_name":"m","outputs":[${tensor}]}`))
      expect(wideOf(answer.outputs[0]?.bytes)).toEqual(rows.flat())
    }),
  )
})

it.each([
  ['INT64', '9223372036854775808', /in \[-9223372036854775808, 9223372036854775807\]/],
  ['UINT64', '-1', /in \[0, 18446744073709551615\]/],
  ['UINT64', '18446744073709551616', /in \[0, 18446744073709551615\]/],
  ['INT64', '1.5', /an integer, in digits/],
  ['INT64', '9007199254740993.0', /an integer, in digits/],
  ['INT64', '9e18', /an integer, in digits/],
  ['INT64', '"5"', /an integer, in digits/],
  ['INT64', 'null', /an integer, in digits/],
  ['INT64', 'NaN', /an integer, in digits/],
  ['INT32', '2147483648', /in \[-2147483648, 2147483647\]/],
  ['UINT8', '-1', /in \[0, 255\]/],
  ['INT8', 'NaN', /an integer below/],
  ['FP32', '1e39', /not too large/],
  ['FP32', '1,-3.5e38', /element 1 must be a number that is not too large/],
  ['FP64', '1e400', /not too large/],
  ['FP16', '70000', /not too large/],
  ['BF16', '1e39', /not too large/],
  ['FP32', 'null', /must be a number/],
  ['FP32', '"NaN"', /must be a number/],
  ['BOOL', 'NaN', /must be true or false/],
])('refuses %s %s', (datatype, data, message) => {
  expect(refusal(() => request(datatype, data))).toEqual({
    status: 400,
    message: expect.stringMatching(message) as string,
  })
})

it('takes the largest of every type', () => {
  expect(wideOf(request('UINT64', '18446744073709551615').inputs[0]?.bytes)).toEqual([-1n])
  expect(wideOf(request('INT64', '1e3,-0').inputs[0]?.bytes)).toEqual([1000n, 0n])
  expect(numbersOf(request('UINT32', '4294967295').inputs[0])).toEqual([4294967295])
  expect(numbersOf(request('FP32', '3.4028234e38').inputs[0])).toEqual([Math.fround(3.4028234e38)])
})

it('reads NaN and infinities as Triton and Python write them, and nothing else that is no JSON', () => {
  const more = '"id":"NaN \\" Infinity","parameters":{"a":12345678901234567},'
  const read = request('FP32', 'NaN,-Infinity,Infinity,1', more)
  expect(numbersOf(read.inputs[0])).toEqual([NaN, -Infinity, Infinity, 1])
  expect([read.id, read.parameters['a']]).toEqual(['NaN " Infinity', 12345678901234567n])
  expect(numbersOf(request('FP64', 'NaN').inputs[0])).toEqual([NaN])
  for (const broken of ['NaN1', '1NaN', 'Nan', '--Infinity', 'NaN NaN', 'Infinity]'])
    expect(refusal(() => request('FP32', broken)).status).toBe(400)
  // Beside them, digits are kept as well
  const both = `{"inputs":[{"name":"a","datatype":"FP32","shape":[1],"data":[NaN]},{"name":"b","datatype":"INT64","shape":[1],"data":[9007199254740993]}]}`
  expect(wideOf(parseRequest(utf8(both)).inputs[1]?.bytes)).toEqual([9007199254740993n])
})

it('takes what a server says besides, and null for NaN', () => {
  const parameters = '{"content_type":"np","headers":{"a":1},"n":null,"ok":true}'
  const answer = parseResponse(
    utf8(
      `{"model_name":"m","parameters":${parameters},"outputs":[{"name":"y","datatype":"FP32","shape":[2],"parameters":${parameters},"data":[null,2]}]}`,
    ),
  )
  expect(answer.parameters).toEqual({ content_type: 'np', ok: true })
  expect(numbersOf(answer.outputs[0])).toEqual([NaN, 2])
})

it('keeps digits in the API of TensorFlow Serving too, both ways', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(wide, wide), { minLength: 1 }), fc.boolean(), (rows, column) => {
      const signature = [{ name: 'x', datatype: 'INT64', shape: [-1, 2] }]
      const metadata = { name: 'm', platform: 'p', inputs: signature, outputs: signature }
      const text = `[${rows.map((row) => `[${row.join(',')}]`).join(',')}]`
      const { request: read, form } = parsePredict(`{"${column ? 'inputs' : 'instances'}":${text}}`, {
        metadata,
        parameters: {},
      })
      expect(wideOf(read.inputs[0]?.bytes)).toEqual(rows.flat())
      const written = writePredict({ modelName: 'm', outputs: read.inputs }, form)
      expect(written).toBe(`{"${column ? 'outputs' : 'predictions'}":${text}}`)
    }),
  )
})
