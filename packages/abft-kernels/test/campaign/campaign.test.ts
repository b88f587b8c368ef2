// Campaigns: seeded, sharded, resumable; what they count agrees with what the checks promise.
import { afterAll, describe, expect, it } from 'vitest'
import type { FtError, LinearLayer, MatmulEngine } from '@ft/core'
import { bitFlips, cancellingPairs } from '@ft/core/faults'
import { chart } from '@ft/report/charts'
import { createReferenceEngine } from '@ft/tensor-core/reference'
import { createWasmEngine } from '@ft/tensor-core/wasm'
import {
  allSources,
  detectionByBit,
  mergeCampaigns,
  parseCampaign,
  runCampaign,
  soak,
  sourceOf,
  summarise,
  type CampaignModel,
  type CampaignResult,
} from '../../src/campaign.ts'
import { calibrate } from '../../src/index.ts'
import { normalTensor } from '../support/data.ts'

const engine = createWasmEngine({ threads: 1, instrumented: true })
afterAll(() => engine.dispose())
const dense: LinearLayer = {
  id: 'dense',
  m: 24,
  n: 32,
  k: 48,
  count: 2,
  dtype: 'float32',
  op: { kind: 'matmul', batch: 1 },
}
const conv: LinearLayer = {
  id: 'conv',
  m: 36,
  n: 8,
  k: 27,
  count: 1,
  dtype: 'float32',
  op: {
    kind: 'conv2d',
    x: [1, 6, 6, 3],
    filter: [3, 3, 3, 8],
    stride: [1, 1],
    pad: [1, 1, 1, 1],
    dilation: [1, 1],
    groups: 1,
  },
}
const shapes = [dense, conv]
const common = { engine, shapes, seed: 5 }

