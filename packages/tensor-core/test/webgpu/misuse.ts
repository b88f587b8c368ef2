// Checks: misuse rejects with clear errors, and the engine goes on working; buffers neither leak nor pile up.
import { isFtError, type Emit, type Fault } from '@ft/core'
import { createReferenceEngine } from '../../src/reference.ts'
import { createWebgpuEngine, tunedTiles, tuneWebgpu } from '../../src/webgpu.ts'
import { Buffers, roomFor } from '../../src/webgpu/buffers.ts'
import { openDevice } from '../../src/webgpu/device.ts'
import { floats, integers } from '../support/cases.ts'
import { assert, codeOf, sameBits } from './compare.ts'
import { emits, engineOf, smallTile, type Check } from './suite.ts'

const [a, b] = [floats([4, 6], 1), floats([6, 5], 2)]
const [x, filter] = [floats([1, 5, 5, 3], 3), floats([3, 3, 3, 4], 4)]

/** 10,000 take five minutes on a software adapter: `npm run test:leaks`. */
const PRODUCTS = Number((globalThis as { process?: NodeJS.Process }).process?.env['FT_PRODUCTS'] ?? 2000)

/** Options of wrong types, as callers without a type checker pass them. */
const loose = (value: unknown): never => value as never

async function refuses(
  cases: readonly (readonly [name: string, code: string, run: () => Promise<unknown>])[],
): Promise<void> {
  const engine = await engineOf()
  for (const [name, code, run] of cases) {
    const got = await codeOf(run)
    assert(got === code, () => `${name}: ${got}, not ${code}`)
  }
  assert((await engine.matmul(a, b)).output.shape.join() === '4,5', () => 'the engine does not go on')
}

/**
 * Runs calls while the device has no memory for buffers of these bytes: they are invalid, of which only the error scope
 * around their making tells.
 */
async function withoutMemoryFor(bytes: number, calls: () => Promise<void>): Promise<void> {
  const { device } = await openDevice()
  const { createBuffer, pushErrorScope, popErrorScope } = device
  const scopes: { filter: GPUErrorFilter; full: boolean }[] = []
  const patched: Pick<GPUDevice, 'createBuffer' | 'pushErrorScope' | 'popErrorScope'> = {
    createBuffer: (o) => {
      if (o.size !== bytes) return createBuffer.call(device, o)
      const scope = scopes.findLast(({ filter }) => filter === 'out-of-memory')
      if (scope !== undefined) scope.full = true
      // A buffer without a use is invalid; that the device says so stays in a scope of its own.
      pushErrorScope.call(device, 'validation')
      const invalid = createBuffer.call(device, { size: bytes, usage: 0 })
      void popErrorScope.call(device)
      return invalid
    },
    pushErrorScope: (filter) => {
      scopes.push({ filter, full: false })
      return pushErrorScope.call(device, filter)
    },
    popErrorScope: async () => {
      const scope = scopes.pop()
      const error = await popErrorScope.call(device)
      return scope?.full === true ? { message: 'no memory' } : error
    },
  }
  Object.assign(device, patched)
  try {
    await calls()
  } finally {
    Object.assign(device, { createBuffer, pushErrorScope, popErrorScope })
  }
}

