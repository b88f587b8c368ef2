// Misuse throws clear errors, and the engine goes on working afterwards.
import { setTimeout as wait } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterAll, describe, expect, it, vi } from 'vitest'
import { isFtError, type Fault, type MatmulEngine, type Tensor, type WasmRuntime } from '@ft/core'
import { createEngine, describeEngines } from '../../src/index.ts'
import { createReferenceEngine } from '../../src/reference.ts'
import { createWasmEngine, createWasmRuntime } from '../../src/wasm.ts'
import { floats, integers } from '../support/cases.ts'
import { sameBits } from '../support/compare.ts'

const wasm = createWasmEngine({ threads: 2, instrumented: true })
const engines = [createReferenceEngine({ instrumented: true }), wasm]
afterAll(() => wasm.dispose())

async function code(run: () => unknown): Promise<string | undefined> {
  try {
    await run()
  } catch (error) {
    return isFtError(error) ? error.code : String(error)
  }
  return undefined
}

const a = floats([4, 6], 1)
const b = floats([6, 5], 2)
const x = floats([1, 5, 5, 3], 3)
const filter = floats([3, 3, 3, 4], 4)
const nan = Number.NaN

/** Two tensors in one buffer, the second from element `at` on. */
function overlapping(first: readonly number[], second: readonly number[], at: number): [Tensor, Tensor] {
  const size = (shape: readonly number[]) => shape.reduce((x, y) => x * y, 1)
  const data = floats([at + size(first) + size(second)], 5).data as Float32Array
  const place = (shape: readonly number[], from: number): Tensor => {
    return { data: data.subarray(from, from + size(shape)), shape, dtype: 'float32' }
  }
  return [place(first, 0), place(second, at)]
}

/** Options of wrong types, as callers without a type checker pass them. */
const loose = (value: unknown): never => value as never

