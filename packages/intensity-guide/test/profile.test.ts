import { mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isFtError, type LinearLayer, type ProtectionScheme } from '@ft/core'
import {
  choosePerLayer,
  deviceFrom,
  findDevice,
  measureDevice,
  measuredTotals,
  measurementsOf,
  overheadOf,
  parseProfile,
  planNetwork,
  predict,
  profileLayers,
  profileNetwork,
  saveProfile,
  shapeKey,
  zoo,
  type Profile,
} from '../src/index.ts'
import { fileCache, machineName } from '../src/cli/files.ts'
import { nonNegativeLeastSquares } from '../src/leastSquares.ts'
import { damaged } from './support/damage.ts'
import { fakeRunner, overheads } from './support/fakeRunner.ts'
import { tensorCoreRunner } from './support/tensorCoreRunner.ts'

const dense = (id: string, m: number, n: number, k: number, next?: string): LinearLayer => ({
  id,
  m,
  n,
  k,
  count: 1,
  dtype: 'float32',
  op: { kind: 'matmul', batch: 1 },
  ...(next ? { next } : {}),
})
const layers = [dense('a', 64, 64, 64), dense('b', 64, 64, 64), dense('c', 32, 128, 64), dense('d', 64, 64, 64)]

async function codeOf(body: () => Promise<unknown>): Promise<[string, string]> {
  try {
    await body()
  } catch (error) {
    if (isFtError(error)) return [error.code, error.message]
    throw error
  }
  return ['none', '']
}

