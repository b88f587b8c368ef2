// Inputs of bytes: the model gets them as they came and scales them itself, parities are encoded from what it makes of them.
// The model is linear and its own parity model, but for k times the bias, so that reconstructions are exact to rounding.
import { afterEach, describe, expect, it } from 'vitest'
import { createRandom } from '@ft/core/random'
import {
  berrut,
  concat,
  createGateway,
  createGrpcClient,
  hold,
  replication,
  startOipServer,
  sum,
  toNamedTensor,
  toWireTensor,
  withPreprocessing,
  type Code,
  type Gateway,
  type GatewayOptions,
  type NamedTensor,
  type OipServer,
  type Preprocessing,
  type WireTensor,
} from '../src/index.ts'

const open: (Gateway | OipServer)[] = []
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await ('destroy' in one ? one.destroy() : one.close())
})

const [HEIGHT, WIDTH, CHANNELS, CLASSES] = [4, 4, 3, 5]
const SIZE = HEIGHT * WIDTH * CHANNELS
const random = createRandom(5)
const weights = random.stream('w').fillNormal(new Float32Array(SIZE * CLASSES))
const bias = random.stream('b').fillNormal(new Float32Array(CLASSES))
const mean = [0.485, 0.456, 0.406]
const std = [0.229, 0.224, 0.225]
/** No server answers a row that begins with this value, but for the parity model's. */
const LOST = 255

interface Kind {
  one: Preprocessing
  shape: number[]
  /** Element e of a row as the model sees it, and the largest such. */
  of: (x: number, e: number) => number
  largest: number
}

const kinds: Record<string, Kind> = {
  'scaled and shifted': { one: { scale: 1 / 128, offset: -1 }, shape: [SIZE], of: (x) => x / 128 - 1, largest: 1 },
  'by channel, channels last': {
    one: { scale: 1 / 255, mean, std },
    shape: [HEIGHT, WIDTH, CHANNELS],
    of: (x, e) => (x / 255 - mean[e % CHANNELS]!) / std[e % CHANNELS]!,
    largest: 2.7,
  },
  'by channel, channels first': {
    one: { scale: 1 / 255, mean, std, layout: 'CHW' },
    shape: [CHANNELS, HEIGHT, WIDTH],
    of: (x, e) => (x / 255 - mean[Math.floor(e / 16)]!) / std[Math.floor(e / 16)]!,
    largest: 2.7,
  },
  'by channel, flattened': {
    one: { mean, std, layout: 'CHW' },
    shape: [SIZE],
    of: (x, e) => (x - mean[Math.floor(e / 16)]!) / std[Math.floor(e / 16)]!,
    largest: 1140,
  },
}

/** W z + times b, of rows z. */
function linear(z: ArrayLike<number>, times: number): Float32Array {
  const rows = z.length / SIZE
  return Float32Array.from({ length: rows * CLASSES }, (_, i) => {
    const [row, c] = [Math.floor(i / CLASSES), i % CLASSES]
    let y = times * bias[c]!
    for (let e = 0; e < SIZE; e++) y += z[row * SIZE + e]! * weights[e * CLASSES + c]!
    return y
  })
}

/** A server that was sent these tensors; `model` gives the outputs of an input's rows. */
async function serve(o: {
  datatype: string
  shape: readonly number[]
  model: (x: NamedTensor) => Float32Array | undefined
}) {
  const seen: WireTensor[] = []
  const server = await startOipServer({
    name: 'test',
    version: '1',
    ready: () => true,
    metadata: (name) => ({
      name,
      platform: 'test',
      inputs: [{ name: 'pixels', datatype: o.datatype, shape: [-1, ...o.shape] }],
      outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, CLASSES] }],
    }),
    infer(modelName, { request }) {
      const [wire] = request.inputs as [WireTensor]
      seen.push(wire)
      const data = o.model(toNamedTensor(wire) as NamedTensor)
      if (!data) return new Promise(() => undefined)
      const shape = [data.length / CLASSES, CLASSES]
      return Promise.resolve({ modelName, outputs: [toWireTensor({ name: 'y', shape, data, dtype: 'float32' })] })
    },
  })
  open.push(server)
  return { url: server.url, seen }
}