const checks: Check[] = [
  {
    name: 'operands and options that do not fit are refused, by name',
    async run() {
      const e = await engineOf()
      const int8 = integers([4, 6], 'int8', 1)
      await refuses([
        ['inner sizes', 'SHAPE_MISMATCH', () => e.matmul(a, floats([5, 5], 1))],
        ['inner sizes, transposed', 'SHAPE_MISMATCH', () => e.matmul(a, b, { transposeA: true })],
        ['batches', 'SHAPE_MISMATCH', () => e.matmul(floats([2, 4, 6], 1), floats([3, 6, 5], 1))],
        ['a vector', 'SHAPE_MISMATCH', () => e.matmul(floats([6], 1), b)],
        ['a shape with NaN', 'INVALID_ARGUMENT', () => e.matmul({ ...a, shape: [Number.NaN, 6] }, b)],
        ['int8 for float32', 'INVALID_ARGUMENT', () => e.matmul(int8, b)],
        ['float32 for int8', 'INVALID_ARGUMENT', () => e.matmulInt8(a, integers([6, 5], 'int8', 1))],
        ['no tensor', 'INVALID_ARGUMENT', () => e.matmul(loose(null), b)],
        ['no weights', 'INVALID_ARGUMENT', () => e.matmul(a, loose(undefined))],
        ['bias', 'SHAPE_MISMATCH', () => e.matmul(a, b, { bias: floats([4], 1) })],
        ['output', 'SHAPE_MISMATCH', () => e.matmul(a, b, { out: floats([5, 4], 1) })],
        ['activation', 'INVALID_ARGUMENT', () => e.matmul(a, b, { activation: loose('tanh') })],
        [
          'GELU of integers',
          'UNSUPPORTED',
          () => e.matmulInt8(int8, integers([6, 5], 'int8', 1), { activation: 'gelu' }),
        ],
        ['kind of tile sums', 'INVALID_ARGUMENT', () => e.matmul(a, b, { emit: { tileSums: loose('three-sided') } })],
        ['NaN as flag', 'INVALID_ARGUMENT', () => e.matmul(a, b, { emit: { rowSums: loose(Number.NaN) } })],
        ['output over A', 'INVALID_ARGUMENT', () => e.matmul(a, floats([6, 6], 1), { out: a })],
        ['channels', 'SHAPE_MISMATCH', () => e.conv2d(floats([1, 5, 5, 4], 1), filter)],
        ['stride 0', 'INVALID_ARGUMENT', () => e.conv2d(x, filter, { stride: [0, 1] })],
        ['groups NaN', 'INVALID_ARGUMENT', () => e.conv2d(x, filter, { groups: Number.NaN })],
        ['kind of weights', 'INVALID_ARGUMENT', () => e.prepare(b, { kind: loose('dense') })],
        ['null as options', 'INVALID_ARGUMENT', () => e.matmul(a, b, loose(null))],
        ['null as options of a convolution', 'INVALID_ARGUMENT', () => e.conv2d(x, filter, loose(null))],
        ['a misspelt option', 'INVALID_ARGUMENT', () => createWebgpuEngine(loose({ instrument: true }))],
        ['storage', 'INVALID_ARGUMENT', () => createWebgpuEngine({ storage: loose('bfloat16') })],
        ['a tile of 3 columns', 'INVALID_ARGUMENT', () => createWebgpuEngine({ tile: { ...smallTile, columns: 3 } })],
        ['a tile too large', 'INVALID_ARGUMENT', () => createWebgpuEngine({ tile: { ...smallTile, across: 128 } })],
      ])
    },
  },
  {
    name: 'weights that were released, are for something else, or of another engine, and faults outside the product',
    async run() {
      const e = await engineOf({ tile: smallTile, instrumented: true })
      const prepared = await e.prepare(b)
      const grouped = await e.prepare(floats([3, 3, 1, 3], 1), { kind: 'conv2d', groups: 3 })
      const strangers = [createReferenceEngine().prepareSync(b), await (await engineOf()).prepare(b)]
      const fault = (site: Fault['site'], effect: Fault['effect']) => () =>
        e.matmul(a, b, { faults: [{ site, effect }] })
      const set = { kind: 'set', value: 0 } as const
      await refuses([
        ['for a convolution', 'INVALID_ARGUMENT', () => e.conv2d(x, prepared)],
        ['transposed only now', 'INVALID_ARGUMENT', () => e.matmul(a, prepared, { transposeB: true })],
        ['other groups', 'INVALID_ARGUMENT', () => e.conv2d(x, grouped, { groups: 1 })],
        ...strangers.map((w) => [`of ${w.build}`, 'INVALID_ARGUMENT', () => e.matmul(a, w)] as const),
        ['row', 'INVALID_ARGUMENT', fault({ kind: 'operand', row: 4, step: 0 }, set)],
        ['column', 'INVALID_ARGUMENT', fault({ kind: 'output', row: 0, column: Number.NaN }, set)],
        ['bit', 'INVALID_ARGUMENT', fault({ kind: 'output', row: 0, column: 0 }, { kind: 'flip', bits: [32] })],
        ['check sum', 'INVALID_ARGUMENT', fault({ kind: 'checksum', side: 'actual', index: 0 }, set)],
      ])
      prepared.release()
      prepared.release()
      assert((await codeOf(() => e.matmul(a, prepared))) === 'INVALID_ARGUMENT', () => 'released weights are taken')
    },
  },
  {
    name: `after ${PRODUCTS} products of changing shapes there are as many buffers as after the first hundred`,
    async run() {
      const engine = await createWebgpuEngine({ tile: smallTile })
      const operands = [1, 7, 16, 33].map((m) => [floats([m, 20], m), floats([20, 2 * m], m + 1)] as const)
      const int8 = [integers([9, 20], 'int8', 1), integers([20, 5], 'int8', 2)] as const
      const wanted: (Emit | undefined)[] = [undefined, emits.all, emits.rows]
      const round = async (i: number): Promise<void> => {
        const [left, right] = operands[i % 4] as (typeof operands)[number]
        const emit = wanted[(i >> 2) % 3]
        const o = emit === undefined ? {} : { emit }
        if (i % 5 === 0) await engine.matmulInt8(...int8)
        else if (i % 5 === 1) await engine.conv2d(x, filter)
        else if (i % 5 === 2) {
          const weights = await engine.prepare(right)
          await engine.matmul(left, weights, o)
          weights.release()
        } else if (i % 50 === 3) await codeOf(() => engine.matmul(left, left))
        else await engine.matmul(left, right, o)
      }
      for (let i = 0; i < 120; i++) await round(i)
      const { live, bytes } = engine.buffers
      for (let i = 120; i < PRODUCTS; i++) await round(i)
      assert(engine.buffers.live === live, () => `${engine.buffers.live} buffers, ${live} before`)
      assert(engine.buffers.bytes === bytes, () => `${engine.buffers.bytes} bytes, ${bytes} before`)
      await engine.dispose()
      assert(engine.buffers.live === 0 && engine.buffers.bytes === 0, () => 'buffers outlive the engine')
    },
  },
  {
    name: 'disposing waits for products under way, and refuses those after it',
    async run() {
      const engine = await createWebgpuEngine({ tile: smallTile })
      const weights = await engine.prepare(b)
      const clean = (await engine.matmul(a, b)).output
      const last = engine.matmul(a, weights)
      await engine.dispose()
      sameBits((await last).output, clean)
      assert((await codeOf(() => engine.matmul(a, b))) === 'INVALID_ARGUMENT', () => 'a disposed engine computes')
      assert((await codeOf(() => engine.prepare(b))) === 'INVALID_ARGUMENT', () => 'a disposed engine prepares')
      await engine.dispose()
    },
  },
  {
    name: 'more than a buffer holds is refused before anything is allocated',
    async run() {
      const { device } = await openDevice()
      const buffers = new Buffers(device)
      const bytes = device.limits.maxStorageBufferBindingSize + 1
      const storage = 0x80
      const got = await codeOf(async () => buffers.take(bytes, storage, { where: 'matmul', what: 'the operands' }))
      assert(got === 'UNSUPPORTED' && buffers.use.live === 0, () => `${got}, ${buffers.use.live} buffers`)
    },
  },
  {
    name: 'weights that the device has no memory for are refused as such, and leave nothing for the next product',
    async run() {
      const engine = await createWebgpuEngine({ tile: smallTile })
      const [left, right] = [floats([4, 60], 1), floats([60, 50], 2)]
      const clean = (await (await engineOf()).matmul(left, right)).output
      const { live } = engine.buffers
      await withoutMemoryFor(roomFor(60 * 50 * 4), async () => {
        for (const run of [
          () => engine.matmul(left, right),
          () => engine.prepare(right),
          () => engine.conv2d(floats([1, 5, 5, 60], 1), { ...right, shape: [1, 1, 60, 50] }),
        ]) {
          const error: unknown = await run().catch((reason: unknown) => reason)
          assert(isFtError(error, 'UNSUPPORTED') && error.message.includes('memory'), () => String(error))
        }
      })
      assert(engine.buffers.live === live, () => `${engine.buffers.live} buffers, ${live} before`)
      sameBits((await engine.matmul(left, right)).output, clean)
      await engine.dispose()
    },
  },
  {
    name: 'a measured tile is the tile of large products from then on',
    async run() {
      const candidates = [smallTile, { rows: 4, columns: 4, across: 8, down: 4, depth: 4 }]
      const seen: number[] = []
      const tuning = await tuneWebgpu({ candidates, size: 20, rounds: 1, onProgress: ({ done }) => seen.push(done) })
      assert(seen.join() === '1,2,3,4', () => seen.join())
      const [first, second] = tuning.measured
      assert(first?.tile === tuning.chosen && candidates.includes(tuning.chosen), () => JSON.stringify(tuning))
      assert((first?.nanoseconds ?? 0) <= (second?.nanoseconds ?? 0), () => JSON.stringify(tuning))
      const kept = tunedTiles()[`${tuning.adapter}, float32`]
      assert(JSON.stringify(kept) === JSON.stringify(tuning.chosen), () => JSON.stringify(tunedTiles()))
      const engine = await createWebgpuEngine()
      const [column, row] = [floats([130, 3], 1), floats([3, 130], 2)]
      sameBits((await engine.matmul(column, row)).output, (await (await engineOf()).matmul(column, row)).output)
      await engine.dispose()
      const code = await codeOf(() => tuneWebgpu({ candidates, signal: AbortSignal.abort() }))
      assert(code === 'ABORTED', () => code)
      const wrong = await codeOf(() => tuneWebgpu({ candidates: [{ ...smallTile, depth: 3 }] }))
      assert(wrong === 'INVALID_ARGUMENT', () => wrong)
    },
  },
  {
    name: 'tiles saved by another process are those of large products, and of their own adapter and storage alone',
    async run() {
      const { name } = await openDevice()
      const tile = { rows: 4, columns: 8, across: 8, down: 16, depth: 8 }
      const [column, row] = [floats([130, 3], 1), floats([3, 130], 2)]
      const tileUsed = async (tuned: object): Promise<string> => {
        const engine = await createWebgpuEngine({ tuned: JSON.parse(JSON.stringify(tuned)) })
        const { output, replica } = await engine.matmul(column, row, { emit: { replica: true } })
        sameBits(output, (await (await engineOf()).matmul(column, row)).output)
        await engine.dispose()
        return `${replica?.tileRows}x${replica?.tileColumns}`
      }
      const own = await tileUsed({})
      const saved = await tileUsed({ [`${name}, float32`]: tile })
      assert(saved === '4x8' && own !== saved, () => `${saved} and ${own}`)
      const others = { [`another ${name}, float32`]: tile, [`${name}, float16`]: tile, [name]: tile }
      const foreign = await tileUsed(others)
      assert(foreign === own, () => foreign)
      // What is measured or given later does not reach into an engine's saved tiles.
      const measured = JSON.stringify(tunedTiles())
      Object.assign(tunedTiles()[`${name}, float32`] ?? {}, { rows: 3 })
      assert(JSON.stringify(tunedTiles()) === measured, () => measured)
      const bad = { [`${name}, float32`]: { ...tile, depth: 3 } }
      for (const tuned of [bad, 1, null, { [`${name}, float32`]: null }]) {
        const code = await codeOf(() => createWebgpuEngine({ tuned: loose(tuned) }))
        assert(code === 'INVALID_ARGUMENT', () => `${JSON.stringify(tuned)}: ${code}`)
      }
    },
  },
  {
    // The last check: it takes the device from every engine of the suite.
    name: 'a lost device is a clear error, now and later, and another engine gets another device',
    async run() {
      const engine = await engineOf()
      const weights = await engine.prepare(b)
      const clean = (await engine.matmul(a, b)).output
      const { device } = await openDevice()
      const under = engine.matmul(a, weights)
      device.destroy()
      const errors: unknown[] = []
      for (const run of [
        () => under,
        () => engine.matmul(a, b),
        () => engine.prepare(b),
        () => engine.matmul(a, weights),
      ])
        await run().then(
          () => errors.push(undefined),
          (error: unknown) => errors.push(error),
        )
      // The product under way may have been done; those after it are refused.
      for (const [i, error] of errors.entries())
        assert(
          isFtError(error, 'ENGINE_UNAVAILABLE') || (i === 0 && error === undefined),
          () => `${i}: ${String(error)}`,
        )
      assert(String(errors[1]).includes('lost'), () => String(errors[1]))
      weights.release()
      await engine.dispose()
      const another = await createWebgpuEngine({ tile: smallTile })
      sameBits((await another.matmul(a, b)).output, clean)
      await another.dispose()
    },
  },
]

export default checks
