// Every scheme on every engine: clean runs stay clean with the plain bits; faults inside the kernel are found, located and
// corrected to the clean bits.
import { afterAll, describe, expect, it } from 'vitest'
import { isFtError, type Fault, type MatmulEngine, type ProtectionScheme, type Tensor } from '@ft/core'
import { createReferenceEngine } from '@ft/tensor-core/reference'
import { createWasmEngine } from '@ft/tensor-core/wasm'
import { createKernels } from '../src/index.ts'
import { bits, normalTensor } from './support/data.ts'

const wasm = createWasmEngine({ threads: 1, instrumented: true })
afterAll(() => wasm.dispose())
const engines: [string, MatmulEngine][] = [
  ['reference', createReferenceEngine({ instrumented: true })],
  ['wasm', wasm],
]
const schemes: ProtectionScheme[] = [
  'global',
  'row',
  'column',
  'row-column',
  'thread-one-sided',
  'thread-two-sided',
  'replication',
]
const cases = engines.flatMap(([name, engine]) => schemes.map((scheme) => ({ name, engine, scheme })))

const flip = (row: number, column: number, bit: number): Fault => ({
  site: { kind: 'accumulator', row, column, step: 40 },
  effect: { kind: 'flip', bits: [bit] },
})

describe.each(cases)('$scheme on $name', ({ engine, scheme }) => {
  const a = normalTensor([37, 150], 1)
  const w = normalTensor([150, 53], 2)

  it.each(['hard', 'calibrated'])('%s: a clean product is clean and has the plain bits', async (mode) => {
    const hard = createKernels({ engine })
    const kernels = mode === 'hard' ? hard : await hard.calibrated({ lengths: [64, 256], trials: 3 })
    const weights = await kernels.prepare(w)
    const plain = await engine.matmul(a, w)
    const { output, report } = await kernels.matmul(a, weights, { scheme })
    expect(report.detections).toEqual([])
    expect(report.status).toBe('clean')
    expect(report.checks).toBeGreaterThan(0)
    expect(bits(output)).toEqual(bits(plain.output))
  })

  it('a flipped exponent bit inside the kernel is found and corrected, bit for bit', async () => {
    const kernels = createKernels({ engine })
    const weights = await kernels.prepare(w)
    const clean = await engine.matmul(a, w)
    for (const [row, column] of [
      [0, 0],
      [36, 52],
      [17, 31],
    ] as const) {
      const { output, report } = await kernels.matmul(a, weights, { scheme, faults: [flip(row, column, 29)] })
      expect(report.status).toBe('corrected')
      expect(bits(output)).toEqual(bits(clean.output))
      const [found] = report.detections
      if (scheme === 'row') expect(found?.region).toEqual({ kind: 'row', row })
      if (scheme === 'column') expect(found?.region).toEqual({ kind: 'column', column })
      if (scheme === 'row-column') expect(found?.region).toEqual({ kind: 'element', row, column })
      if (found?.region.kind === 'tile') {
        expect(found.region.rows[0]).toBeLessThanOrEqual(row)
        expect(found.region.rows[1]).toBeGreaterThan(row)
        expect(found.region.columns[0]).toBeLessThanOrEqual(column)
        expect(found.region.columns[1]).toBeGreaterThan(column)
      }
    }
  })

  it('checks before the activation: a fault that ReLU hides is no wrong output, one that it passes is corrected', async () => {
    const kernels = createKernels({ engine })
    const weights = await kernels.prepare(w)
    const clean = await engine.matmul(a, w, { activation: 'relu' })
    const at = bits(clean.output).findIndex((pattern) => pattern === 0)
    const site = { kind: 'output', row: Math.floor(at / 53), column: at % 53 } as const
    const struck = (value: number) =>
      kernels.matmul(a, weights, { scheme, activation: 'relu', faults: [{ site, effect: { kind: 'set', value } }] })
    const [hidden, passed] = [await struck(-1e4), await struck(1e4)]
    expect([hidden.report.status, passed.report.status]).toEqual(['clean', 'corrected'])
    for (const { output, report } of [hidden, passed]) {
      expect(report.detections.length).toBeGreaterThan(0)
      expect(bits(output)).toEqual(bits(clean.output))
    }
  })

  it.each([Infinity, -Infinity, NaN])('an output of %s never passes', async (value) => {
    const kernels = createKernels({ engine })
    const weights = await kernels.prepare(w)
    const clean = await engine.matmul(a, w)
    const fault: Fault = { site: { kind: 'output', row: 5, column: 9 }, effect: { kind: 'set', value } }
    const { output, report } = await kernels.matmul(a, weights, { scheme, faults: [fault] })
    expect(report.status).toBe('corrected')
    expect(bits(output)).toEqual(bits(clean.output))
  })

  it('reports and throws instead, when asked', async () => {
    const kernels = createKernels({ engine })
    const weights = await kernels.prepare(w)
    const clean = await engine.matmul(a, w)
    const { output, report } = await kernels.matmul(a, weights, { scheme, onFault: 'report', faults: [flip(3, 4, 29)] })
    expect(report.status).toBe('detected')
    expect(bits(output)).not.toEqual(bits(clean.output))
    const thrown = await kernels
      .matmul(a, weights, { scheme, onFault: 'throw', faults: [flip(3, 4, 29)] })
      .catch((error: unknown) => error)
    expect(isFtError(thrown, 'FAULT_DETECTED')).toBe(true)
  })

  it('a fault in the check itself is a safe alarm: the output keeps its bits', async () => {
    const kernels = createKernels({ engine })
    const weights = await kernels.prepare(w)
    const clean = await engine.matmul(a, w)
    // The global check's sums are this package's own: there is no register of the engine's to strike.
    if (scheme === 'global') return
    for (const side of ['actual', 'expected'] as const) {
      const fault: Fault = { site: { kind: 'checksum', side, index: 0 }, effect: { kind: 'set', value: 1e6 } }
      const { output, report } = await kernels.matmul(a, weights, { scheme, faults: [fault] })
      expect(report.detections.map((item) => item.outcome)).toContain('check-fault')
      expect(report.status).toBe('clean')
      expect(bits(output)).toEqual(bits(clean.output))
    }
  })
})