describe.each(engines)('$name', (engine) => {
  it.each<[string, string, () => unknown]>([
    ['inner sizes that differ', 'SHAPE_MISMATCH', () => engine.matmulSync(a, floats([5, 5], 1))],
    ['inner sizes that differ when transposed', 'SHAPE_MISMATCH', () => engine.matmulSync(a, b, { transposeA: true })],
    ['batches that differ', 'SHAPE_MISMATCH', () => engine.matmulSync(floats([2, 4, 6], 1), floats([3, 6, 5], 1))],
    ['a vector', 'SHAPE_MISMATCH', () => engine.matmulSync(floats([6], 1), b)],
    ['data shorter than the shape', 'SHAPE_MISMATCH', () => engine.matmulSync({ ...a, shape: [5, 6] }, b)],
    ['a shape with NaN', 'INVALID_ARGUMENT', () => engine.matmulSync({ ...a, shape: [nan, 6] }, b)],
    ['int8 where float32 belongs', 'INVALID_ARGUMENT', () => engine.matmulSync(integers([4, 6], 'int8', 1), b)],
    ['float32 where int8 belongs', 'INVALID_ARGUMENT', () => engine.matmulInt8Sync(a, integers([6, 5], 'int8', 1))],
    [
      'uint8 weights',
      'INVALID_ARGUMENT',
      () => engine.matmulInt8Sync(integers([4, 6], 'int8', 1), integers([6, 5], 'uint8', 1)),
    ],
    ['no tensor', 'INVALID_ARGUMENT', () => engine.matmulSync(loose(null), b)],
    ['no weights', 'INVALID_ARGUMENT', () => engine.matmulSync(a, loose(undefined))],
    ['a bias of another length', 'SHAPE_MISMATCH', () => engine.matmulSync(a, b, { bias: floats([4], 1) })],
    ['an output of another shape', 'SHAPE_MISMATCH', () => engine.matmulSync(a, b, { out: floats([5, 4], 1) })],
    ['an unknown activation', 'INVALID_ARGUMENT', () => engine.matmulSync(a, b, { activation: loose('tanh') })],
    [
      'GELU of integers',
      'UNSUPPORTED',
      () => engine.matmulInt8Sync(integers([4, 6], 'int8', 1), integers([6, 5], 'int8', 1), { activation: 'gelu' }),
    ],
    [
      'an unknown kind of tile sums',
      'INVALID_ARGUMENT',
      () => engine.matmulSync(a, b, { emit: { tileSums: loose('three-sided') } }),
    ],
    [
      'emit flags that are numbers',
      'INVALID_ARGUMENT',
      () => engine.matmulSync(a, b, { emit: { rowSums: loose(nan) } }),
    ],
    [
      'the next convolution after a matmul',
      'UNSUPPORTED',
      () =>
        engine.matmulSync(a, b, {
          emit: {
            nextChecksum: { kind: 'conv2d', kernel: [1, 1], stride: [1, 1], pad: [0, 0, 0, 0], dilation: [1, 1] },
          },
        }),
    ],
    ['channels that differ', 'SHAPE_MISMATCH', () => engine.conv2dSync(floats([1, 5, 5, 4], 1), filter)],
    ['a filter larger than the image', 'SHAPE_MISMATCH', () => engine.conv2dSync(floats([1, 2, 5, 3], 1), filter)],
    ['stride NaN', 'INVALID_ARGUMENT', () => engine.conv2dSync(x, filter, { stride: [nan, 1] })],
    ['stride 0', 'INVALID_ARGUMENT', () => engine.conv2dSync(x, filter, { stride: [0, 1] })],
    ['a fraction as pad', 'INVALID_ARGUMENT', () => engine.conv2dSync(x, filter, { pad: [0.5, 0, 0, 0] })],
    ['two pads', 'INVALID_ARGUMENT', () => engine.conv2dSync(x, filter, { pad: loose([1, 1]) })],
    ['negative dilation', 'INVALID_ARGUMENT', () => engine.conv2dSync(x, filter, { dilation: [1, -1] })],
    ['groups NaN', 'INVALID_ARGUMENT', () => engine.conv2dSync(x, filter, { groups: nan })],
    ['groups that do not share the channels', 'SHAPE_MISMATCH', () => engine.conv2dSync(x, filter, { groups: 3 })],
    ['an unknown format', 'INVALID_ARGUMENT', () => engine.conv2dSync(x, filter, { format: loose('HWNC') })],
    ['a transposed convolution', 'UNSUPPORTED', () => engine.conv2dSync(x, filter, { transposeB: true })],
    [
      'an output beyond all memory',
      'UNSUPPORTED',
      () => engine.matmulSync(floats([100_000, 1], 1), floats([1, 100_000], 2)),
    ],
    ['null as options', 'INVALID_ARGUMENT', () => engine.matmulSync(a, b, loose(null))],
    ['null as options of integers', 'INVALID_ARGUMENT', () => engine.matmulInt8Sync(a, b, loose(null))],
    ['null as options of a convolution', 'INVALID_ARGUMENT', () => engine.conv2dSync(x, filter, loose(null))],
    ['text as options of weights', 'INVALID_ARGUMENT', () => engine.prepareSync(b, loose('matmul'))],
    ['an unknown kind of weights', 'INVALID_ARGUMENT', () => engine.prepareSync(b, { kind: loose('dense') })],
    ['a matrix as filter', 'SHAPE_MISMATCH', () => engine.prepareSync(b, { kind: 'conv2d' })],
  ])('refuses %s', async (_name, expected, run) => {
    expect(await code(run)).toBe(expected)
    expect(engine.matmulSync(a, b).output.shape).toEqual([4, 5])
  })

  it('refuses an output that shares memory with what the product reads, to the byte', () => {
    const refused = (argument: string) => `\`options.out\` must not share memory with \`${argument}\``
    const [left, out] = overlapping([4, 6], [4, 5], 23)
    expect(() => engine.matmulSync(left, b, { out })).toThrow(`matmul: ${refused('a')}`)
    expect(() => engine.matmulSync(left, engine.prepareSync(b), { out })).toThrow(refused('a'))
    const [right, over] = overlapping([6, 5], [4, 5], 0)
    expect(() => engine.matmulSync(a, right, { out: over })).toThrow(refused('weights'))
    const [bias, wide] = overlapping([5], [4, 5], 4)
    expect(() => engine.matmulSync(a, b, { bias, out: wide })).toThrow(refused('options.bias'))
    const [image, pixels] = overlapping([1, 5, 5, 3], [1, 3, 3, 4], 74)
    expect(() => engine.conv2dSync(image, filter, { out: pixels })).toThrow(`conv2d: ${refused('x')}`)
    const [taps, other] = overlapping([3, 3, 3, 4], [1, 3, 3, 4], 9)
    expect(() => engine.conv2dSync(x, taps, { out: other })).toThrow(refused('filter'))
    const [near, next] = overlapping([4, 6], [4, 5], 24)
    const plain = engine.matmulSync({ ...near, data: near.data.slice() }, b)
    sameBits(engine.matmulSync(near, b, { out: next }).output, plain.output)
  })

  it('says what was expected, what was given and what to do', () => {
    expect(() => engine.matmulSync(a, floats([5, 5], 1))).toThrow(
      'matmul: `a` must have 5 columns, as `weights` say, got shape [4, 6]',
    )
  })

  it('refuses released weights, weights for something else and weights of another engine', async () => {
    const prepared = engine.prepareSync(b)
    expect(await code(() => engine.conv2dSync(x, prepared))).toBe('INVALID_ARGUMENT')
    const stranger = engine.name === 'wasm' ? createReferenceEngine().prepareSync(b) : wasm.prepareSync(b)
    expect(stranger.build).not.toBe(engine.build)
    expect(() => engine.matmulSync(a, stranger)).toThrow(`prepared by build '${stranger.build}'`)
    prepared.release()
    prepared.release()
    expect(() => engine.matmulSync(a, prepared)).toThrow('released')
    expect(() => prepared.rowSums).toThrow('released')
  })

  it('refuses prepared weights where the options ask for others than were prepared', () => {
    const [square, plain, turned] = [floats([6, 6], 2), { transposeB: false }, { transposeB: true }]
    const said = (prepared: boolean) => `prepared with \`transposeB\` ${prepared}`
    expect(() => engine.matmulSync(a, engine.prepareSync(square), turned)).toThrow(said(false))
    expect(() => engine.matmulSync(a, engine.prepareSync(square, turned), plain)).toThrow(said(true))
    const again = engine.matmulSync(a, engine.prepareSync(square, turned), turned).output
    sameBits(again, engine.matmulSync(a, square, turned).output)
    const int8 = engine.prepareSync(integers([6, 6], 'int8', 1), { kind: 'matmul-int8' })
    expect(() => engine.matmulInt8Sync(integers([4, 6], 'int8', 1), int8, turned)).toThrow(said(false))
    const grouped = engine.prepareSync(floats([3, 3, 2, 4], 1), { kind: 'conv2d', groups: 2 })
    const image = floats([1, 5, 5, 4], 3)
    expect(() => engine.conv2dSync(image, grouped, { groups: 1 })).toThrow('prepared with `groups` 2')
    sameBits(engine.conv2dSync(image, grouped, { groups: 2 }).output, engine.conv2dSync(image, grouped).output)
  })

  it.each<[string, Fault]>([
    ['a row that is not there', { site: { kind: 'operand', row: 4, step: 0 }, effect: { kind: 'set', value: 0 } }],
    ['a column NaN', { site: { kind: 'output', row: 0, column: nan }, effect: { kind: 'set', value: 0 } }],
    ['a bit beyond the value', { site: { kind: 'output', row: 0, column: 0 }, effect: { kind: 'flip', bits: [32] } }],
    [
      'a dropped term outside an accumulator',
      { site: { kind: 'output', row: 0, column: 0 }, effect: { kind: 'drop-term' } },
    ],
    [
      'a check sum that was not emitted',
      { site: { kind: 'checksum', side: 'actual', index: 0 }, effect: { kind: 'set', value: 0 } },
    ],
    ['an unknown site', { site: loose({ kind: 'cache' }), effect: { kind: 'set', value: 0 } }],
    ['an unknown effect', { site: { kind: 'output', row: 0, column: 0 }, effect: loose({ kind: 'melt' }) }],
  ])('refuses a fault with %s', async (_name, fault) => {
    expect(await code(() => engine.matmulSync(a, b, { faults: [fault] }))).toBe('INVALID_ARGUMENT')
    sameBits(engine.matmulSync(a, b).output, engine.matmulSync(a, b, { faults: [] }).output)
  })

  it('rejects, not throws, through the promise face', async () => {
    const promise: Promise<unknown> = (engine as MatmulEngine).matmul(a, floats([5, 5], 1))
    await expect(promise).rejects.toMatchObject({ code: 'SHAPE_MISMATCH' })
    expect((await engine.matmul(a, await engine.prepare(b))).output.shape).toEqual([4, 5])
    expect((await engine.conv2d(x, filter)).output.shape).toEqual([1, 3, 3, 4])
    expect((await engine.matmulInt8(integers([1, 2], 'int8', 1), integers([2, 1], 'int8', 2))).output.shape).toEqual([
      1, 1,
    ])
  })
})

