import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import { join, resolve } from 'node:path'
import { expect, it } from 'vitest'
import { parseConfig } from '../src/cli/config.ts'
import { testCertificate } from './support/certificate.ts'

const good = {
  model: 'mnist',
  instances: [
    { folder: 'base', workers: 2 },
    { url: 'http://10.0.0.1:8000', model: 'other' },
  ],
  parityInstances: [{ folder: 'parity' }],
  code: { kind: 'concat', k: 2, image: { height: 28, width: 28 } },
  policy: { hold: { quantile: 0.99 } },
}

it('gives the gateway its options, paths relative to the file', () => {
  const options = parseConfig(JSON.stringify(good), 'conf/parm.json')
  expect(options.instances).toEqual([
    { worker: { folder: resolve('conf/base') } },
    { worker: { folder: resolve('conf/base') } },
    { url: 'http://10.0.0.1:8000', model: 'other' },
  ])
  expect([options.code?.name, options.code?.k, options.policy.name, options.port]).toEqual([
    'concat',
    2,
    'hold(q0.99)',
    8000,
  ])
})

const folder = [{ folder: 'p' }]
it.each([
  [{ kind: 'sum', k: 3 }, folder, 'sum', 4],
  [{ kind: 'weighted', k: 2, r: 2 }, { 'parity-0': folder, 'parity-1': folder }, 'weighted', 4],
  [{ kind: 'replication' }, undefined, 'replication', 2],
])('knows the code %j', (code, parityInstances, name, n) => {
  const parsed = parseConfig(JSON.stringify({ ...good, code, parityInstances }), 'c.json').code
  expect([parsed?.name, parsed?.n]).toEqual([name, n])
})

it('takes the weights of a code of several parities', () => {
  const coefficients = [
    [1, 1],
    [1, -1],
  ]
  const parityInstances = { 'parity-0': folder, 'parity-1': folder }
  const code = { kind: 'weighted', k: 2, r: 2, coefficients }
  const parsed = parseConfig(JSON.stringify({ ...good, code, parityInstances }), 'c.json').code
  expect([2, 3].map((slot) => parsed?.parityWeights?.(slot))).toEqual(coefficients)
  const singular = {
    ...code,
    coefficients: [
      [1, 1],
      [2, 2],
    ],
  }
  expect(mistakesOf({ ...good, code: singular, parityInstances })).toMatchObject({
    code: expect.stringContaining('invertible') as string,
  })
})

/** What is wrong with a configuration, by path. */
function mistakesOf(config: object, file = 'c.json'): Record<string, string> {
  try {
    parseConfig(JSON.stringify(config), file)
  } catch (error) {
    const { code, details } = error as { code: string; details: { mistakes: { path: string; message: string }[] } }
    expect(code).toBe('INVALID_ARGUMENT')
    for (const { path, message } of details.mistakes)
      expect((error as Error).message).toContain(`\n  ${path}: ${message}`)
    return Object.fromEntries(details.mistakes.map(({ path, message }) => [path, message]))
  }
  return {}
}
const plain = { model: 'm', instances: [{ folder: 'f' }] }

it('reports every mistake with its path', () => {
  const bad = { ...good, port: 70_000, instances: [], code: { kind: 'sum', k: 'two' }, polcy: 1 }
  expect(Object.keys(mistakesOf(bad)).sort()).toEqual(['(top)', 'code.k', 'instances', 'port'])
  expect(() => parseConfig('{', 'c.json')).toThrow(/must be JSON/)
  for (const nothing of [null, [], 1]) expect(Object.keys(mistakesOf(nothing as unknown as object))).toContain('(top)')
})