describe('campaigns', () => {
  it('give the same counts for the same seed, in one run, in shards, and resumed', async () => {
    const whole = await runCampaign({ ...common, trials: 120 })
    const sorted = (result: typeof whole) =>
      JSON.stringify([...result.cells].sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)))
    const shards = await Promise.all(
      [0, 1, 2].map((index) => runCampaign({ ...common, trials: 120, shard: { index, count: 3 } })),
    )
    expect(sorted(mergeCampaigns(shards))).toBe(sorted(whole))
    const controller = new AbortController()
    const stopped = (await runCampaign({
      ...common,
      trials: 120,
      signal: controller.signal,
      onProgress: ({ done }) => done >= 48 && controller.abort(),
    }).catch((error: unknown) => error)) as FtError
    expect(stopped.code).toBe('ABORTED')
    const part = parseCampaign(JSON.stringify(stopped.details['result']))
    expect(part.shards).toEqual([{ index: 0, count: 1, done: 48 }])
    const resumed = await runCampaign({ ...common, trials: 120, resume: part })
    expect(sorted(resumed)).toBe(sorted(whole))
    expect(resumed.shards).toEqual([{ index: 0, count: 1, done: 120 }])
  })

  it('calibrated: a false alarm of one trial says nothing about the next, so shards count what one run counts', async () => {
    const calibration = await calibrate(engine, { trials: 3, lengths: [16, 64] })
    // A check sum that is wrong by up to 100 thresholds is a 'false-alarm'; an output between the two thresholds needs the calibrated one.
    const faults = allSources().filter(({ site }) => site === 'checksum' || site === 'output')
    const options = { ...common, calibration, faults, trials: 400 }
    const cells = ({ cells }: CampaignResult) => cells.map((cell) => JSON.stringify(cell)).sort()
    const whole = await runCampaign(options)
    const shards: CampaignResult[] = []
    for (const index of [0, 1, 2, 3]) shards.push(await runCampaign({ ...options, shard: { index, count: 4 } }))
    expect(cells(mergeCampaigns(shards))).toEqual(cells(whole))
  })

  it('counts no trial twice: shards that repeat or are of another count are refused', async () => {
    const part = (index: number, count: number) => runCampaign({ ...common, trials: 20, shard: { index, count } })
    const [half, other, third] = [await part(0, 2), await part(1, 2), await part(2, 3)]
    const refused = expect.objectContaining({ code: 'INVALID_ARGUMENT' }) as Error
    expect(() => mergeCampaigns([half, half])).toThrow(refused)
    expect(() => mergeCampaigns([half, third])).toThrow(refused)
    await expect(runCampaign({ ...common, trials: 20, resume: half })).rejects.toThrow(refused)
    // Its own shard again is nothing new; the other half is.
    const again = await runCampaign({ ...common, trials: 20, resume: half, shard: { index: 0, count: 2 } })
    expect(again.cells).toEqual(half.cells)
    const both = await runCampaign({ ...common, trials: 20, resume: half, shard: { index: 1, count: 2 } })
    expect(both.cells.reduce((sum, { trials }) => sum + trials, 0)).toBe(20)
    expect(mergeCampaigns([half, other]).shards).toHaveLength(2)
  })

  it('releases every weight, also when it is refused', async () => {
    let alive = 0
    const counting: MatmulEngine = {
      ...engine,
      async prepare(...given) {
        const made = await engine.prepare(...given)
        const release = made.release.bind(made)
        alive++
        return Object.assign(made, { release: () => void (alive--, release()) })
      },
      conv2d: () => Promise.reject(new Error('no convolutions today')),
    }
    const other = await runCampaign({ ...common, seed: 6, trials: 5 })
    const resumed = { ...common, shapes: [dense], engine: counting, trials: 5, resume: other }
    await expect(runCampaign(resumed)).rejects.toMatchObject({ code: 'FINGERPRINT_MISMATCH' })
    expect(alive).toBe(0)
    await expect(runCampaign({ ...common, engine: counting, trials: 5 })).rejects.toThrow('no convolutions today')
    expect(alive).toBe(0)
  })

  it('every visible harmful fault is found and corrected; a wrong input is seen by nobody; thresholds alarm safely', async () => {
    const calibration = await calibrate(engine, { trials: 3, lengths: [16, 64] })
    const result = await runCampaign({ ...common, calibration, trials: 1200 })
    const sites = Object.fromEntries(summarise(result, { by: 'site' }).map((row) => [row.name, row]))
    expect(Object.keys(sites).sort()).toEqual([
      'accumulator',
      'checksum',
      'input',
      'operand',
      'output',
      'packed-weight',
      'threshold',
    ])
    // A fault that makes an output unusable or moves its largest element is far above thresholds of 1e-5 of its size.
    expect(sites['output']?.detectedHarmful?.value).toBe(1)
    expect(sites['output']?.corrected?.value).toBe(1)
    expect(sites['input']?.detected?.value).toBeLessThan(0.1)
    expect(sites['threshold']?.classes.masked).toBe(1)
    expect(sites['checksum']?.classes.masked).toBe(1)
    expect(sites['checksum']?.falseAlarms?.value).toBeGreaterThan(0.3)
    // Packed weights that stay wrong are found by the offline checksum, and a second run cannot put them right.
    const lasting = result.cells.filter(({ model }) => model.startsWith('persistent'))
    expect(lasting.some(({ detected }) => detected.critical > 0)).toBe(true)
    expect(lasting.every(({ corrected }) => corrected === 0)).toBe(true)
  })

  it('groups: faults strike where the layer says, in every group', async () => {
    const grouped: LinearLayer = {
      ...conv,
      id: 'grouped',
      k: 18,
      op: { ...conv.op, kind: 'conv2d', x: [1, 6, 6, 4], filter: [3, 3, 2, 8], groups: 2 } as LinearLayer['op'],
    }
    const result = await runCampaign({ ...common, shapes: [grouped], trials: 390 })
    const sites = Object.fromEntries(summarise(result, { by: 'site' }).map((row) => [row.name, row]))
    expect(sites['output']?.detectedHarmful?.value).toBe(1)
    expect(sites['accumulator']?.detectedHarmful?.value).toBe(1)
  })

  it('depthwise: the exact replica finds every fault of the arithmetic, whatever its size, and no weight that is wrong for both', async () => {
    const depthwise: LinearLayer = {
      id: 'depthwise',
      m: 36,
      n: 6,
      k: 9,
      count: 1,
      dtype: 'float32',
      op: {
        kind: 'conv2d',
        x: [1, 6, 6, 6],
        filter: [3, 3, 1, 6],
        stride: [1, 1],
        pad: [1, 1, 1, 1],
        dilation: [1, 1],
        groups: 6,
      },
    }
    const result = await runCampaign({ ...common, shapes: [depthwise], trials: 650 })
    expect(result.threshold).toBe('exact')
    const sites = Object.fromEntries(summarise(result, { by: 'site' }).map((row) => [row.name, row]))
    for (const site of ['accumulator', 'output', 'operand']) {
      expect(sites[site]?.detected?.value).toBe(1)
      expect(sites[site]?.corrected?.value).toBe(1)
    }
    // But for a weight that became infinite, whose line is no number.
    expect(sites['packed-weight']?.detected?.value).toBeLessThan(0.1)
    expect(sites['checksum']?.classes.masked).toBe(1)
  })

  it('a whole model: classes are judged at its answer', async () => {
    const model: CampaignModel = {
      name: 'small',
      input: normalTensor([2, 6, 6, 3], 1),
      layers: [
        { id: 'conv', weights: normalTensor([3, 3, 3, 4], 2), activation: 'relu', stride: [2, 2] },
        { id: 'fc', weights: normalTensor([2 * 2 * 4, 5], 3), bias: normalTensor([5], 4) },
      ],
    }
    const result = await runCampaign({ engine, model, seed: 1, trials: 260, scheme: 'global' })
    expect(new Set(result.cells.map(({ layer }) => layer))).toEqual(new Set(['conv', 'fc']))
    const [all] = summarise(result, { by: 'all' })
    const total = Object.values(all?.classes ?? {}).reduce((sum, share) => sum + share, 0)
    expect(total).toBeCloseTo(1, 12)
    expect(result.cells.filter(({ site }) => site === 'input').every(({ layer }) => layer === 'conv')).toBe(true)
  })

  it('counts the known miss: cancelling pairs pass the row check', async () => {
    const pairs = sourceOf(cancellingPairs())
    const rows = await runCampaign({ ...common, shapes: [dense], faults: [pairs], trials: 60, scheme: 'row' })
    const columns = await runCampaign({ ...common, shapes: [dense], faults: [pairs], trials: 60, scheme: 'column' })
    const harmful = (result: typeof rows) => summarise(result, { by: 'all' })[0]?.detected?.value
    expect(harmful(rows)).toBe(0)
    expect(harmful(columns)).toBe(1)
  })

  it.each([
    ['row', 'row'],
    ['column', 'column'],
    ['global', 'diagonal'],
  ] as const)('%s: random weights find the pairs that ones miss, along a %s', async (scheme, along) => {
    const faults = [sourceOf(cancellingPairs({ along, magnitude: [256, 1024] }))]
    const options = { ...common, faults, trials: 80, scheme }
    const ones = await runCampaign(options)
    const random = await runCampaign({ ...options, checksumWeights: 'random' })
    const all = (result: CampaignResult) => summarise(result, { by: 'all' })[0]
    expect(all(ones)?.detected?.value).toBe(0)
    // Hard thresholds T are below 0.2, the global one's: the chance of a miss, 8 T / D at most, is below 0.7 %.
    expect(all(random)?.detected?.value).toBeGreaterThanOrEqual(0.97)
    expect(all(random)?.corrected?.value).toBe(1)
    expect([ones.checksumWeights, random.checksumWeights]).toEqual([undefined, 'random'])
    const [part, other] = [parseCampaign(JSON.stringify(random)), parseCampaign(JSON.stringify(ones))]
    await expect(runCampaign({ ...options, resume: part })).rejects.toMatchObject({ code: 'FINGERPRINT_MISMATCH' })
    await expect(runCampaign({ ...options, checksumWeights: 'random', resume: other })).rejects.toMatchObject({
      code: 'FINGERPRINT_MISMATCH',
    })
    expect(() => parseCampaign(JSON.stringify({ ...random, checksumWeights: 'twos' }))).toThrow(/checksumWeights/)
  })

  it('random weights: strikes every site but registers that such checks do not have, and no scheme of tiles', async () => {
    const result = await runCampaign({ ...common, trials: 130, checksumWeights: 'random' })
    const sites = summarise(result, { by: 'site' }).map(({ name }) => name)
    expect(sites).toContain('threshold')
    expect(sites).not.toContain('checksum')
    await expect(
      runCampaign({ ...common, trials: 5, checksumWeights: 'random', scheme: 'replication' }),
    ).rejects.toMatchObject({ code: 'UNSUPPORTED' })
  })

  it('draws detection by bit', async () => {
    const faults = [sourceOf(bitFlips({ site: 'output' }))]
    const result = await runCampaign({ ...common, shapes: [dense], faults, trials: 320, scheme: 'row' })
    const spec = detectionByBit(result)
    expect(spec.series.map(({ name }) => name)).toEqual(['output'])
    expect(chart(spec)).toMatch(/^<svg/)
    const rows = summarise(result, { by: 'bit' })
    expect(rows.filter(({ name }) => Number(name) >= 24).every(({ detected }) => detected?.value === 1)).toBe(true)
    expect(rows.filter(({ name }) => Number(name) <= 1).every(({ detected }) => (detected?.value ?? 0) === 0)).toBe(
      true,
    )
  })
})

