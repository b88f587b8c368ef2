// Faults that workers inject into themselves, through a gateway with real processes; metrics and TLS of its front.
import { request as httpsRequest } from 'node:https'
import { SpanStatusCode, propagation, trace, type Context, type Tracer } from '@opentelemetry/api'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import {
  createGateway,
  createOipClient,
  hedge,
  hold,
  sum,
  toNamedTensor,
  weighted,
  type Gateway,
  type GatewayOptions,
  type InstanceSpec,
  type WorkerFaults,
} from '../src/index.ts'
import { floats } from './support/echo.ts'
import { testCertificate } from './support/certificate.ts'
import { buildWorker, tripleModule } from './support/worker.ts'

let built: Awaited<ReturnType<typeof buildWorker>>
const open: Gateway[] = []
beforeAll(async () => {
  built = await buildWorker()
})
afterEach(async () => {
  await Promise.all(open.splice(0).map((gateway) => gateway.close()))
})
afterAll(() => built.remove())

const worker = (faults?: WorkerFaults): InstanceSpec => ({
  worker: { module: tripleModule },
  workerFile: built.workerFile,
  ...(faults ? { faults } : {}),
})

async function start(options: Partial<GatewayOptions> & Pick<GatewayOptions, 'instances' | 'policy'>) {
  const gateway = await createGateway({ model: 'm', deadlineMs: 5000, maxGroupWaitMs: 20, ...options })
  open.push(gateway)
  return gateway
}

/** Asks `count` queries, a few at a time; every answer must be its own. */
async function askAll(gateway: Gateway, count: number): Promise<Record<string, number>> {
  const client = createOipClient(gateway.url, { binary: true })
  const qualities: Record<string, number> = {}
  let next = 0
  const caller = async () => {
    for (let n = next++; n < count; n = next++) {
      // Some numbers above 500 mean something to the module
      const i = n % 500
      const answer = await client.infer('m', {
        request: { parameters: {}, inputs: [floats('x', [i, 2 * i], [1, 2])], binaryOutput: true },
      })
      const y = answer.outputs[0] && toNamedTensor(answer.outputs[0])
      expect(Array.from(y?.data ?? [])).toEqual([3 * i, 6 * i])
      const quality = String(answer.parameters?.['ft.quality'])
      qualities[quality] = (qualities[quality] ?? 0) + 1
    }
  }
  await Promise.all([caller(), caller(), caller(), caller()])
  await client.close()
  return qualities
}

it('reconstructs what is late, and nothing else under hold', async () => {
  const late = { seed: 1, late: { share: 0.2, ms: [1500, 1600] as const } }
  const gateway = await start({
    instances: [worker(late), worker(), worker()],
    parityInstances: [worker()],
    code: sum({ k: 2 }),
    policy: hold({ afterMs: 300 }),
    // On a busy machine a group would be closed before its second query is there, and get copies instead
    maxGroupWaitMs: 2000,
    guard: false,
    shadowShare: 1,
  })
  const qualities = await askAll(gateway, 60)
  expect(qualities['reconstructed']).toBeGreaterThan(0)
  expect(qualities['exact']).toBeGreaterThan(30)
  // The outputs that came after all choose the class that their reconstructions chose: the model is linear
  await expect.poll(() => gateway.snapshot().shadow.compared, { timeout: 5000 }).toBeGreaterThan(0)
  expect(gateway.snapshot().shadow.agreed).toBe(gateway.snapshot().shadow.compared)
})