describe('wasm', () => {
  it('reports full memory, keeps what it has and works on', async () => {
    const engine = createWasmEngine({ threads: 1, maximumBytes: 8 << 20 })
    const { used } = engine.runtime as unknown as { used: number }
    expect(await code(() => engine.prepareSync(floats([2000, 2000], 1)))).toBe('UNSUPPORTED')
    expect(await code(() => engine.matmulSync(floats([10, 2000], 1), floats([2000, 2000], 1)))).toBe('UNSUPPORTED')
    const kept: { release(): void }[] = []
    expect(
      await code(() => {
        for (;;) kept.push(engine.prepareSync(floats([300, 300], 1)))
      }),
    ).toBe('UNSUPPORTED')
    expect(kept.length).toBeGreaterThan(3)
    for (const weights of kept) weights.release()
    expect(engine.matmulSync(a, b).output.shape).toEqual([4, 5])
    expect((engine.runtime as unknown as { used: number }).used - used).toBeLessThan(4 << 20)
    await engine.dispose()
    expect(await code(() => engine.matmulSync(a, b))).toBe('INVALID_ARGUMENT')
    expect(await code(() => engine.prepareSync(b))).toBe('INVALID_ARGUMENT')
  })

  it('leaves a shared runtime as it found it', async () => {
    const runtime = createWasmRuntime({ threads: 2 })
    const first = createWasmEngine({ runtime })
    await first.dispose()
    const { used } = runtime
    const second = createWasmEngine({ runtime })
    const third = createWasmEngine({ runtime })
    const weights = second.prepareSync(floats([100, 100], 1))
    sameBits(
      second.matmulSync(floats([3, 100], 2), weights).output,
      third.matmulSync(floats([3, 100], 2), floats([100, 100], 1)).output,
    )
    await second.dispose()
    await second.dispose()
    await third.dispose()
    expect(runtime.used).toBe(used)
    await runtime.dispose()
  })

  it('refuses an output over an operand in its own memory, where both are used in place', () => {
    const address = wasm.runtime.alloc(4 * 24)
    const data = new Float32Array(wasm.runtime.memory.buffer, address, 24)
    data.set(a.data)
    const own = { ...a, data }
    const out: Tensor = { data: data.subarray(0, 20), shape: [4, 5], dtype: 'float32' }
    expect(() => wasm.matmulSync(own, b, { out })).toThrow('share memory')
    expect([...data]).toEqual([...a.data])
    wasm.runtime.free(address)
  })

  it('refuses it too where the memory is shared and grew between the two, and no other memory at the same place', async () => {
    const [runtime, another] = [createWasmRuntime({ threads: 2 }), createWasmRuntime({ threads: 2 })]
    const address = runtime.alloc(4 * 48)
    expect(another.alloc(4 * 48)).toBe(address)
    const view = ({ memory }: WasmRuntime, shape: readonly number[], at: number): Tensor => {
      const length = shape.reduce((x, y) => x * y, 1)
      return { data: new Float32Array(memory.buffer, address + 4 * at, length), shape, dtype: 'float32' }
    }
    const before = view(runtime, [4, 6], 0)
    ;(before.data as Float32Array).set(a.data)
    runtime.alloc(1 << 24)
    const engine = createWasmEngine({ runtime })
    for (const at of [0, 23]) {
      const out = view(runtime, [4, 5], at)
      expect(out.data.buffer).not.toBe(before.data.buffer)
      expect(() => engine.matmulSync(before, b, { out })).toThrow('share memory')
    }
    expect([...before.data]).toEqual([...a.data])
    const plain = engine.matmulSync(a, b).output
    for (const out of [view(runtime, [4, 5], 24), view(another, [4, 5], 0)])
      sameBits(engine.matmulSync(before, b, { out }).output, plain)
    expect([...before.data]).toEqual([...a.data])
    await runtime.dispose()
    await another.dispose()
  })

  it('lives on where a shared runtime was disposed first, also when forgotten weights are collected later', async () => {
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    const runtime = createWasmRuntime({ threads: 1 })
    const engine = createWasmEngine({ runtime })
    const kept = engine.prepareSync(b)
    const forget = (): WeakRef<object> => new WeakRef(engine.prepareSync(b))
    const gone = forget()
    await runtime.dispose()
    kept.release()
    // What is thrown in a finaliser no test can catch: it would end this process.
    for (let i = 0; i < 50 && gone.deref() !== undefined; i++) {
      await wait(5)
      collect()
    }
    expect(gone.deref()).toBeUndefined()
    await wait(20)
    await engine.dispose()
    expect(await code(() => engine.matmulSync(a, b))).toBe('INVALID_ARGUMENT')
  })

  it('refuses reproducible bits on relaxed SIMD', async () => {
    expect(await code(() => createWasmEngine({ reproducible: true, relaxed: true }))).toBe('INVALID_ARGUMENT')
    const engine = createWasmEngine({ reproducible: true, threads: 1 })
    expect(engine.build).toContain('simd')
    await engine.dispose()
  })
})