describe.each(engines)('rows of many columns on %s', (_, engine) => {
  const shape = { m: 9, k: 60, n: 1100 }
  const a = normalTensor([shape.m, shape.k], 1)
  const w = normalTensor([shape.k, shape.n], 2)
  const at = (row: number, column: number): Fault => ({
    site: { kind: 'output', row, column },
    effect: { kind: 'add', value: 50 },
  })

  it('a fault is found in its row and range of columns, and corrected, with thresholds of every kind', async () => {
    const hard = createKernels({ engine })
    const clean = await engine.matmul(a, w)
    for (const kernels of [hard, await hard.calibrated({ lengths: [64, 256], trials: 3 })]) {
      const weights = await kernels.prepare(w)
      expect((await kernels.matmul(a, weights)).report).toMatchObject({ status: 'clean', checks: 3 * shape.m })
      for (const [column, range] of [
        [383, [0, 384]],
        [384, [384, 768]],
        [1099, [768, 1100]],
      ] as const) {
        const { output, report } = await kernels.matmul(a, weights, { faults: [at(4, column)] })
        expect(report.detections.map(({ region }) => region)).toEqual([{ kind: 'row', row: 4, columns: range }])
        expect(report.status).toBe('corrected')
        expect(bits(output)).toEqual(bits(clean.output))
      }
      weights.release()
    }
  })

  it('a range narrows what a row and a column may cross: two faults are two elements, not four', async () => {
    const kernels = createKernels({ engine })
    const weights = await kernels.prepare(w)
    const faults = [at(2, 10), at(7, 900)]
    const { report } = await kernels.matmul(a, weights, { scheme: 'row-column', faults })
    expect(report.detections.map(({ region }) => region)).toEqual([
      { kind: 'element', row: 2, column: 10 },
      { kind: 'element', row: 7, column: 900 },
    ])
  })

  it('ranges of a batch: the item is named too', async () => {
    const kernels = createKernels({ engine })
    const batch = await kernels.prepare(normalTensor([3, 20, 600], 4))
    const fault = at(1 * 5 + 3, 590)
    const { report } = await kernels.matmul(normalTensor([3, 5, 20], 3), batch, { faults: [fault] })
    expect(report.checks).toBe(2 * 3 * 5)
    expect(report.detections).toMatchObject([
      { item: 1, region: { kind: 'row', row: 3, columns: [384, 600] }, outcome: 'corrected' },
    ])
  })

  it('a pair of faults that cancel is found where they lie in two ranges', async () => {
    const kernels = createKernels({ engine })
    const weights = await kernels.prepare(w)
    const pair = (columns: readonly number[]) =>
      columns.map((column, i): Fault => ({
        site: { kind: 'output', row: 2, column },
        effect: { kind: 'add', value: i === 0 ? 16 : -16 },
      }))
    expect((await kernels.matmul(a, weights, { faults: pair([3, 300]) })).report.status).toBe('clean')
    expect((await kernels.matmul(a, weights, { faults: pair([3, 400]) })).report.status).toBe('corrected')
  })
})

