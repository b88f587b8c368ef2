import { execFileSync } from 'node:child_process'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { isFtError, type WasmModule } from '@ft/core'
import { createWasmRuntime, decodeBase64, loadKernels, relaxedSimdSupported } from '../../src/wasm.ts'
import type { KernelBuilds, OwnedWasmRuntime } from '../../src/wasm.ts'
import { compileProbe } from '../support/probe.ts'

let probe: KernelBuilds
beforeAll(async () => {
  probe = await compileProbe()
})

function code(f: () => unknown): string | undefined {
  try {
    f()
  } catch (error) {
    return isFtError(error) ? error.code : 'other'
  }
  return undefined
}

describe.each([1, 2, 3])('runtime with %i threads', (threads) => {
  let runtime: OwnedWasmRuntime
  let module: WasmModule
  beforeAll(async () => {
    runtime = createWasmRuntime({ threads, relaxed: false })
    module = loadKernels(runtime, 'probe', probe)
    await runtime.ready()
  })
  afterAll(() => runtime.dispose())

  it('says what it is', () => {
    expect(runtime.threads).toBe(threads)
    expect(runtime.variant).toBe(threads > 1 ? 'simd-shared' : 'simd')
    expect(runtime.memory.buffer instanceof ArrayBuffer).toBe(threads === 1)
  })

  it('runs every task exactly once, however many there are', () => {
    const at = runtime.alloc(4 * 5000)
    const marks = (n: number): Int32Array => new Int32Array(runtime.memory.buffer, at, n)
    for (const n of [0, 1, 2, 3, 64, 5000]) {
      marks(5000).fill(0)
      runtime.fork(
        module,
        'mark',
        Array.from({ length: n }, (_, i) => [at + 4 * i, i + 1]),
      )
      expect(marks(5000).every((value, i) => value === (i < n ? i + 1 : 0))).toBe(true)
    }
    runtime.free(at)
  })

  it('runs thousands of forks in a row, each seeing its own arguments', () => {
    const at = runtime.alloc(8 * 4)
    for (let round = 0; round < 3000; round++) {
      runtime.fork(
        module,
        'store64',
        [0, 1, 2, 3].map((i) => [at + 8 * i, round * 10 + i]),
      )
      const seen = new Float64Array(runtime.memory.buffer, at, 4)
      expect([...seen]).toEqual([0, 1, 2, 3].map((i) => round * 10 + i))
    }
    runtime.free(at)
  })

  it('lets threads reach memory that was grown after they started', () => {
    const bytes = 48 * 1024 * 1024
    const at = runtime.alloc(bytes)
    const ends = Array.from({ length: 8 }, (_, i) => at + bytes - 64 * (i + 1))
    runtime.fork(
      module,
      'mark',
      ends.map((end) => [end, 7]),
    )
    runtime.fork(
      module,
      'spin',
      ends.map((end) => [end, 100_000]),
    )
    for (const end of ends) expect(new Int32Array(runtime.memory.buffer, end, 1)[0]).toBe(100_007)
    runtime.free(at)
  })

  it('runs as many tasks at the same time as it has threads', () => {
    const at = runtime.alloc(64)
    new Int32Array(runtime.memory.buffer, at, 16).fill(0)
    runtime.fork(
      module,
      'meet',
      Array.from({ length: threads }, (_, i) => [at, threads, at + 4 + 4 * i]),
    )
    expect([...new Int32Array(runtime.memory.buffer, at + 4, threads)]).toEqual(
      Array.from({ length: threads }, () => 1),
    )
    runtime.free(at)
  })

  it('turns a trap in any task into an error and goes on working', () => {
    const at = runtime.alloc(64)
    new Int32Array(runtime.memory.buffer, at, 1).fill(0)
    for (let i = 0; i < 20; i++) {
      expect(code(() => runtime.fork(module, 'fail', [[at], [at], [at], [at]]))).toBe('UNSUPPORTED')
      runtime.fork(module, 'mark', [
        [at, 1],
        [at, 1],
      ])
    }
    expect(new Int32Array(runtime.memory.buffer, at, 1)[0]).toBe(40)
    runtime.free(at)
  })

  it('loads a module once by name, and refuses other bytes under that name', async () => {
    expect(loadKernels(runtime, 'probe', probe)).toBe(module)
    const other = await compileProbe('export function other(): i32 { return 42 }')
    expect(code(() => loadKernels(runtime, 'probe', other))).toBe('INVALID_ARGUMENT')
    expect(loadKernels(runtime, 'other', other).exports.other?.()).toBe(42)
    expect(code(() => runtime.fork(module, 'other', [[]]))).toBe('INVALID_ARGUMENT')
  })

  it('refuses damaged modules and builds for the other kind of memory', () => {
    expect(code(() => runtime.load('bad', Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0, 9)))).toBe('INVALID_ARGUMENT')
    const wrong = probe[threads > 1 ? 'simd' : 'simd-shared']
    expect(code(() => runtime.load('wrong', decodeBase64(wrong)))).toBe('INVALID_ARGUMENT')
  })
})

describe('createWasmRuntime', () => {
  it('refuses options that make no sense', () => {
    for (const threads of [0, -1, 1.5, Number.NaN, 257])
      expect(code(() => createWasmRuntime({ threads }))).toBe('INVALID_ARGUMENT')
    for (const maximumBytes of [0, Number.NaN, 2 ** 33])
      expect(code(() => createWasmRuntime({ threads: 1, maximumBytes }))).toBe('INVALID_ARGUMENT')
    expect(code(() => decodeBase64('%%%'))).toBe('CORRUPT_DATA')
  })

  it('chooses relaxed SIMD where it compiles, and never against the wish', async () => {
    const auto = createWasmRuntime({ threads: 1 })
    expect(auto.relaxed).toBe(relaxedSimdSupported())
    expect(createWasmRuntime({ threads: 1, relaxed: false }).relaxed).toBe(false)
    if (!relaxedSimdSupported())
      expect(code(() => createWasmRuntime({ threads: 1, relaxed: true }))).toBe('ENGINE_UNAVAILABLE')
    await auto.dispose()
  })

  it('reports full memory and can be used afterwards', async () => {
    const runtime = createWasmRuntime({ threads: 2, maximumBytes: 64 * 65_536 })
    expect(code(() => runtime.alloc(65 * 65_536))).toBe('UNSUPPORTED')
    runtime.free(runtime.alloc(60 * 65_536))
    await runtime.dispose()
  })

  it('refuses work after dispose, and disposes twice without harm', async () => {
    const runtime = createWasmRuntime({ threads: 2 })
    await runtime.dispose()
    await runtime.dispose()
    expect(code(() => runtime.alloc(1))).toBe('INVALID_ARGUMENT')
    await expect(runtime.ready()).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  })

  it('never keeps a process alive, whether its threads are starting, asleep or forgotten', () => {
    const script = `
      import { createWasmRuntime } from './src/wasm.ts'
      createWasmRuntime({ threads: 3 })
      const awaited = createWasmRuntime({ threads: 3 })
      await awaited.ready()
      console.log('end')
    `
    const loader = new URL('../support/run-source.mjs', import.meta.url).pathname
    const out = execFileSync(process.execPath, [loader, script], { encoding: 'utf8', timeout: 20_000 })
    expect(out.trim()).toBe('end')
  })
})
