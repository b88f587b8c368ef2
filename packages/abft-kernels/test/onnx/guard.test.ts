// The guarded session: transient faults are corrected by running again, thresholds fit to data, bad input is told apart.
import { describe, expect, it } from 'vitest'
import { isFtError, type Fault } from '@ft/core'
import { parseModel, serializeModel } from '@ft/onnx'
import { createGuardedSession, injectOnnx, protectOnnx, type Ort } from '../../src/onnx.ts'
import { bag, convNet, feed, integers, ort, runPlain } from './models.ts'

type Node = Ort<ort.Tensor, ort.InferenceSession.SessionOptions>
const all = { graphOptimizationLevel: 'all', logSeverityLevel: 3 } as const
const x = feed([2, 3, 16, 16], 1)
const shape = { inputs: { x: [2, 3, 16, 16] } }
const fault = (value: number): Fault => ({
  layer: 'c2',
  site: { kind: 'output', row: 77, column: 2 },
  effect: { kind: 'add', value },
})

/** A runtime whose session computes wrongly in its first runs: each of them is a run of the struck model. */
function failing(struck: Uint8Array, times: number): Node {
  return {
    InferenceSession: {
      async create(bytes, options) {
        const [bad, good] = [
          await ort.InferenceSession.create(struck, options),
          await ort.InferenceSession.create(bytes, options),
        ]
        let runs = 0
        return {
          run: async (feeds, fetches) => await (runs++ < times ? bad : good).run(feeds, fetches),
          release: async () => void (await Promise.all([bad.release(), good.release()])),
        }
      },
    },
  }
}

describe('running again', () => {
  it('corrects a transient fault, to the bits of a clean run', async () => {
    const { bytes } = protectOnnx(convNet(), { scheme: 'row' })
    const session = await createGuardedSession(failing(injectOnnx(bytes, [fault(80)], shape), 1), bytes, {
      session: all,
    })
    const first = await session.run({ x })
    expect(first.report).toMatchObject({ status: 'corrected', runs: 2 })
    expect(first.report.detections.map((item) => item.id)).toEqual(['c2'])
    const second = await session.run({ x })
    expect(second.report.status).toBe('clean')
    expect(first.outputs['logits']?.data).toEqual(second.outputs['logits']?.data)
    await session.release()
  })

  it('reports without running again, or throws when running again does not help', async () => {
    const { bytes } = protectOnnx(convNet(), { scheme: 'global' })
    const struck = injectOnnx(bytes, [fault(1e4)], shape)
    const reporting = await createGuardedSession(failing(struck, 1), bytes, { session: all, onFault: 'report' })
    expect((await reporting.run({ x })).report).toMatchObject({ status: 'detected', runs: 1 })
    const throwing = await createGuardedSession(failing(struck, 3), bytes, {
      session: all,
      onFault: 'throw',
      retries: 2,
    })
    const error: unknown = await throwing.run({ x }).catch((thrown: unknown) => thrown)
    expect(isFtError(error, 'FAULT_DETECTED')).toBe(true)
    await reporting.release()
    await throwing.release()
  })

  it('a NaN in the input is a fault of the input', async () => {
    const { bytes } = protectOnnx(convNet(), { scheme: 'row' })
    const session = await createGuardedSession(ort as Node, bytes, { session: all })
    const bad = feed([2, 3, 16, 16], 1)
    bad.data[40] = NaN
    expect((await session.run({ x: bad })).report).toMatchObject({ status: 'detected', badInput: true, runs: 1 })
    await session.release()
  })
})