describe('profileLayers', () => {
  it('draws where operands lie as it draws rounds, so that no placement passes for an overhead', async () => {
    const runner = fakeRunner({ noise: 0.002, placement: 0.02 })
    const profile = await profileLayers(layers, { runner, seed: 3, rounds: 960, shortestMs: 0, now: runner.now })
    expect(runner.held()).toBe(0)
    for (const shape of profile.shapes) {
      for (const [scheme, truth] of [...Object.entries(overheads), ['control', 0] as const]) {
        if (scheme === 'none') continue
        const { value } = overheadOf(shape, { arm: scheme as ProtectionScheme })
        // A ratio of two placements varies by 2.8 %, the median over 40 of them by 0.56 %: four times that. One placement
        // for all rounds would be off by more somewhere among sixteen ratios.
        expect(Math.abs((1 + value) / (1 + truth) - 1)).toBeLessThan(0.0224)
      }
    }
  })

  it('finds the overheads through a machine that is half as fast again at times', async () => {
    const runner = fakeRunner({ noise: 0.02, drift: 0.5 })
    const profile = await profileLayers(layers, { runner, seed: 1, rounds: 60, shortestMs: 0, now: runner.now })
    for (const shape of profile.shapes) {
      for (const [scheme, truth] of Object.entries(overheads)) {
        if (scheme === 'none') continue
        const { value, low, high } = overheadOf(shape, { arm: scheme as ProtectionScheme })
        // A ratio of two samples with 2 % noise each has 2.8 %, its median over 60 rounds 0.46 %: four times that, and
        // what the drift changes between two neighbouring samples
        expect(Math.abs(value - truth)).toBeLessThan(0.02 * (1 + truth) + 0.01)
        expect(low).toBeLessThanOrEqual(value)
        expect(high).toBeGreaterThanOrEqual(value)
      }
      // The same bound for the unprotected product against itself
      expect(Math.abs(overheadOf(shape, { arm: 'control' }).value)).toBeLessThan(0.03)
    }
  })

  it('measures each distinct shape once and releases all it prepared', async () => {
    const runner = fakeRunner()
    const seen: string[] = []
    const onProgress = ({ done, total }: { done: number; total: number }) => void seen.push(`${done}/${total}`)
    const profile = await profileLayers(layers, { runner, seed: 1, rounds: 6, now: runner.now, onProgress })
    expect(profile.shapes.map((shape) => shape.layer.id)).toEqual(['a', 'c'])
    expect(runner.log.filter((line) => line.startsWith('prepare'))).toHaveLength(2 * 9)
    expect(runner.held()).toBe(0)
    expect(seen).toEqual(['0/2', '1/2', '2/2'])
  })

  it('runs every arm once a round, in an order that changes', async () => {
    const runner = fakeRunner()
    await profileLayers([dense('a', 64, 64, 64)], {
      runner,
      seed: 3,
      rounds: 12,
      warmUp: 1,
      shortestMs: 0,
      now: runner.now,
    })
    const runs = runner.log.filter((line) => line.startsWith('run')).slice(2 * 9) // after warm-up and the first timing
    expect(runs).toHaveLength(9 * 12)
    const rounds = Array.from({ length: 12 }, (_, i) => runs.slice(9 * i, 9 * i + 9))
    for (const round of rounds) expect([...round].sort()).toEqual([...(rounds[0] ?? [])].sort())
    expect(new Set(rounds.map((round) => round.join())).size).toBeGreaterThan(10)
  })

  it('knows which layers get their checksum from the layer before', async () => {
    const chain = [dense('a', 32, 32, 32, 'b'), dense('b', 32, 32, 32)]
    const runner = fakeRunner()
    const profile = await profileLayers(chain, { runner, seed: 1, rounds: 6, now: runner.now, schemes: ['global'] })
    expect(profile.shapes).toHaveLength(2)
    expect(runner.log).toContain('prepare b global chained')
    expect(runner.log).toContain('prepare a global')
  })

  it('holds no more operands than memory allows, and keeps the ratios', async () => {
    const runner = fakeRunner({ drift: 0.3 })
    const layer = dense('big', 256, 256, 256)
    // An arm holds 4 (2 x 256^2 + 256^2 + 256^2) bytes: 1 MiB
    const profile = await profileLayers([layer], {
      runner,
      seed: 1,
      rounds: 6,
      now: runner.now,
      memory: 3 * 2 ** 20,
    })
    expect(runner.mostHeld()).toBe(3)
    const [shape] = profile.shapes
    if (!shape) throw new Error('no shape')
    // The drift moves the load by at most 0.3 x (34 ms x arms of a round / 300) within a round
    expect(overheadOf(shape, { arm: 'replication' }).value).toBeGreaterThan(0.8)
    expect(overheadOf(shape, { arm: 'replication' }).value).toBeLessThan(1.2)
  })

  it('resumes: a shape in the cache is not measured again, unless damaged or of another build', async () => {
    const store = new Map<string, string>()
    const cache = {
      get: (name: string) => Promise.resolve(store.get(name)),
      set: (name: string, text: string) => Promise.resolve(void store.set(name, text)),
    }
    const abort = new AbortController()
    const first = fakeRunner()
    const options = { seed: 1, rounds: 6, cache }
    const stopped = await codeOf(() =>
      profileLayers(layers, {
        ...options,
        runner: first,
        now: first.now,
        signal: abort.signal,
        onProgress: ({ done }) => void (done === 1 && abort.abort()),
      }),
    )
    expect(stopped[0]).toBe('ABORTED')
    expect(first.held()).toBe(0)

    const again = fakeRunner()
    const profile = await profileLayers(layers, { ...options, runner: again, now: again.now })
    expect(profile.shapes).toHaveLength(2)
    expect(again.log.some((line) => line.includes('prepare a'))).toBe(false)
    expect(again.log.some((line) => line.includes('prepare c'))).toBe(true)

    const other = fakeRunner({ build: 'other' })
    await profileLayers(layers, { ...options, runner: other, now: other.now })
    expect(other.log.some((line) => line.includes('prepare a'))).toBe(true)

    for (const [name, text] of store) store.set(name, text.slice(0, text.length / 2))
    const damaged = fakeRunner()
    await profileLayers(layers, { ...options, runner: damaged, now: damaged.now })
    expect(damaged.log.some((line) => line.includes('prepare a'))).toBe(true)
  })

  it('files of measurements belong to a machine, whatever the runner calls it', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'ft-guide-cache-'))
    try {
      const measured = async (machine?: string) => {
        const runner = fakeRunner()
        const cache = fileCache(folder, machine === undefined ? {} : { machine })
        await profileLayers(layers, { runner, seed: 1, rounds: 6, now: runner.now, cache })
        return runner.log.some((line) => line.startsWith('prepare'))
      }
      expect([await measured('a, 8 threads'), await measured('a, 8 threads')]).toEqual([true, false])
      expect([await measured('a, 16 threads'), await measured('b, 8 threads'), await measured()]).toEqual([
        true,
        true,
        true,
      ])
      expect(await measured(machineName())).toBe(false)
      expect(machineName()).toContain(`${availableParallelism()} threads`)
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })

  it('refuses what gives no interval', async () => {
    const runner = fakeRunner()
    expect(await codeOf(() => profileLayers(layers, { runner, seed: 1, rounds: 5 }))).toEqual([
      'INVALID_ARGUMENT',
      'profileLayers: `rounds` must be an integer of at least 6, got 5',
    ])
  })
})

