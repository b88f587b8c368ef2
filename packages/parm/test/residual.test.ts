// An instance that answers in time and wrongly: it is found over several groups, from answers alone, whatever the parity
// model's own error, and honest instances are left alone.
import { afterEach, expect, it } from 'vitest'
import fc from 'fast-check'
import { createRandom } from '@ft/core/random'
import {
  createCoordinator,
  createGateway,
  firstWins,
  residualCheck,
  startOipServer,
  sum,
  toNamedTensor,
  toWireTensor,
  virtualClock,
  weighted,
  type Code,
  type NamedTensor,
  type OipServer,
  type ResidualState,
} from '../src/index.ts'
import { tripleService } from './support/echo.ts'
import { suspectsOf } from '../src/serving/suspects.ts'

const row = (...values: number[]): NamedTensor[] => [
  { name: 'x', data: Float32Array.from(values), shape: [1, values.length], dtype: 'float32' },
]

interface Fleet {
  readonly code: Code
  readonly bases: number
  readonly parities: number
  readonly groups: number
  readonly seed: number
  /** From which group on an instance adds so much to an element. */
  readonly liar?: { readonly name: string; readonly by: number; readonly from: number }
}

/** Groups over a fleet whose parity models err by noise of heavy tails; instances take turns at random. */
function serve({ code, bases, parities, groups, seed, liar }: Fleet): ResidualState {
  const random = createRandom(seed).stream('fleet')
  const clock = virtualClock()
  const residual = residualCheck({ share: 1, seed })
  let [group, left] = [0, [] as number[]]
  const coordinator = createCoordinator({
    code,
    policy: firstWins(),
    clock,
    residual,
    dispatch({ inputs, model }, { done }) {
      if (left.length === 0) left = Array.from(random.sample(bases, code.k))
      const name = model === 'base' ? `base-${left.pop()}` : `${model}-${random.integer(0, parities - 1)}`
      const wrong = liar && liar.name === name && group >= liar.from ? liar.by : 0
      const noise = () => (model === 'base' ? 0 : random.normal() * Math.exp(0.5 * random.normal()))
      const outputs = inputs.map((one) => ({
        ...one,
        name: 'y',
        data: Float32Array.from(one.data, (value, i) => 3 * value + noise() + (i === 0 ? wrong : 0)),
      }))
      clock.schedule(model === 'base' ? 1 : 5, () => done(outputs, name))
    },
  })
  for (; group < groups; group++) {
    for (let i = 0; i < code.k; i++)
      void coordinator.submit({ inputs: row(...Array.from({ length: 10 }, () => random.normal())) })
    clock.advanceTo(clock.now() + 10)
  }
  clock.run()
  expect(coordinator.open()).toEqual({ queries: 0, groups: 0 })
  expect(residual.state().checked).toBe(groups)
  return residual.state()
}

it('flags the instance that lies, base or parity, and nobody else', () => {
  fc.assert(
    fc.property(
      fc.record({
        seed: fc.integer({ min: 0, max: 1e6 }),
        k: fc.constantFrom(2, 3),
        bases: fc.constantFrom(4, 6),
        parities: fc.constantFrom(1, 2),
        culprit: fc.nat({ max: 7 }),
      }),
      ({ seed, k, bases, parities, culprit }) => {
        const names = [
          ...Array.from({ length: bases }, (_, i) => `base-${i}`),
          ...Array.from({ length: parities }, (_, i) => `parity-${i}`),
        ]
        const name = names[culprit % names.length] as string
        const state = serve({ code: sum({ k }), bases, parities, groups: 600, seed, liar: { name, by: 25, from: 300 } })
        expect(state.flagged).toEqual([name])
      },
    ),
    { numRuns: 40 },
  )
})

it('with two parities too', () => {
  const fleet = { code: weighted({ k: 2, r: 2 }), bases: 5, parities: 2, groups: 700, seed: 5 }
  expect(serve(fleet).flagged).toEqual([])
  expect(serve({ ...fleet, liar: { name: 'base-3', by: 25, from: 300 } }).flagged).toEqual(['base-3'])
})