async function start(kind: Kind, o: Partial<GatewayOptions> = {}) {
  const prepared = (data: ArrayLike<number>) => Array.from(data, (x, i) => kind.of(x, i % SIZE))
  const base = () =>
    serve({
      datatype: 'UINT8',
      shape: kind.shape,
      model: ({ data }) => (data[0] === LOST ? undefined : linear(prepared(data), 1)),
    })
  const bases = await Promise.all([base(), base()])
  const parity = await serve({ datatype: 'FP32', shape: kind.shape, model: ({ data }) => linear(data, 2) })
  const gateway = await createGateway({
    model: 'm',
    code: sum({ k: 2 }),
    preprocessing: { pixels: kind.one },
    policy: hold({ afterMs: 20 }),
    deadlineMs: 2000,
    instances: bases.map(({ url }) => ({ url })),
    parityInstances: [{ url: parity.url }],
    ...o,
  })
  open.push(gateway)
  return { gateway, bases, parity, expected: (row: Uint8Array) => linear(prepared(row), 1) }
}

const rowOf = (i: number, first: number) =>
  Uint8Array.from({ length: SIZE }, (_, e) => (e === 0 ? first : random.stream('x', i).integer(0, 254)))

/** 48 products with weights below 4, of a sum of two in float32 and twice alone, each rounded to 2 ** -24 of its size. */
const tolerance = ({ largest }: Kind) => SIZE * 4 * (2 + 1 + 1) * largest * 2 ** -24

describe.each(Object.entries(kinds))('pixels %s', (_what, kind) => {
  it('are reconstructed exactly from a parity of what the model makes of them, itself sent the bytes that came', async () => {
    const { gateway, bases, parity, expected } = await start(kind)
    const rows = [rowOf(0, LOST), rowOf(1, 7)]
    const response = await fetch(`${gateway.url}/v2/models/m/infer`, {
      method: 'POST',
      body: JSON.stringify({
        inputs: [{ name: 'pixels', datatype: 'UINT8', shape: [2, ...kind.shape], data: rows.flatMap((r) => [...r]) }],
      }),
    })
    const reply = (await response.json()) as { parameters: Record<string, string>; outputs: { data: number[] }[] }
    expect(reply.parameters['ft.qualities']).toBe('reconstructed,exact')
    const y = reply.outputs[0]?.data ?? []
    const [lost, own] = rows.map(expected) as [Float32Array, Float32Array]
    // The model's own output, bit by bit
    expect(y.slice(CLASSES)).toEqual([...own])
    lost.forEach((value, c) => expect(Math.abs(y[c]! - value)).toBeLessThan(tolerance(kind)))
    const sent = bases.flatMap(({ seen }) => seen)
    expect(sent.every(({ datatype }) => datatype === 'UINT8')).toBe(true)
    const bytes = sent.map((one) => one.bytes.join())
    for (const row of rows) expect(bytes).toContain(row.join())
    expect(parity.seen.map(({ datatype, shape }) => [datatype, shape])).toEqual([['FP32', [1, ...kind.shape]]])
    const coded = toNamedTensor(parity.seen[0] as WireTensor)?.data as Float32Array
    coded.forEach((value, e) => {
      const whole = kind.of(rows[0]![e]!, e) + kind.of(rows[1]![e]!, e)
      // Each rounded once, and their sum
      expect(Math.abs(value - whole)).toBeLessThanOrEqual((1 + 1 + 2) * kind.largest * 2 ** -24)
    })
  })
})

it('is so through gRPC, batches and short groups too', async () => {
  const kind = kinds['by channel, channels last']!
  const code = sum({ k: 3, shortGroups: true })
  const { gateway, parity, expected } = await start(kind, {
    code,
    maxGroupWaitMs: 30,
    maxBatchRows: 4,
    maxBatchWaitMs: 5,
    grpc: {},
  })
  const rows = [rowOf(2, LOST), rowOf(3, 9)]
  const client = createGrpcClient(gateway.grpcUrl as string)
  const pixels = Uint8Array.from(rows.flatMap((row) => [...row]))
  const input = toWireTensor({ name: 'pixels', shape: [2, ...kind.shape], data: pixels, dtype: 'uint8' })
  const answer = await client.infer('m', { request: { parameters: {}, inputs: [input], binaryOutput: true } })
  await client.close()
  expect(answer.parameters?.['ft.qualities']).toBe('reconstructed,exact')
  const y = toNamedTensor(answer.outputs[0] as WireTensor)?.data as Float32Array
  rows
    .map(expected)
    .forEach((own, i) =>
      own.forEach((value, c) => expect(Math.abs(y[i * CLASSES + c]! - value)).toBeLessThan(tolerance(kind))),
    )
  expect(parity.seen).toHaveLength(1)
})