describe('profileNetwork', () => {
  it('runs the layers in their order, every arm of each once a round, beside other arms each time', async () => {
    const runner = fakeRunner()
    const network = [dense('a', 16, 16, 16), { ...dense('b', 32, 16, 16), count: 3 }]
    await profileNetwork(network, { runner, seed: 2, rounds: 12, warmUp: 1, shortestMs: 0, now: runner.now })
    const runs = runner.log.filter((line) => line.startsWith('run'))
    const twice = Array.from({ length: runs.length / 4 }, (_, i) => runs.slice(4 * i, 4 * i + 4))
    expect(twice).toHaveLength(2 * 9 * 13)
    // Once untimed, once timed
    for (let i = 0; i < twice.length; i += 2) expect(twice[i]).toEqual(twice[i + 1])
    const passes = twice.filter((_, i) => i % 2 === 0)
    for (const [first, ...rest] of passes) {
      expect(first).toMatch(/^run a /)
      expect(new Set(rest).size).toBe(1)
      expect(rest[0]).toMatch(/^run b /)
    }
    for (let round = 0; round < 13; round++) {
      const own = passes.slice(9 * round, 9 * round + 9)
      // 'none' and the control are the same call
      for (const at of [0, 1]) expect(new Set(own.map((pass) => pass[at])).size).toBe(8)
    }
    expect(new Set(passes.map((pass) => pass.join())).size).toBeGreaterThan(40)
    expect(runner.held()).toBe(0)
  })

  it('finds the overheads of every shape, and totals resample whole rounds', async () => {
    const runner = fakeRunner({ noise: 0.02, drift: 0.5 })
    const profile = await profileNetwork(layers, { runner, seed: 1, rounds: 60, now: runner.now })
    expect(profile.order).toBe('network')
    expect(profile.shapes.map((shape) => shape.layer.id)).toEqual(['a', 'c'])
    expect(parseProfile(saveProfile(profile))).toEqual(profile)
    for (const shape of profile.shapes) {
      for (const [scheme, truth] of Object.entries(overheads)) {
        if (scheme === 'none') continue
        const { value, n } = overheadOf(shape, { arm: scheme as ProtectionScheme })
        expect(n).toBe(60)
        // As above; passes of a round lie further apart, so that drift moves single ratios by a few percent both ways
        expect(Math.abs(value - truth)).toBeLessThan(0.03 * (1 + truth))
      }
    }
    const { overhead, baseMs } = measuredTotals(profile, { layers, seed: 2, choices: { global: () => 'global' } })
    expect(overhead['global']?.low).toBeLessThan(overheads.global + 0.02)
    expect(overhead['global']?.high).toBeGreaterThan(overheads.global - 0.02)
    // 4 layers of 64^3 multiply-adds at 2e-6 ms, on a machine that is up to half as fast again or slower
    expect(baseMs).toBeGreaterThan(0.5 * 4 * 64 ** 3 * 2e-6)
    expect(baseMs).toBeLessThan(1.5 * 4 * 64 ** 3 * 2e-6)
  })

  it('is exact without noise, in groups of arms too', async () => {
    for (const memory of [2 ** 30, 1]) {
      const runner = fakeRunner()
      const schemes: ProtectionScheme[] = ['global', 'row', 'replication']
      const profile = await profileNetwork(layers, {
        runner,
        seed: 1,
        rounds: 6,
        now: runner.now,
        memory,
        schemes,
      })
      expect(runner.mostHeld()).toBe(layers.length * (memory === 1 ? 2 : 5))
      for (const shape of profile.shapes)
        for (const scheme of schemes) expect(overheadOf(shape, { arm: scheme }).value).toBeCloseTo(overheads[scheme], 9)
    }
  })

  it('sees what a neighbour leaves behind, which layers alone do not show', async () => {
    // Layer b finds its input in the cache when it ran before, and pays a third more when another layer did.
    const clock = { now: 0, last: '' }
    const runner = {
      device: 'a clock',
      build: 'cache',
      schemes: (): ProtectionScheme[] => ['none', 'row'],
      smallestDetectable: () => 1,
      prepare: ({ id }: LinearLayer, scheme: ProtectionScheme) =>
        Promise.resolve({
          run: () => {
            clock.now += (clock.last === id ? 3 : 4) * (scheme === 'row' ? 1.1 : 1)
            clock.last = id
            return Promise.resolve()
          },
          release: () => undefined,
        }),
    }
    const options = { runner, seed: 1, rounds: 6, now: () => clock.now }
    const pair = [dense('a', 8, 8, 8), dense('b', 16, 8, 8)]
    const [alone, together] = [
      await profileLayers(pair, { ...options, shortestMs: 0 }),
      await profileNetwork(pair, options),
    ]
    const base = (profile: Profile) => measuredTotals(profile, { layers: pair, seed: 1, choices: {} }).baseMs
    expect([base(alone), base(together)]).toEqual([6, 8])
  })

  it('refuses no layers and too few rounds, and stops at its signal', async () => {
    const runner = fakeRunner()
    const codes = await Promise.all([
      codeOf(() => profileNetwork([], { runner, seed: 1 })),
      codeOf(() => profileNetwork(layers, { runner, seed: 1, rounds: 5 })),
      codeOf(() => profileNetwork(layers, { runner, seed: 1, signal: AbortSignal.abort() })),
    ])
    expect(codes.map(([code]) => code)).toEqual(['INVALID_ARGUMENT', 'INVALID_ARGUMENT', 'ABORTED'])
    expect(runner.held()).toBe(0)
  })
})

