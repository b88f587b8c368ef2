// TensorFlow Serving's REST API in front of a gateway, with bodies as its documentation has them, and the status page.
import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import {
  createGateway,
  firstWins,
  startOipServer,
  sum,
  toNamedTensor,
  toWireTensor,
  type Gateway,
  type ModelMetadata,
  type OipServer,
} from '../src/index.ts'
import { parsePredict, writePredict } from '../src/tfs/predict.ts'
import { Cancellation } from '../src/serving/cancellation.ts'
import { tensorflowRoutes } from '../src/tfs/routes.ts'
import { tripleService } from './support/echo.ts'

let server: OipServer
let gateway: Gateway
beforeAll(async () => {
  server = await startOipServer(tripleService())
  gateway = await createGateway({
    model: 'a<b',
    code: sum({ k: 2 }),
    policy: firstWins(),
    instances: [
      { url: server.url, model: 'triple' },
      { url: server.url, model: 'triple' },
    ],
    parityInstances: [{ url: server.url, model: 'triple' }],
  })
})
afterAll(async () => {
  await gateway.close()
  await server.close()
})

const NAME = encodeURIComponent('a<b')
const predict = (body: unknown, headers: Record<string, string> = {}, path = `/v1/models/${NAME}:predict`) =>
  fetch(gateway.url + path, { method: 'POST', body: typeof body === 'string' ? body : JSON.stringify(body), headers })

it.each([
  [
    'rows',
    {
      instances: [
        [1, 2],
        [3, 4],
      ],
    },
    {
      predictions: [
        [3, 6],
        [9, 12],
      ],
    },
  ],
  ['rows by name', { signature_name: 'serving_default', instances: [{ x: [1, 2] }] }, { predictions: [[3, 6]] }],
  [
    'columns',
    {
      inputs: [
        [1, 2],
        [3, 4],
        [5, 6],
      ],
    },
    {
      outputs: [
        [3, 6],
        [9, 12],
        [15, 18],
      ],
    },
  ],
  ['columns by name', { inputs: { x: [[1, 2]] } }, { outputs: [[3, 6]] }],
])('answers %s in their form', async (_, body, expected) => {
  const response = await predict(body)
  expect(response.status).toBe(200)
  expect(response.headers.get('ft-quality')).toMatch(/^(exact|reconstructed)$/)
  expect(response.headers.get('ft-group')).toMatch(/^\d/)
  expect(await response.json()).toEqual(expected)
})

it('takes a version, and exact answers only when asked to', async () => {
  const path = `/v1/models/${NAME}/versions/1:predict`
  const response = await predict({ instances: [[1, 2]] }, { 'ft-allow-degraded': 'false' }, path)
  expect(response.headers.get('ft-quality')).toBe('exact')
})

it.each([
  ['False', false],
  ['true', true],
  ['0', undefined],
  ['constructor', undefined],
])('reads ft-allow-degraded: %s', async (text, allowed) => {
  const body = JSON.stringify({ instances: [[1, 2]] })
  const seen: unknown[] = []
  const asked = tensorflowRoutes(
    {
      ready: () => true,
      metadata: (name) => ({
        name,
        platform: 'test',
        inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 2] }],
        outputs: [],
      }),
      infer(modelName, { request }) {
        seen.push(request.parameters['ft.allowDegraded'])
        return Promise.resolve({ modelName, outputs: request.inputs })
      },
    },
    {
      method: 'POST',
      path: '/v1/models/m:predict',
      headers: { 'ft-allow-degraded': text },
      context: { headers: {}, gone: new Cancellation(), signal: new AbortController().signal },
      body: () => Promise.resolve(Buffer.from(body)),
    },
  )
  if (allowed === undefined) await expect(asked).rejects.toMatchObject({ status: 400 })
  else await expect(asked).resolves.toBeDefined()
  expect(seen).toEqual(allowed === undefined ? [] : [allowed])
})

it.each([
  ['no JSON', '{', 400],
  ['no object', [], 400],
  ['neither form', {}, 400],
  ['both forms', { instances: [[1, 2]], inputs: [[1, 2]] }, 400],
  ['another signature', { signature_name: 'classify', instances: [[1, 2]] }, 400],
  ['no rows', { instances: [] }, 400],
  ['rows of different lengths', { instances: [[1, 2], [3]] }, 400],
  ['a row that is no number', { instances: [['a', 'b']] }, 400],
  ['rows of both kinds', { instances: [{ x: [1, 2] }, [3, 4]] }, 400],
  ['an unknown input', { instances: [{ x: [1, 2], y: [1] }] }, 400],
  ['a missing input', { inputs: {} }, 400],
  ['another shape than the model takes', { instances: [[1, 2, 3]] }, 400],
  ['a value instead of a list', { inputs: 3 }, 400],
])('refuses %s, and keeps serving', async (_, body, status) => {
  const response = await predict(body)
  expect(response.status).toBe(status)
  expect(((await response.json()) as { error: string }).error).toMatch(/\w/)
  expect((await predict({ instances: [[1, 2]] })).status).toBe(200)
})