describe('thresholds', () => {
  it.each(['global', 'row'] as const)(
    '%s: calibration sees smaller faults, without alarms on other inputs',
    async (scheme) => {
      const { bytes, protected: layers } = protectOnnx(convNet(), { scheme }, shape)
      const bound = layers.find((layer) => layer.id === 'c2')?.bound ?? 0
      const small = injectOnnx(bytes, [fault(scheme === 'row' ? 4e-5 : 0.02)], shape)
      for (const [model, hard, fitted] of [
        [bytes, 'clean', 'clean'],
        [small, 'clean', 'uncorrectable'],
      ] as const) {
        // Thresholds are fitted on the clean model in either case.
        const session = await createGuardedSession(failing(model, 1), bytes, { session: all, retries: 0 })
        expect((await session.run({ x })).report.status).toBe(hard)
        const again = await createGuardedSession(swapping(bytes, model), bytes, { session: all, retries: 0 })
        const samples = Array.from({ length: 12 }, (_, i) => ({ x: feed([2, 3, 16, 16], 100 + i) }))
        const made = await again.calibrate(samples)
        expect(made.find((item) => item.layer === 'c2')?.threshold).toBeLessThan(bound / 3)
        expect((await again.run({ x })).report.status).toBe(fitted)
        await session.release()
        await again.release()
      }
    },
  )

  it('calibration refuses samples whose runs are not clean, and keeps the thresholds that it had', async () => {
    const { bytes } = protectOnnx(convNet(), { scheme: 'row' })
    const bad = feed([2, 3, 16, 16], 1)
    bad.data[40] = Infinity
    const session = await createGuardedSession(ort as Node, bytes, { session: all })
    const refused = { code: 'INVALID_ARGUMENT' }
    await expect(session.calibrate([{ x }, { x: bad }])).rejects.toMatchObject({ ...refused, details: { sample: 1 } })
    // Thresholds from that run would let everything pass, or nothing.
    expect((await session.run({ x })).report).toMatchObject({ status: 'clean', runs: 1 })
    const struck = await createGuardedSession(failing(injectOnnx(bytes, [fault(80)], shape), 1), bytes, {
      session: all,
    })
    await expect(struck.calibrate([{ x }])).rejects.toMatchObject({ ...refused, details: { layer: 'c2' } })
    // A second calibration is judged by rounding, not by what the first one fitted.
    const loose = [3, 4, 5].map((seed) => ({ x: feed([2, 3, 16, 16], seed) }))
    await struck.calibrate([{ x }], { falseAlarmProbability: 0.5 })
    expect(await struck.calibrate(loose)).toHaveLength(6)
    await session.release()
    await struck.release()
  })

  it('rounding above a threshold that is too tight is a false alarm, not a fault', async () => {
    const { bytes } = protectOnnx(convNet(), { scheme: 'row' })
    const tight = protectOnnx(convNet(), { scheme: 'row' }).protected.map(({ id, bound }) => {
      return { layer: id, bound, threshold: bound * 1e-6, samples: 1 }
    })
    const session = await createGuardedSession(ort as Node, bytes, { session: all, thresholds: tight })
    const { report } = await session.run({ x })
    expect(report).toMatchObject({ status: 'clean', falseAlarm: true, runs: 2 })
    expect(report.detections.length).toBeGreaterThan(0)
    await session.release()
  })
})

/** Clean for the first twelve runs, then another model. */
function swapping(clean: Uint8Array, after: Uint8Array): Node {
  return {
    ...failing(clean, 12),
    InferenceSession: { create: (_, options) => failing(clean, 12).InferenceSession.create(after, options) },
  }
}