it.each([
  ['a field of an instance', { instances: [{ folder: 'f', workers: 'four' }] }, { 'instances.0.workers': /number/ }],
  ['an address', { instances: [{ url: 'ftp://x' }] }, { 'instances.0.url': /must be http/ }],
  ['a kind of instance', { instances: [{ fodler: 'f' }] }, { 'instances.0': /url, folder, onnx, module, got fodler/ }],
  ['two kinds at once', { instances: [{ folder: 'f', onnx: 'f' }] }, { 'instances.0': /got folder, onnx/ }],
  ['no object', { instances: ['f'] }, { 'instances.0': /must be an object/ }],
  ['the name of a policy', { policy: 'firstwins' }, { policy: /firstWins/ }],
  ['a quantile', { policy: { hold: { quantile: 2 } } }, { 'policy.hold.quantile': /<=1/ }],
  [
    'both halves of a policy',
    { policy: { hedgeThenDecode: { hedge: { afterMs: -1 }, decode: { quantil: 0.9 } } } },
    {
      'policy.hedgeThenDecode.hedge.afterMs': />=0/,
      'policy.hedgeThenDecode.decode': /afterMs, quantile, got quantil/,
    },
  ],
  ['the guard', { guard: { limit: 'x' } }, { 'guard.limit': /number/ }],
  ["the guard's limit", { guard: { limit: 11 } }, { 'guard.limit': /<=10/ }],
  ['a guard that is true', { guard: true }, { guard: /object/ }],
  ['the kind of a code', { code: { kind: 'parity', k: 2 } }, { code: /one of sum, weighted/ }],
  ['a learned code', { code: { kind: 'learned', k: 2 } }, { 'code.folder': /string/ }],
  [
    'a size of a code',
    { code: { kind: 'concat', k: 3, image: { height: 2, width: 4 } } },
    {
      'code.k': /2\|4\|9/,
      'code.image.height': />=3/,
    },
  ],
  [
    'a named parity model',
    { code: { kind: 'sum', k: 2 }, parityInstances: { parity: [{ folder: 1 }] } },
    { 'parityInstances.parity.0.folder': /string/ },
  ],
  [
    'faults',
    { instances: [{ folder: 'f', faults: { seed: 1, late: { share: 1, ms: [20, 10] } } }] },
    {
      'instances.0.faults.late.ms': /in this order/,
    },
  ],
  ['rows of a request', { maxBatchRows: 0 }, { maxBatchRows: />=1/ }],
  ['a waiting time', { maxBatchWaitMs: -1 }, { maxBatchWaitMs: />=0/ }],
  ['a scale', { preprocessing: { x: { scale: 'half' } } }, { 'preprocessing.x.scale': /number/ }],
  ['an option of it', { preprocessing: { x: { mean: [1], std: [1], offset: 2 } } }, { 'preprocessing.x': /"offset"/ }],
  ['a deviation', { preprocessing: { x: { mean: [1, 2], std: [1, 0] } } }, { 'preprocessing.x.std.1': />0/ }],
  ['deviations', { preprocessing: { x: { mean: [1, 2], std: [1] } } }, { 'preprocessing.x': /as many std as mean/ }],
  [
    'preprocessing for a code without parity models',
    { code: { kind: 'berrut', k: 2, late: 1 }, preprocessing: { x: { scale: 2 } } },
    { preprocessing: /the code berrut has no parity model/ },
  ],
  [
    'a default output',
    { defaultOutputs: [{ name: 'y', datatype: 'FP32', shape: [2, 1], data: [1, 2] }] },
    {
      'defaultOutputs.0': /of one row/,
    },
  ],
  [
    'its contents',
    { defaultOutputs: [{ name: 'y', datatype: 'FP32', shape: [1, 2], data: [1] }] },
    {
      'defaultOutputs.0': /needs 2 elements/,
    },
  ],
])('says what is wrong with %s, and where', (_what, extra, expected) => {
  const found = mistakesOf({ ...plain, ...extra })
  for (const [path, message] of Object.entries(expected))
    expect(found).toMatchObject({ [path]: expect.stringMatching(message) as string })
})

it.each([
  ['a code without its parity model', { code: { kind: 'sum', k: 2 } }, 'parityInstances', /needs instances of parity$/],
  ['an empty list of them', { code: { kind: 'sum', k: 2 }, parityInstances: [] }, 'parityInstances', /needs instances/],
  [
    'one list for two',
    { code: { kind: 'weighted', k: 2, r: 2 }, parityInstances: folder },
    'parityInstances',
    /of parity-1$/,
  ],
  [
    'a parity model that the code lacks',
    { code: { kind: 'sum', k: 2 }, parityInstances: { parity: folder, other: folder } },
    'parityInstances.other',
    /no parity model 'other'/,
  ],
  ['a parity model without a code', { parityInstances: folder }, 'parityInstances', /without a code/],
  [
    'one for a code that has none',
    { code: { kind: 'replication' }, parityInstances: folder },
    'parityInstances',
    /needs none/,
  ],
  [
    'a name twice',
    {
      instances: [
        { folder: 'f', name: 'a' },
        { folder: 'f', name: 'a' },
      ],
    },
    'instances.1.name',
    /called 'a'/,
  ],
  [
    "another's own name",
    { instances: [{ folder: 'f' }, { folder: 'f', name: 'base-0' }] },
    'instances.1.name',
    /called 'base-0'/,
  ],
  ['numbers that make no code', { code: { kind: 'berrut', k: 2, late: 1, wrong: 8, order: 15 } }, 'code', /berrut/],
])('sees %s, beside mistakes of form', (_what, extra, path, message) => {
  const found = mistakesOf({ ...plain, ...extra, port: -1 })
  expect(found).toMatchObject({ port: expect.any(String) as string, [path]: expect.stringMatching(message) as string })
})