describe('options of engines', () => {
  it.each<[string, () => unknown, string]>([
    ['a misspelt name', () => createWasmEngine(loose({ thread: 1 })), 'no option "thread"; it has threads, relaxed'],
    ['relaxed as text', () => createWasmEngine(loose({ relaxed: 'no' })), '`options.relaxed` must be one of'],
    ['instrumented as text', () => createWasmEngine(loose({ instrumented: 'yes' })), 'must be true or false'],
    ['reproducible as a number', () => createWasmEngine(loose({ reproducible: 1 })), 'must be true or false'],
    ['a runtime that is none', () => createWasmEngine(loose({ runtime: {} })), 'what createWasmRuntime made'],
    ['threads as text', () => createWasmEngine(loose({ threads: '2' })), '`threads` must be 1 to'],
    ['null', () => createWasmEngine(loose(null)), 'must be an object'],
    ['a name the runtime has not', () => createWasmRuntime(loose({ instrumented: true })), 'no option "instrumented"'],
    ['a name of another engine', () => createReferenceEngine(loose({ threads: 1 })), 'no option "threads"'],
    ['a tile that is a number', () => createReferenceEngine(loose({ tile: 4 })), '`options.tile` must be'],
    ['a misspelt name, by name', () => createEngine('wasm', loose({ Threads: 1 })), 'no option "Threads"'],
    ['a misspelt name, chosen for', () => createEngine('auto', loose({ Threads: 1 })), 'no option "Threads"'],
  ])('refuses %s', async (_name, run, message) => {
    await expect((async () => run())()).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining(message) as string,
    })
  })
})