describe('integers and look-ups', () => {
  const feeds = () => ({
    a: new ort.Tensor(
      'uint8',
      Uint8Array.from({ length: 200 }, (_, i) => (i * 37) % 256),
      [5, 40],
    ),
    image: new ort.Tensor(
      'uint8',
      Uint8Array.from({ length: 216 }, (_, i) => (i * 91) % 256),
      [2, 3, 6, 6],
    ),
  })

  it('integer products are checked exactly: every flipped bit of a weight is found, and no clean run alarms', async () => {
    const made = protectOnnx(integers(), { scheme: 'row' })
    expect(made.protected.map((layer) => [layer.id, layer.bound])).toEqual([
      ['product', 0],
      ['convolved', 0],
    ])
    const session = await createGuardedSession(ort as Node, made.bytes, { session: all })
    const { outputs, report } = await session.run(feeds())
    expect(report.status).toBe('clean')
    const plain = await runPlain(integers(), feeds())
    for (const name of ['product', 'convolved']) expect(outputs[name]?.data).toEqual(plain[name]?.data)
    await session.release()
    for (const layer of ['product', 'convolved'])
      for (let bit = 0; bit < 8; bit++) {
        const flip: Fault = {
          layer,
          site: { kind: 'packed-weight', step: 7, column: 3 },
          effect: { kind: 'flip', bits: [bit] },
        }
        const struck = await createGuardedSession(ort as Node, injectOnnx(made.bytes, [flip]), { session: all })
        const { report: found } = await struck.run(feeds())
        expect(found.detections.map((item) => item.id)).toEqual([layer])
        await struck.release()
      }
  })

  it.each([true, false])('an embedding bag (keepdims %s) is checked against sums of its rows', async (keepdims) => {
    const model = bag(keepdims)
    const made = protectOnnx(model, { scheme: 'row' })
    expect(made.protected.map((layer) => layer.id)).toEqual(['bag', 'y'])
    const ids = new ort.Tensor('int64', BigInt64Array.from([1n, 2n, 3n, 4n, 49n, 0n, 7n, 7n]), [2, 4])
    const session = await createGuardedSession(ort as Node, made.bytes, { session: all })
    expect((await session.run({ ids })).report.status).toBe('clean')
    await session.release()
    // A table that changed after it was protected.
    const stored = parseModel(made.bytes)
    const table = stored.graph.initializer.find(({ name }) => name === 'table')
    const raw = Uint8Array.from(table?.rawData ?? [])
    // The highest bit of the mantissa of element [7, 0].
    const at = 4 * 8 * 7 + 2
    raw[at] = (raw[at] as number) ^ 0x40
    if (table) table.rawData = raw
    const damaged = serializeModel(stored)
    const struck = await createGuardedSession(ort as Node, damaged, { session: all })
    const { report } = await struck.run({ ids })
    expect(report.detections.map((item) => item.id)).toEqual(['bag'])
    await struck.release()
  })
})

describe('misuse', () => {
  it('refuses what is no model, no plan, and options that say nothing', async () => {
    const { bytes } = protectOnnx(convNet(), { scheme: 'row' })
    const refused = (argument: string) =>
      expect.objectContaining({
        code: 'INVALID_ARGUMENT',
        message: expect.stringContaining(argument) as string,
      }) as Error
    expect(() => protectOnnx(undefined as never, { scheme: 'row' })).toThrow(refused('`bytes`'))
    for (const plan of [undefined, null, 'row'])
      expect(() => protectOnnx(convNet(), plan as never)).toThrow(refused('`plan`'))
    const open = (options: object) => createGuardedSession(ort, bytes, options)
    await expect(createGuardedSession(ort as Node, null as never)).rejects.toThrow(refused('`bytes`'))
    await expect(open({ onFault: 'fix' })).rejects.toThrow(refused('`options.onFault`'))
    for (const retries of [NaN, -1, 0.5]) await expect(open({ retries })).rejects.toThrow(refused('`options.retries`'))
    const session = await open({})
    for (const falseAlarmProbability of [NaN, 0, 1])
      await expect(session.calibrate([{ x }], { falseAlarmProbability })).rejects.toThrow(
        refused('falseAlarmProbability'),
      )
    await session.release()
    await session.release()
    await expect(session.run({ x })).rejects.toThrow(refused('released'))
    await expect(session.calibrate([{ x }])).rejects.toThrow(refused('released'))
  })

  it('asks the runtime for errors alone, unless told otherwise', async () => {
    const { bytes } = protectOnnx(convNet(), { scheme: 'row' })
    const asked: unknown[] = []
    const listening: Node = {
      InferenceSession: {
        create: (own, options) => {
          asked.push(options?.logSeverityLevel)
          return ort.InferenceSession.create(own, { ...options, logSeverityLevel: 3 })
        },
      },
    }
    for (const session of [undefined, { logSeverityLevel: 1 as const }])
      await (await createGuardedSession(listening, bytes, session ? { session } : {})).release()
    expect(asked).toEqual([3, 1])
  })
})