it('wants bytes from clients, as the model does', async () => {
  const { gateway } = await start(kinds['scaled and shifted']!)
  const body = JSON.stringify({
    inputs: [{ name: 'pixels', datatype: 'FP32', shape: [1, SIZE], data: Array(SIZE).fill(0.5) }],
  })
  const response = await fetch(`${gateway.url}/v2/models/m/infer`, { method: 'POST', body })
  expect([response.status, await response.text()]).toEqual([400, expect.stringContaining('must be UINT8')])
})

describe('refused is', () => {
  const kind = kinds['by channel, channels last']!
  it.each([
    ['an input that the model has not', { other: { scale: 2 } }, 'INVALID_ARGUMENT', /must name inputs.*got 'other'/],
    ['other channels', { pixels: { mean: [1, 2], std: [1, 2] } }, 'SHAPE_MISMATCH', /must fit the input/],
    ['another layout', { pixels: { mean, std, layout: 'CHW' as const } }, 'SHAPE_MISMATCH', /must fit the input/],
    ['a scale that is no number', { pixels: { scale: NaN } }, 'INVALID_ARGUMENT', /preprocessing.pixels.scale/],
    ['no deviation', { pixels: { mean, std: [1, 0, 1] } }, 'INVALID_ARGUMENT', /preprocessing.pixels.std/],
    ['one deviation for all', { pixels: { mean, std: [1] } }, 'INVALID_ARGUMENT', /preprocessing.pixels.std/],
    ['an unknown option', { pixels: { factor: 2 } as Preprocessing }, 'INVALID_ARGUMENT', /scale, offset/],
    ['both forms at once', { pixels: { mean, std, offset: 1 } as Preprocessing }, 'INVALID_ARGUMENT', /scale, mean/],
  ])('%s', async (_what, preprocessing, code, message) => {
    await expect(start(kind, { preprocessing })).rejects.toMatchObject({ code, message })
  })

  it('a code whose coded units the model would preprocess again', async () => {
    const code = berrut({ k: 2, late: 1 })
    await expect(start(kind, { code, parityInstances: [] })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: /must be a code whose coded units run on parity models, got 'berrut'/,
    })
  })
})

describe('a code with preprocessing', () => {
  const member = (...values: number[]): NamedTensor[] => [
    { name: 'x', data: Uint8Array.from(values), shape: [1, values.length], dtype: 'uint8' },
    { name: 'z', data: Float32Array.from(values), shape: [1, values.length], dtype: 'float32' },
  ]
  const half = (code: Code) => withPreprocessing(code, { x: { scale: 0.5, offset: 1 } })

  it('leaves members as they are, and inputs without one', () => {
    const group = [member(2, 4), member(6, 8)]
    const [a, b, parity] = half(sum({ k: 2 })).encode(group) as [NamedTensor[], NamedTensor[], NamedTensor[]]
    expect([a[0], b[0]]).toEqual([group[0]![0], group[1]![0]])
    expect(parity.map(({ name, dtype, data }) => [name, dtype, [...data]])).toEqual([
      ['x', 'float32', [2 + 4, 3 + 5]],
      ['z', 'float32', [8, 12]],
    ])
  })

  it('shrinks images after it, and copies what is no code', () => {
    const image = (value: number): NamedTensor[] => [
      { name: 'x', data: new Uint8Array(16).fill(value), shape: [1, 16], dtype: 'uint8' },
    ]
    const code = half(concat({ k: 2, image: { height: 4, width: 4 } }))
    const parity = code.encode([image(2), image(8)])[2]?.[0]?.data ?? []
    expect([...parity].slice(0, 4)).toEqual([2, 2, 5, 5])
    const copies = half(replication()).encode([image(3)])
    expect(copies.map(([x]) => x?.data[0])).toEqual([3, 3])
  })
})