describe.each(engines)('limits and misuse on %s', (_, engine) => {
  it.each(schemes)('%s: products of zeros, and of no terms, are clean', async (scheme) => {
    const kernels = createKernels({ engine })
    const none = (rows: number, columns: number) =>
      ({ data: new Float32Array(rows * columns), shape: [rows, columns], dtype: 'float32' }) as const
    for (const [a, w] of [
      [normalTensor([9, 20], 1), none(20, 13)],
      [none(9, 0), none(0, 13)],
    ] as const) {
      const { output, report } = await kernels.matmul(a, await kernels.prepare(w), { scheme })
      expect(report).toMatchObject({ status: 'clean', detections: [] })
      expect(report.threshold.largest).toBe(0)
      expect([...output.data]).toEqual(new Array(9 * 13).fill(0))
    }
  })

  it.each(['transposeA', 'transposeB'] as const)('refuses %s instead of alarming on a clean product', async (name) => {
    const kernels = createKernels({ engine })
    const square = normalTensor([8, 8], 1)
    const weights = await kernels.prepare(square)
    for (const scheme of ['global', 'row'] as const) {
      const refused = kernels.matmul(square, weights, { scheme, [name]: true })
      await expect(refused).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
      await expect(refused).rejects.toThrow(name)
    }
  })

  it('refuses groups of anything but a filter', async () => {
    const kernels = createKernels({ engine })
    const refused = { code: 'INVALID_ARGUMENT' }
    await expect(kernels.prepare(normalTensor([8, 6], 1), { groups: 2 })).rejects.toMatchObject(refused)
    const filter = normalTensor([1, 1, 2, 6], 1)
    for (const groups of [4, 0, -1, 1.5])
      await expect(kernels.prepare(filter, { kind: 'conv2d', groups })).rejects.toMatchObject(refused)
    expect((await kernels.prepare(filter, { kind: 'conv2d', groups: 2 })).n).toBe(3)
  })

  it('a NaN operand is an input fault, not a compute fault', async () => {
    const a = normalTensor([4, 16], 3)
    a.data[17] = NaN
    const kernels = createKernels({ engine })
    const { report } = await kernels.matmul(a, await kernels.prepare(normalTensor([16, 8], 4)))
    expect(report.detections.map((item) => [item.region, item.outcome])).toEqual([[{ kind: 'row', row: 1 }, 'input']])
    expect(report.status).toBe('detected')
  })

  it('a pair of faults that cancel in a row is missed by the row check and found by the column check', async () => {
    const kernels = createKernels({ engine })
    const [a, w] = [normalTensor([8, 32], 5), normalTensor([32, 12], 6)]
    const weights = await kernels.prepare(w)
    const pair: Fault[] = [1, -1].map((sign, i) => ({
      site: { kind: 'output', row: 2, column: 3 + i },
      effect: { kind: 'add', value: 16 * sign },
    }))
    expect((await kernels.matmul(a, weights, { scheme: 'row', faults: pair })).report.status).toBe('clean')
    expect((await kernels.matmul(a, weights, { scheme: 'column', faults: pair })).report.status).toBe('corrected')
  })

  it('a persistent fault in packed weights cannot be corrected by running again', async () => {
    const kernels = createKernels({ engine })
    const [a, w] = [normalTensor([6, 32], 7), normalTensor([32, 12], 8)]
    const weights = await kernels.prepare(w)
    const fault: Fault = {
      site: { kind: 'packed-weight', step: 5, column: 7 },
      effect: { kind: 'set', value: 900 },
      persistent: true,
    }
    const { report } = await kernels.matmul(a, weights, { faults: [fault] })
    expect(report.status).toBe('uncorrectable')
    expect(report.detections).toHaveLength(6)
  })

  it('refuses an output over an operand or over the weights, which the judge still needs', async () => {
    const kernels = createKernels({ engine })
    const [data, w] = [normalTensor([16, 24], 1).data as Float32Array, normalTensor([16, 16], 2)]
    const tensor = (from: number): Tensor => {
      return { data: data.subarray(from, from + 16 * 16), shape: [16, 16], dtype: 'float32' }
    }
    const refused = { code: 'INVALID_ARGUMENT', message: expect.stringContaining('share memory') as string }
    const weights = await kernels.prepare(w)
    await expect(kernels.matmul(tensor(0), weights, { out: tensor(128) })).rejects.toMatchObject(refused)
    const own = await kernels.prepare(tensor(0))
    await expect(kernels.matmul(w, own, { out: tensor(128) })).rejects.toMatchObject(refused)
    const { report } = await kernels.matmul(w, own, { out: normalTensor([16, 16], 3) })
    expect(report.status).toBe('clean')
  })

  it('refuses it too where weights lie in shared memory that grew before the output was made', async () => {
    const kernels = createKernels({ engine })
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 2, shared: true })
    const view = (at: number): Tensor => {
      return { data: new Float32Array(memory.buffer, 4 * at, 16 * 16), shape: [16, 16], dtype: 'float32' }
    }
    const w = view(0)
    ;(w.data as Float32Array).set(normalTensor([16, 16], 2).data)
    const weights = await kernels.prepare(w)
    memory.grow(1)
    const a = normalTensor([16, 16], 1)
    await expect(kernels.matmul(a, weights, { out: view(255) })).rejects.toThrow('share memory with `weights`')
    expect((await kernels.matmul(a, weights, { out: view(256) })).report.status).toBe('clean')
  })

  it('refuses answers to a fault, chances and kinds of weights that are none', async () => {
    const kernels = createKernels({ engine })
    const [a, w] = [normalTensor([4, 16], 1), normalTensor([16, 16], 2)]
    const weights = await kernels.prepare(w)
    const filter = await kernels.prepare(normalTensor([3, 3, 2, 4], 1), { kind: 'conv2d' })
    const calls = (options: object) => [
      kernels.matmul(a, weights, options),
      kernels.conv2d(normalTensor([1, 4, 4, 2], 1), filter, options),
    ]
    const refused = (argument: string) => ({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining(argument) as string,
    })
    for (const call of calls({ onFault: 'fix' })) await expect(call).rejects.toMatchObject(refused('`options.onFault`'))
    for (const falseAlarmProbability of [NaN, 0, 1, '1e-6'])
      for (const call of calls({ falseAlarmProbability }))
        await expect(call).rejects.toMatchObject(refused('`options.falseAlarmProbability`'))
    await expect(kernels.prepare(w, { kind: 'dense' as never })).rejects.toMatchObject(refused('`options.kind`'))
    await expect(kernels.prepare(null as never)).rejects.toMatchObject(refused('`weights`'))
  })

  it.each<[string, object]>([
    ['no trials', { trials: 0 }],
    ['trials NaN', { trials: NaN }],
    ['no lengths', { lengths: [] }],
    ['descending lengths', { lengths: [64, 16] }],
    ['a length twice', { lengths: [16, 16] }],
    ['a length below 1', { lengths: [0, 16] }],
    ['a fraction', { lengths: [1.5] }],
  ])('calibrate refuses %s', async (_name, options) => {
    await expect(createKernels({ engine }).calibrated(options)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  })

  it('refuses operands that do not fit', async () => {
    const kernels = createKernels({ engine })
    const weights = await kernels.prepare(normalTensor([16, 8], 1))
    await expect(kernels.matmul(normalTensor([4, 15], 1), weights)).rejects.toMatchObject({ code: 'SHAPE_MISMATCH' })
    await expect(kernels.prepare(normalTensor([16], 1))).rejects.toMatchObject({ code: 'SHAPE_MISMATCH' })
    const filter = await kernels.prepare(normalTensor([3, 3, 2, 4], 1), { kind: 'conv2d' })
    await expect(kernels.matmul(normalTensor([4, 18], 1), filter)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    const unknown = kernels.matmul(normalTensor([4, 16], 1), weights, { scheme: 'rows' as ProtectionScheme })
    await expect(unknown).rejects.toThrow('`options.scheme` must be one of')
    const bad = normalTensor([4, 4], 1)
    bad.data[3] = Infinity
    await expect(kernels.prepare(bad)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  })
})

describe.each(engines)('faults with several wrong rows on %s', (_, engine) => {
  it('a packed weight that is wrong for one product: rows below their threshold are put right too', async () => {
    const kernels = createKernels({ engine })
    const [a, w] = [normalTensor([40, 64], 11), normalTensor([64, 24], 12)]
    // One row hardly uses the struck weight: its change is far below its threshold.
    a.data[7 * 64 + 9] = 1e-7
    const weights = await kernels.prepare(w)
    const clean = await engine.matmul(a, w)
    const fault: Fault = { site: { kind: 'packed-weight', step: 9, column: 5 }, effect: { kind: 'add', value: 0.5 } }
    const { output, report } = await kernels.matmul(a, weights, { faults: [fault] })
    expect(report.status).toBe('corrected')
    expect(report.detections.some(({ region }) => region.kind === 'row' && region.row === 7)).toBe(false)
    expect(bits(output)).toEqual(bits(clean.output))
  })

  it('a row that cannot be put right is said, also where its own check had passed', async () => {
    const [a, w] = [normalTensor([12, 64], 11), normalTensor([64, 24], 12)]
    const row7 = bits({ data: a.data.slice(7 * 64, 8 * 64), shape: [64], dtype: 'float32' }).join()
    /** Two wrong elements of row 7, whenever it is computed, whose sum is right. */
    const lying: MatmulEngine = {
      ...engine,
      async matmul(x, weights, options) {
        const product = await engine.matmul(x, weights, options)
        const own = (row: number) => bits({ ...x, data: x.data.slice(row * 64, (row + 1) * 64) }).join() === row7
        for (let row = 0; row < (x.shape[0] ?? 0); row++)
          for (const [column, sign] of own(row)
            ? ([
                [3, 1],
                [4, -1],
              ] as const)
            : [])
            product.output.data[row * 24 + column]! += 16 * sign
        return product
      },
    }
    const kernels = createKernels({ engine: lying })
    const faults = [2, 3].map((row): Fault => ({
      site: { kind: 'output', row, column: 1 },
      effect: { kind: 'add', value: 90 },
    }))
    const { report } = await kernels.matmul(a, await kernels.prepare(w), { faults })
    expect(report.status).toBe('uncorrectable')
    expect(report.detections.map(({ region, outcome }) => [region, outcome])).toEqual([
      [{ kind: 'row', row: 2 }, 'corrected'],
      [{ kind: 'row', row: 3 }, 'corrected'],
      [{ kind: 'row', row: 7 }, 'uncorrectable'],
    ])
  })
})

describe('a product of a few columns on wasm', () => {
  const [m, n, k] = [50, 2, 300]
  const a = normalTensor([m, k], 1)
  const w = normalTensor([k, n], 2)

  it('has an exact replica: no threshold, no statistics, and every flipped bit is found and corrected', async () => {
    const kernels = await createKernels({ engine: wasm }).calibrated({ lengths: [64, 256], trials: 3 })
    const weights = await kernels.prepare(w)
    const clean = await kernels.matmul(a, weights, { scheme: 'replication' })
    expect(clean.report).toMatchObject({ status: 'clean', checks: Math.ceil(m / 6), threshold: { kind: 'exact' } })
    for (const bit of [0, 3, 11, 22, 27, 31]) {
      const fault: Fault = { site: { kind: 'output', row: 33, column: 1 }, effect: { kind: 'flip', bits: [bit] } }
      const { output, report } = await kernels.matmul(a, weights, { scheme: 'replication', faults: [fault] })
      expect(report.status).toBe('corrected')
      expect(report.detections[0]?.region).toEqual({ kind: 'tile', rows: [30, 36], columns: [0, 2] })
      expect(bits(output)).toEqual(bits(clean.output))
    }
  })

  it('judges other sums by their thresholds all the same', async () => {
    const kernels = await createKernels({ engine: wasm }).calibrated({ lengths: [64, 256], trials: 3 })
    const weights = await kernels.prepare(w)
    for (const [scheme, emit] of [
      ['row', { replica: true }],
      ['replication', { rowSums: true, columnSums: true, tileSums: 'two-sided' }],
    ] as const) {
      const { report } = await kernels.matmul(a, weights, { scheme, emit })
      expect(report.detections).toEqual([])
      expect(report.threshold.kind).toBe('v-abft')
      expect(report.threshold.smallestDetectable).toBe(2 * report.threshold.largest)
    }
  })
})