it('decodes two late queries of a group from two parities', async () => {
  const late = worker({ seed: 3, late: { share: 1, ms: [3000, 3100] } })
  const gateway = await start({
    instances: [late, late],
    // y = 3 x is its own parity model, whatever the weights
    parityInstances: { 'parity-0': [worker()], 'parity-1': [worker()] },
    code: weighted({ k: 2, r: 2 }),
    policy: hold({ afterMs: 200 }),
    guard: false,
  })
  const client = createOipClient(gateway.url, { binary: true })
  const answer = await client.infer('m', {
    request: { parameters: {}, inputs: [floats('x', [1, 2, 10, 20], [2, 2])], binaryOutput: true },
  })
  expect(answer.parameters?.['ft.qualities']).toBe('reconstructed,reconstructed')
  // Sums of integers below 2^24: exact
  expect(Array.from((answer.outputs[0] && toNamedTensor(answer.outputs[0])?.data) ?? [])).toEqual([3, 6, 30, 60])
  await client.close()
})

it('records a span a request, child of the caller, with the quality', async () => {
  const spans: {
    name: string
    attributes: Record<string, unknown>
    traceId: string | undefined
    ended: boolean
    failed: boolean
  }[] = []
  trace.setGlobalTracerProvider({
    getTracer: () =>
      ({
        startSpan(name: string, _options: unknown, context: Context) {
          const own = {
            name,
            attributes: {} as Record<string, unknown>,
            traceId: trace.getSpanContext(context)?.traceId,
            ended: false,
            failed: false,
          }
          spans.push(own)
          const span = trace.wrapSpanContext({ traceId: '1'.repeat(32), spanId: '2'.repeat(16), traceFlags: 1 })
          span.setAttribute = (key, value) => ((own.attributes[key] = value), span)
          span.setStatus = ({ code }) => ((own.failed = code === SpanStatusCode.ERROR), span)
          span.end = () => void (own.ended = true)
          return span
        },
      }) as unknown as Tracer,
  })
  propagation.setGlobalPropagator({
    extract: (context, carrier: Record<string, string>) =>
      trace.setSpanContext(context, {
        traceId: (carrier['traceparent'] ?? '').split('-')[1] ?? '',
        spanId: 'b7ad6b7169203331',
        traceFlags: 1,
      }),
    inject: (context, carrier: Record<string, string>) => {
      carrier['traceparent'] = `00-${trace.getSpanContext(context)?.traceId}-x-01-passed on`
    },
    fields: () => ['traceparent'],
  })
  const echo = { worker: { module: tripleModule, options: { headers: true } }, workerFile: built.workerFile }
  const gateway = await start({ instances: [echo], policy: hold({ afterMs: 1000 }), tracing: true })
  const response = await fetch(`${gateway.url}/v2/models/m/infer`, {
    method: 'POST',
    headers: { traceparent: `00-${'a'.repeat(32)}-b7ad6b7169203331-01`, 'x-tenant': '7' },
    body: JSON.stringify({ inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 2] }] }),
  })
  // What the module was told has the injected header's length: 3 + 32 + 15
  expect(await response.json()).toMatchObject({ outputs: [{ data: [50, 7] }] })
  expect(spans).toMatchObject([
    {
      name: 'parm.infer',
      traceId: 'a'.repeat(32),
      ended: true,
      attributes: { 'ft.model': 'm', 'ft.quality': 'exact' },
    },
  ])
  // What is refused before it is a query has a span as well, and a query that fails has one, not two
  spans.length = 0
  const refuse = (body: string) =>
    fetch(`${gateway.url}/v2/models/m/infer`, {
      method: 'POST',
      headers: { traceparent: `00-${'b'.repeat(32)}-b7ad6b7169203331-01` },
      body,
    })
  expect((await refuse('{')).status).toBe(400)
  const inputs = [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 2] }]
  expect((await refuse(JSON.stringify({ inputs: [{ ...inputs[0], name: 'z' }] }))).status).toBe(400)
  expect((await refuse(JSON.stringify({ inputs, parameters: { 'ft.deadlineMs': 'soon' } }))).status).toBe(400)
  expect(spans.map(({ name, traceId, ended, failed }) => ({ name, traceId, ended, failed }))).toEqual(
    ['parm.refused', 'parm.refused', 'parm.infer'].map((name) => ({
      name,
      traceId: 'b'.repeat(32),
      ended: true,
      failed: true,
    })),
  )
  trace.disable()
  propagation.disable()
})