describe('measured plans', () => {
  /** Below 2^18 multiply-adds the thread-level check is the cheapest, above it the global one. */
  const overhead = ({ m, n, k }: LinearLayer, scheme: ProtectionScheme) =>
    scheme === 'thread-one-sided'
      ? m * n * k < 2 ** 18
        ? 0.01
        : 0.2
      : scheme === 'global'
        ? 0.05
        : overheads[scheme] + 0.1
  const network = [dense('thin', 16, 64, 64), dense('fat', 128, 64, 64), dense('fat2', 128, 64, 64)]
  const measure = async (noise = 0) => {
    const runner = fakeRunner({ noise, overhead: (layer, scheme) => (scheme === 'none' ? 0 : overhead(layer, scheme)) })
    const profile = await profileLayers(network, { runner, seed: 5, rounds: 24, shortestMs: 0, now: runner.now })
    return { runner, profile }
  }

  it('choose on one half of the rounds and score on the other', async () => {
    const { profile } = await measure(0.01)
    const measurements = measurementsOf(profile, { layers: network, rounds: 'even' })
    const chosen = choosePerLayer(network, { device: findDevice('cpu-avx2'), measurements })
    expect(chosen.map((layer) => layer.scheme)).toEqual(['thread-one-sided', 'global', 'global'])
    const scheme = new Map(chosen.map((layer) => [layer.id, layer.scheme]))
    const totals = measuredTotals(profile, {
      layers: network,
      rounds: 'odd',
      seed: 2,
      choices: {
        guided: ({ id }) => scheme.get(id) ?? 'none',
        global: () => 'global',
        thread: () => 'thread-one-sided',
        control: () => 'control',
      },
    })
    // 1 of 17 parts of the work is thin: 0.01 / 17 + 0.05 x 16 / 17
    expect(totals.overhead['guided']?.value).toBeCloseTo(0.0477, 1.5)
    expect(totals.overhead['thread']?.value).toBeCloseTo(0.1888, 1.5)
    expect(totals.difference('guided', 'thread').high).toBeLessThan(0)
    expect(totals.overhead['control']?.low).toBeLessThan(0)
    expect(totals.overhead['control']?.high).toBeGreaterThan(0)
    // 2 x 16 x 64 x 64 and 4 x 128 x 64 x 64 multiply-adds at 2e-6 ms
    expect(totals.baseMs).toBeCloseTo(2e-6 * 64 * 64 * (16 + 256), 1)
  })

  it('exact without noise: totals are those of the formula', async () => {
    const { profile } = await measure()
    const totals = measuredTotals(profile, { layers: network, seed: 2, choices: { global: () => 'global' } })
    // Sums of the clock's float64 additions: 1e-9 is a million roundings
    expect(totals.overhead['global']?.value).toBeCloseTo(0.05, 9)
    expect(totals.overhead['global']?.high).toBeCloseTo(0.05, 9)
  })

  it('schemes that the engine lacks at a layer are not chosen there', () => {
    const schemes = ({ id }: LinearLayer): ProtectionScheme[] => (id === 'thin' ? ['row'] : ['global', 'row'])
    const device = findDevice('cpu-avx2')
    expect(choosePerLayer(network, { device, schemes, rule: 'cost' })[0]?.scheme).toBe('row')
    expect(() => choosePerLayer(network, { device, schemes: () => [] })).toThrow(/no scheme/)
  })
})