it('says what it is, and what it is not', async () => {
  const get = async (path: string) => {
    const response = await fetch(gateway.url + path)
    return { status: response.status, body: (await response.json()) as unknown }
  }
  expect((await get(`/v1/models/${NAME}`)).body).toEqual({
    model_version_status: [{ version: '1', state: 'AVAILABLE', status: { error_code: 'OK', error_message: '' } }],
  })
  expect((await get(`/v1/models/${NAME}/metadata`)).body).toMatchObject({
    model_spec: { name: 'a<b', version: '1' },
    metadata: {
      signature_def: {
        signature_def: {
          serving_default: {
            inputs: { x: { dtype: 'DT_FLOAT', tensor_shape: { dim: [{ size: '-1' }, { size: '2' }] } } },
            method_name: 'tensorflow/serving/predict',
          },
        },
      },
    },
  })
  expect((await get('/v1/models/other')).status).toBe(404)
  expect((await get(`/v1/models/${NAME}/versions/9`)).status).toBe(404)
  expect((await get(`/v1/models/${NAME}:predict`)).status).toBe(405)
  expect((await predict({}, {}, `/v1/models/${NAME}:classify`)).status).toBe(501)
  expect((await get('/v1/models')).status).toBe(404)
})

const metadata: ModelMetadata = {
  name: 'm',
  platform: '',
  inputs: [
    { name: 'a', datatype: 'FP64', shape: [-1, -1, -1] },
    { name: 'b', datatype: 'INT32', shape: [-1] },
  ],
  outputs: [],
}

it('rows and columns of any shape say the same, and come back as they were', () => {
  const shapes = fc.tuple(
    fc.integer({ min: 1, max: 4 }),
    fc.integer({ min: 1, max: 3 }),
    fc.integer({ min: 1, max: 3 }),
  )
  fc.assert(
    fc.property(shapes, fc.infiniteStream(fc.double({ noNaN: true, noDefaultInfinity: true })), ([n, h, w], stream) => {
      const next = () => stream.next().value as number
      const list = <T>(length: number, of: () => T) => Array.from({ length }, of)
      // JSON has no negative zero
      const a = list(n, () => list(h, () => list(w, () => next() + 0)))
      const b = list(n, () => Math.trunc(next() % 1000) + 0)
      const parse = (body: unknown) => parsePredict(JSON.stringify(body), { metadata, parameters: {} }).request
      const columns = parse({ inputs: { a, b } })
      const rows = parse({ instances: a.map((one, i) => ({ a: one, b: b[i] })) })
      expect(rows).toEqual(columns)
      expect(columns.inputs.map(({ shape }) => shape)).toEqual([[n, h, w], [n]])
      const response = { modelName: 'm', outputs: columns.inputs.map((input) => toWireTensor(toNamedTensor(input)!)) }
      expect(JSON.parse(writePredict(response, 'column'))).toEqual({ outputs: { a, b } })
      expect(JSON.parse(writePredict(response, 'row'))).toEqual({
        predictions: a.map((one, i) => ({ a: one, b: b[i] })),
      })
    }),
  )
})

it('any JSON is either read or refused with 400', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.json(),
        fc.record({ inputs: fc.jsonValue() }).map((v) => JSON.stringify(v)),
      ),
      (text) => {
        try {
          parsePredict(text, { metadata, parameters: {} })
        } catch (error) {
          expect(error).toMatchObject({ status: 400 })
        }
      },
    ),
    { numRuns: 500 },
  )
})

it('shows a page about itself, with every text as text', async () => {
  for (const path of ['/', '/status']) {
    const response = await fetch(gateway.url + path)
    expect(response.headers.get('content-type')).toContain('text/html')
    const html = await response.text()
    expect(html).toContain('Model a&lt;b')
    expect(html).toContain('parity-0')
    expect(html).not.toMatch(/<script|src=|https?:/)
  }
  expect((await fetch(`${gateway.url}/`, { method: 'POST' })).status).toBe(404)
})