it('answers late queries exactly by a copy under hedge, without a code', async () => {
  const gateway = await start({
    instances: [worker({ seed: 1, late: { share: 0.3, ms: [2000, 2100] } }), worker()],
    policy: hedge({ afterMs: 100 }),
    guard: false,
  })
  expect(await askAll(gateway, 30)).toEqual({ exact: 30 })
  expect(gateway.snapshot().counts.hedge).toBeGreaterThan(0)
})

it('moves a query to another instance when its connection is dropped', async () => {
  const gateway = await start({
    instances: [worker({ seed: 2, drop: { share: 0.3 } }), worker()],
    policy: hold({ afterMs: 1000 }),
  })
  expect(await askAll(gateway, 60)).toEqual({ exact: 60 })
  expect(gateway.snapshot().instances[0]?.failed).toBeGreaterThan(0)
})

it('leaves an instance alone that is much slower than its peers, and tries it again', async () => {
  const slow = { worker: { module: tripleModule, options: { delayMs: 60 } }, workerFile: built.workerFile }
  const quick = { worker: { module: tripleModule, options: { delayMs: 3 } }, workerFile: built.workerFile }
  const gateway = await start({ instances: [slow, quick, quick, quick], policy: hold({ afterMs: 1000 }) })
  const seen: boolean[] = []
  const watch = setInterval(() => seen.push(gateway.snapshot().instances[0]?.out ?? false), 20)
  await askAll(gateway, 2500)
  clearInterval(watch)
  expect(seen).toContain(true)
  await expect.poll(() => gateway.snapshot().instances[0]?.out, { timeout: 5000 }).toBe(false)
})

it('says what it did at /metrics', async () => {
  const gateway = await start({ instances: [worker()], policy: hold({ afterMs: 1000 }) })
  await askAll(gateway, 5)
  const response = await fetch(`${gateway.url}/metrics`)
  const text = await response.text()
  expect(response.headers.get('content-type')).toContain('version=0.0.4')
  expect(text).toContain('ft_parm_queries_total{quality="exact"} 5')
  expect(text).toContain('ft_parm_latency_seconds_count 5')
  expect(text).toMatch(/process_cpu_seconds_total 0?\.?\d/)
  expect(text).not.toContain('ft_parm_refusals_total{')
  for (const path of ['m/infer', 'm/infer', 'none/infer'])
    await fetch(`${gateway.url}/v2/models/${path}`, { method: 'POST', body: '{"inputs": []}' })
  const after = await (await fetch(`${gateway.url}/metrics`)).text()
  expect(after).toContain('ft_parm_refusals_total{status="400"} 2')
  expect(after).toContain('ft_parm_refusals_total{status="404"} 1')
})

it('passes tracing headers on to the instance that runs the query', async () => {
  const echo = { worker: { module: tripleModule, options: { headers: true } }, workerFile: built.workerFile }
  const gateway = await start({ instances: [echo], policy: hold({ afterMs: 1000 }) })
  const response = await fetch(`${gateway.url}/v2/models/m/infer`, {
    method: 'POST',
    headers: { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', 'x-tenant': '7' },
    body: JSON.stringify({ inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 2] }] }),
  })
  // The module answers with the length of traceparent and the tenant
  expect(await response.json()).toMatchObject({ outputs: [{ data: [55, 7] }] })
})

it('serves TLS', async () => {
  const { cert, key } = testCertificate
  const gateway = await start({ instances: [worker()], policy: hold({ afterMs: 1000 }), tls: { cert, key } })
  expect(gateway.url).toMatch(/^https:/)
  const status = await new Promise((resolve, reject) => {
    httpsRequest(`${gateway.url}/v2/health/ready`, { ca: cert, servername: 'localhost' }, (response) => {
      response.resume()
      resolve(response.statusCode)
    })
      .on('error', reject)
      .end()
  })
  expect(status).toBe(200)
})
