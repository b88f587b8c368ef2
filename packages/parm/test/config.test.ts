import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { resolve } from 'node:path'
import { expect, it } from 'vitest'
import { parseConfig } from '../src/cli/config.ts'

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

it.each([
  [{ kind: 'sum', k: 3 }, 'sum', 4],
  [{ kind: 'weighted', k: 2, r: 2 }, 'weighted', 4],
  [{ kind: 'replication' }, 'replication', 2],
])('knows the code %j', (code, name, n) => {
  const parsed = parseConfig(JSON.stringify({ ...good, code }), 'c.json').code
  expect([parsed?.name, parsed?.n]).toEqual([name, n])
})

it('reports every mistake with its path', () => {
  const bad = { ...good, port: 70_000, instances: [], code: { kind: 'sum', k: 'two' }, polcy: 1 }
  try {
    parseConfig(JSON.stringify(bad), 'c.json')
    expect.unreachable()
  } catch (error) {
    const { code, details } = error as { code: string; details: { mistakes: { path: string }[] } }
    expect(code).toBe('INVALID_ARGUMENT')
    expect(details.mistakes.map(({ path }) => path).sort()).toEqual(['(top)', 'code.k', 'instances', 'port'])
  }
  expect(() => parseConfig('{', 'c.json')).toThrow(/must be JSON/)
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