describe('misuse', () => {
  it('refuses what cannot be counted', async () => {
    const refusal = (options: Partial<Parameters<typeof runCampaign>[0]>) =>
      runCampaign({ ...common, trials: 5, ...options }).catch((error: unknown) => (error as FtError).code)
    expect(await refusal({ shapes: [] })).toBe('INVALID_ARGUMENT')
    expect(await refusal({ trials: 0 })).toBe('INVALID_ARGUMENT')
    expect(await refusal({ engine: createReferenceEngine() })).toBe('UNSUPPORTED')
    const other = await runCampaign({ ...common, seed: 6, trials: 5 })
    expect(await refusal({ resume: other })).toBe('FINGERPRINT_MISMATCH')
    const faults = allSources().slice(0, 2)
    expect(await refusal({ resume: await runCampaign({ ...common, trials: 5, faults }) })).toBe('FINGERPRINT_MISMATCH')
  })

  it('refuses to go on from a campaign of other weights, biases, inputs, activations or thresholds', async () => {
    const [weights, bias, input] = [normalTensor([16, 8], 1), normalTensor([8], 2), normalTensor([4, 16], 3)]
    const model: CampaignModel = { name: 'net', layers: [{ id: 'fc', weights, bias }], input }
    const run = (own: CampaignModel, more: object = {}) =>
      runCampaign({ engine, model: own, seed: 1, trials: 4, ...more })
    const part = await run(model)
    expect((await run(model, { resume: part })).cells).toEqual(part.cells)
    const other = (layer: object): CampaignModel => ({ ...model, layers: [{ id: 'fc', weights, bias, ...layer }] })
    const refused = expect.objectContaining({ code: 'FINGERPRINT_MISMATCH' }) as Error
    for (const changed of [
      other({ weights: normalTensor([16, 8], 4) }),
      other({ bias: normalTensor([8], 5) }),
      other({ activation: 'relu' }),
      { ...model, input: normalTensor([4, 16], 6) },
    ])
      await expect(run(changed, { resume: part })).rejects.toThrow(refused)
    const [first, second] = [1, 2].map((seed) => calibrate(engine, { trials: 1, lengths: [16], seed }))
    const calibrated = await run(model, { calibration: await first })
    await expect(run(model, { calibration: await second, resume: calibrated })).rejects.toThrow(refused)
  })

  it('parseCampaign names what is wrong', async () => {
    const good = await runCampaign({ ...common, trials: 13 })
    const broken: [unknown, RegExp][] = [
      ['{', /JSON/],
      [{ ...good, schema: 'x' }, /schema/],
      [{ ...good, version: 3 }, /version 3/],
      [{ ...good, trials: -1 }, /trials/],
      [{ ...good, shards: [{}] }, /shards/],
      [{ ...good, shards: [] }, /shards/],
      [{ ...good, cells: [{ ...good.cells[0], trials: 99 }] }, /cells\[0\]/],
      [{ ...good, cells: [null] }, /cells\[0\]/],
    ]
    for (const [value, message] of broken)
      expect(() => parseCampaign(typeof value === 'string' ? value : JSON.stringify(value))).toThrow(message)
  })
})

it('soak finds nothing on a sound engine and says how much it did', async () => {
  const result = await soak({ engine, seconds: 0.5, seed: 3 })
  expect(result).toMatchObject({ faults: 0, falseAlarms: 0, unrepeatable: 0 })
  expect(result.products).toBeGreaterThan(4)
  expect(result.checks).toBeGreaterThan(result.products)
})

it('soak names an engine that lies', async () => {
  let calls = 0
  const lying = {
    ...engine,
    matmul: (...[a, b, o]: Parameters<typeof engine.matmul>) => {
      const struck = { site: { kind: 'output', row: 0, column: 0 }, effect: { kind: 'flip', bits: [27] } } as const
      return engine.matmul(a, b, ++calls % 7 === 0 ? { ...o, faults: [struck] } : o)
    },
  }
  const found: string[] = []
  const result = await soak({
    engine: lying,
    seconds: 0.5,
    seed: 3,
    onDetection: ({ outcome }) => void found.push(outcome),
  })
  expect(result.faults).toBeGreaterThan(0)
  expect(found).toContain('corrected')
})