it('alarms for about one honest group in a hundred, and flags nobody for it', () => {
  let [checked, alarms] = [0, 0]
  for (let seed = 0; seed < 10; seed++) {
    const state = serve({ code: sum({ k: 2 }), bases: 4, parities: 1, groups: 2000, seed })
    expect(state.flagged).toEqual([])
    checked += state.checked
    alarms += state.alarms
  }
  // 20,000 groups; alarms of 1 % have a standard deviation of 0.07 %, the limit's own error comes on top
  expect(alarms / checked).toBeGreaterThan(0.004)
  expect(alarms / checked).toBeLessThan(0.02)
})

it('nobody is accused before there are enough groups, nor where two instances cannot be told apart', () => {
  const groups = (count: number, alarm: boolean, ...names: string[]) =>
    Array.from({ length: count }, () => ({ instances: new Set(names), alarm }))
  expect(suspectsOf(groups(11, true, 'a', 'b'))).toEqual([])
  expect(suspectsOf(groups(100, true, 'a', 'b'))).toEqual([])
  expect(suspectsOf([...groups(20, true, 'a', 'b'), ...groups(20, false, 'b', 'c')])).toEqual(['a'])
  expect(suspectsOf([...groups(20, true, 'a', 'b'), ...groups(20, true, 'c', 'd')])).toEqual([])
})

it('an output that is no number alarms, and does not move the limit', () => {
  const code = sum({ k: 2 })
  const check = residualCheck({ share: 1, seed: 1, warmUp: 20 })
  const observe = (value: number) =>
    check.observe({
      code,
      by: new Map([
        [0, 'a'],
        [1, 'b'],
        [2, 'p'],
      ]),
      got: new Map([
        [0, row(value)],
        [1, row(2)],
        [2, row(3)],
      ]),
    })
  for (let i = 0; i < 40; i++) observe(1)
  expect(check.state()).toMatchObject({ checked: 40, alarms: 0, limit: 0 })
  observe(NaN)
  expect(check.state()).toMatchObject({ checked: 41, alarms: 1, limit: 0 })
})

const servers: OipServer[] = []
afterEach(() => Promise.all(servers.splice(0).map((server) => server.close())))

it('through the gateway: a server that begins to lie is in the snapshot and in the metrics by its name', async () => {
  let lies = false
  const honest = tripleService()
  const parity = honest
  const liar = {
    ...honest,
    async infer(...call: Parameters<typeof honest.infer>) {
      const response = await honest.infer(...call)
      if (!lies) return response
      const outputs = response.outputs.map((output) => {
        const tensor = toNamedTensor(output)!
        return toWireTensor({ ...tensor, data: Float32Array.from(tensor.data, (value) => Number(value) + 100) })
      })
      return { ...response, outputs }
    },
  }
  for (const service of [honest, honest, liar, honest, parity]) servers.push(await startOipServer(service))
  const [a, b, c, d, p] = servers.map(({ url }) => ({ url, model: 'triple' }))
  const gateway = await createGateway({
    model: 'triple',
    code: sum({ k: 2 }),
    policy: firstWins(),
    residualShare: 1,
    instances: [a!, b!, { ...c!, name: 'the liar' }, d!],
    parityInstances: [p!],
  })
  try {
    const ask = async (value: number) => {
      const body = JSON.stringify({ inputs: [{ name: 'x', shape: [1, 2], datatype: 'FP32', data: [value, 1] }] })
      expect((await fetch(`${gateway.url}/v2/models/triple/infer`, { method: 'POST', body })).status).toBe(200)
    }
    // Integers: the parity is exact, and so is the limit
    const rounds = async (count: number) => {
      for (let i = 0; i < count; i++) await Promise.all(Array.from({ length: 8 }, (_, j) => ask(i + j)))
    }
    await rounds(60)
    expect(gateway.snapshot().residual.flagged).toEqual([])
    expect(gateway.snapshot().residual.limit).toBeLessThan(Infinity)
    lies = true
    await rounds(40)
    expect(gateway.snapshot().residual.flagged).toEqual(['the liar'])
    const metrics = await (await fetch(`${gateway.url}/metrics`)).text()
    expect(metrics).toContain('ft_parm_instance_wrong{instance="the liar"} 1')
    expect(metrics).toContain('ft_parm_instance_wrong{instance="parity-0"} 0')
  } finally {
    await gateway.close()
  }
})