describe('profiles as files', () => {
  const profile: Profile = {
    schema: 'ft.profile',
    version: 1,
    device: 'd',
    build: 'b',
    shapes: [{ key: shapeKey(dense('a', 8, 8, 8)), layer: dense('a', 8, 8, 8), times: { none: [1, 2], row: [2, 3] } }],
  }

  it('survive a round trip and are refused for another device or build', async () => {
    expect(parseProfile(saveProfile(profile), { device: 'd', build: 'b' })).toEqual(profile)
    for (const other of [{ device: 'e' }, { build: 'c' }]) {
      const [code] = await codeOf(() => Promise.resolve().then(() => parseProfile(saveProfile(profile), other)))
      expect(code).toBe('FINGERPRINT_MISMATCH')
    }
  })

  it('every field is checked: without it, or with another value, a profile is refused or serves', () => {
    const conv = zoo('coral').layers.find(({ op }) => op.kind === 'conv2d') as LinearLayer
    const shapes = [...profile.shapes, { key: shapeKey(conv), layer: conv, times: { none: [1, 2] } }]
    let refused = 0
    for (const { where, text } of damaged({ ...profile, shapes })) {
      try {
        for (const { layer, times } of parseProfile(text).shapes) {
          // A name of something inherited, or none, would show as undefined
          expect(shapeKey(layer), where).not.toMatch(/undefined|NaN|null/)
          expect(predict(layer, 'global', { device: findDevice('t4') }).overhead, where).toBeGreaterThan(0)
          for (const samples of Object.values(times)) expect(samples, where).toHaveLength(times.none?.length ?? 0)
        }
      } catch (error) {
        if (!isFtError(error)) throw error
        refused++
      }
    }
    expect(refused).toBeGreaterThan(100)
  })

  it('any change of a byte is refused or leaves a sound profile', () => {
    const text = saveProfile(profile)
    fc.assert(
      fc.property(fc.nat(text.length - 1), fc.integer({ min: 32, max: 126 }), (at, code) => {
        const changed = text.slice(0, at) + String.fromCharCode(code) + text.slice(at + 1)
        try {
          for (const shape of parseProfile(changed).shapes) {
            const { value } = overheadOf(
              { ...shape, times: { none: Array(6).fill(1), row: Array(6).fill(2) } },
              { arm: 'row' },
            )
            expect(value).toBe(1)
            for (const samples of Object.values(shape.times))
              for (const time of samples) expect(time).toBeGreaterThan(0)
          }
        } catch (error) {
          expect(isFtError(error)).toBe(true)
        }
      }),
    )
  })
})