describe('createEngine', () => {
  it('gives the engines that are there and says why others are not', async () => {
    const described = await describeEngines()
    expect(described.map(({ name }) => name).sort()).toEqual(['gpujs', 'reference', 'wasm', 'webgpu'])
    for (const { name, available, detail } of described) {
      expect(detail.length).toBeGreaterThan(5)
      if (available) {
        const engine = name === 'reference' ? await createEngine(name) : await createEngine(name)
        expect(engine.name).toBe(name)
        await engine.dispose()
      } else expect(await code(() => createEngine(name))).toBe('ENGINE_UNAVAILABLE')
    }
    expect(await code(() => createEngine(loose('cuda')))).toBe('INVALID_ARGUMENT')
    const auto: MatmulEngine = await createEngine('auto', { threads: 1 })
    const same: Tensor = (await auto.matmul(a, b)).output
    expect(same.shape).toEqual([4, 5])
    await auto.dispose()
  })

  it("gives wasm for 'auto' where there is SIMD, else the reference engine, with what it knows of the options", async () => {
    const options = { threads: 1, instrumented: true }
    const first = await createEngine('auto', options)
    expect(first.name).toBe('wasm')
    await first.dispose()
    const validate = vi.spyOn(WebAssembly, 'validate').mockReturnValue(false)
    try {
      expect(await code(() => createEngine('wasm', options))).toBe('ENGINE_UNAVAILABLE')
      const second = await createEngine('auto', options)
      expect(second.name).toBe('reference')
      const faults: Fault[] = [{ site: { kind: 'output', row: 0, column: 0 }, effect: { kind: 'set', value: 7 } }]
      expect((await second.matmul(a, b, { faults })).output.data[0]).toBe(7)
      await second.dispose()
    } finally {
      validate.mockRestore()
    }
  })
})