it('reads certificates, and reports every file that is none', () => {
  const own = mkdtempSync(join(tmpdir(), 'parm-test-'))
  const write = (name: string, text: string) => writeFileSync(join(own, name), text)
  write('cert.pem', testCertificate.cert)
  write('key.pem', testCertificate.key)
  write('text.pem', 'text')
  const other = generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey
  write('other.pem', other.export({ type: 'pkcs8', format: 'pem' }) as string)
  const file = join(own, 'parm.json')
  const tls = { cert: 'cert.pem', key: 'key.pem', ca: 'cert.pem' }
  expect(parseConfig(JSON.stringify({ ...plain, tls }), file).tls).toEqual({
    ...testCertificate,
    ca: testCertificate.cert,
  })
  expect(mistakesOf({ ...plain, tls: { cert: 'no.pem', key: 'no.pem', ca: 'no.pem' } }, file)).toEqual({
    'tls.cert': expect.stringMatching(/cannot read .*no.pem: ENOENT/) as string,
    'tls.key': expect.stringMatching(/ENOENT/) as string,
    'tls.ca': expect.stringMatching(/ENOENT/) as string,
  })
  expect(mistakesOf({ ...plain, tls: { cert: 'text.pem', key: 'cert.pem' } }, file)).toEqual({
    'tls.cert': expect.stringMatching(/must be a certificate in PEM/) as string,
    'tls.key': expect.stringMatching(/must be a private key/) as string,
  })
  expect(mistakesOf({ ...plain, tls: { ...tls, key: 'other.pem' } }, file)).toEqual({
    'tls.key': 'must be the key of the certificate',
  })
  rmSync(own, { recursive: true })
})

it('takes default outputs, times and tracing', () => {
  const options = parseConfig(
    JSON.stringify({
      ...plain,
      defaultOutputs: [{ name: 'y', datatype: 'FP32', shape: [1, 2], data: [0.5, 1] }],
      startTimeoutMs: 60_000,
      keepAliveMs: 0,
      drainMs: 100,
      tracing: true,
    }),
    'c.json',
  )
  expect(options).toMatchObject({ startTimeoutMs: 60_000, keepAliveMs: 0, drainMs: 100, tracing: true })
  expect(options.defaultOutputs?.map(({ name, shape, dtype, data }) => [name, shape, dtype, [...data]])).toEqual([
    ['y', [1, 2], 'float32', [0.5, 1]],
  ])
})

it('takes batches and preprocessing', () => {
  const preprocessing = {
    pixels: { scale: 1 / 255, mean: [0.5, 0.4, 0.3], std: [0.2, 0.2, 0.2], layout: 'CHW' },
    gain: { scale: 2, offset: -1 },
  }
  const own = { maxBatchRows: 16, maxBatchWaitMs: 2.5, preprocessing }
  expect(parseConfig(JSON.stringify({ ...good, ...own }), 'c.json')).toMatchObject(own)
})

it('reads the configuration of the container example', () => {
  const file = fileURLToPath(new URL('../examples/container/parm.json', import.meta.url))
  const options = parseConfig(readFileSync(file, 'utf8'), file)
  expect(options.instances).toHaveLength(4)
  expect(options).toMatchObject({ host: '0.0.0.0', grpc: { port: 8001 }, shadowShare: 0.1 })
})

it('reads every policy, the guard, faults and codes', () => {
  const parse = (extra: object) =>
    parseConfig(JSON.stringify({ model: 'm', instances: [{ folder: 'f' }], ...extra }), 'parm.json')
  const delay = { afterMs: 5 }
  expect(parse({ policy: { hedge: delay } }).policy.name).toBe('hedge(5 ms)')
  expect(parse({ policy: { hedgeThenDecode: { hedge: delay, decode: { quantile: 0.99 } } } }).policy.name).toBe(
    'hedgeThenDecode(5 ms, q0.99)',
  )
  expect(parse({ guard: false }).guard).toBe(false)
  expect(parse({ code: { kind: 'berrut', k: 3, late: 2 } }).code?.n).toBe(5)
  const faults = { seed: 4, late: { share: 0.5, ms: [1, 2] } }
  const { instances } = parse({ instances: [{ onnx: 'a.onnx', workers: 2, faults }, { url: '/run/a.sock' }] })
  expect(instances).toMatchObject([{ faults: { seed: 4 } }, { faults: { seed: 5 } }, { url: '/run/a.sock' }])
})