describe('measureDevice', () => {
  it('recovers a device from its times', async () => {
    // 2e-6 ms a multiply-add is 1 GFLOP/s at every shape; every scheme adds a share of that
    const runner = fakeRunner()
    const device = await measureDevice({ runner, seed: 1, now: runner.now })
    expect(device.peak.float32).toBeCloseTo(1e9, -4)
    expect(device.measured.build).toBe('fake')
    const layer = dense('x', 100, 200, 300)
    for (const scheme of ['row', 'replication'] as const) {
      // A fit of a formula that is among its features: exact but for coordinate descent's 1e-13 and clock roundings
      expect(predict(layer, scheme, { device }).overhead).toBeCloseTo(overheads[scheme], 2)
    }
  })

  it('measures a real engine', async () => {
    const runner = tensorCoreRunner()
    const device = await measureDevice({ runner, seed: 1, rounds: 6, shortestMs: 0.2 })
    await runner.dispose()
    expect(device.peak.float32).toBeGreaterThan(1e7)
    expect(device.bandwidth).toBeGreaterThan(1e6)
    expect(device.latency.launch).toBeLessThan(0.01)
    const plan = planNetwork({ name: 'net', layers }, { device, target: 'wasm', rule: 'cost', schemes: runner.schemes })
    expect(plan.device).toBe(device.name)
    for (const layer of plan.layers) expect(runner.schemes(layer.layer)).toContain(layer.scheme)
  })

  it('needs a shape of one row', () => {
    const profile: Profile = { schema: 'ft.profile', version: 1, device: 'd', build: 'b', shapes: [] }
    expect(() => deviceFrom(profile)).toThrow(/no shape of one row/)
  })
})

describe('non-negative least squares', () => {
  it('finds what made the data, and is optimal when signs forbid that', () => {
    const positive = fc.array(fc.double({ min: 0, max: 10, noNaN: true }), { minLength: 3, maxLength: 3 })
    const matrix = fc.array(fc.array(fc.double({ min: 0.1, max: 3, noNaN: true }), { minLength: 3, maxLength: 3 }), {
      minLength: 8,
      maxLength: 8,
    })
    fc.assert(
      fc.property(
        matrix,
        positive,
        fc.array(fc.double({ min: -2, max: 2, noNaN: true }), { minLength: 8, maxLength: 8 }),
        (rows, truth, noise) => {
          const product = (x: readonly number[]) =>
            rows.map((row) => row.reduce((sum, a, j) => sum + a * (x[j] ?? 0), 0))
          const targets = product(truth).map((value, i) => value + (noise[i] ?? 0))
          const x = nonNegativeLeastSquares(rows, targets)
          // Karush, Kuhn and Tucker: the gradient is 0 where x is positive and not negative where it is 0. Coordinate
          // descent stops at steps of 1e-13 of scaled columns or after its sweeps: 1e-4 of the targets' size is far above
          const residual = product(x).map((value, i) => value - (targets[i] ?? 0))
          const size = 1e-4 * (1 + Math.hypot(...targets)) * 10
          for (let j = 0; j < 3; j++) {
            const gradient = rows.reduce((sum, row, i) => sum + (row[j] ?? 0) * (residual[i] ?? 0), 0)
            expect(x[j]).toBeGreaterThanOrEqual(0)
            expect(gradient).toBeGreaterThan(-size)
            if ((x[j] ?? 0) > 1e-6) expect(Math.abs(gradient)).toBeLessThan(size)
          }
        },
      ),
    )
  })
})
