// The command line's two commands, as functions: what they print, with and without --json, and what they refuse.
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { InferenceSession } from 'onnxruntime-node'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { isFtError, type FtErrorCode } from '@ft/core'
import { createOutput } from '@ft/report'
import { runAdvise } from '../src/cli/advise.ts'
import { createLiveShards, type LiveShard } from '../src/cli/liveShards.ts'
import { parseKill, runTrain, type TrainFlags } from '../src/cli/train.ts'
import { createLayout, readCheckpoint, serveShards, type ServerReport } from '../src/index.ts'
import { plantedSamples } from './support/made.ts'
import { haveRedis, redisNode } from './support/redis.ts'

const fails = (code: FtErrorCode): unknown => expect.toSatisfy((error) => isFtError(error, code))
let folder = ''
let flags: TrainFlags

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ft-ecrm-'))
  const { dense, categorical, label } = plantedSamples(1_500, 1)
  const lines = Array.from(label, (y, row) => {
    const numbers = dense.slice(row * 3, row * 3 + 3).map((value) => Number(value.toFixed(4)))
    return [y === 1 ? 'yes' : 'no', ...numbers, ...categorical.map(({ ids }, t) => `c${t}-${ids[row]}`)].join(',')
  })
  await writeFile(join(folder, 'data.csv'), ['late,x,y,z,a,b', ...lines].join('\n'))
  const schema = { label: 'late', positive: 'yes', dense: ['x', 'y', 'z'], categorical: ['a', 'b'] }
  await writeFile(join(folder, 'schema.json'), JSON.stringify(schema))
  const files = { data: join(folder, 'data.csv'), schema: join(folder, 'schema.json') }
  const sizes = { k: 2, r: 1, d: 4, epochs: 2, batch: 50, test: 0.2, seed: 1, every: 20 }
  flags = { ...files, ...sizes, optimizer: 'adagrad', rate: 0.05, kill: [] }
})
afterAll(() => rm(folder, { recursive: true }))

function printer(json: boolean) {
  let text = ''
  const stdout = new Writable({
    write(chunk: Buffer, _, done) {
      text += chunk.toString()
      done()
    },
  })
  const stderr = Object.assign(new Writable({ write: (_chunk, _encoding, done) => done() }), { isTTY: false })
  return { output: createOutput({ stdout, stderr, json }), text: () => text }
}
const signal = new AbortController().signal

describe('train', () => {
  it('ends with the same scores whether a shard is killed or not, and small tables are replicated or not', async () => {
    const ends = []
    for (const [kill, replicate] of [
      [[], false],
      [['shard:1@step:17'], false],
      [['shard:1@step:17'], true],
    ] as const) {
      const { output, text } = printer(true)
      const save = join(folder, 'run.ftec')
      await runTrain({ ...flags, kill, replicate, save, onnx: join(folder, 'model.onnx') }, { output, signal })
      const lines = text()
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Record<string, unknown>)
      const steps = lines.filter(({ type }) => type === 'step')
      expect(steps).toHaveLength(2)
      for (const step of steps) expect(step).toMatchObject({ auc: expect.any(Number), logLoss: expect.any(Number) })
      for (const { shards } of steps as unknown as readonly { shards: LiveShard[] }[]) {
        expect(shards.map(({ shard }) => shard)).toEqual([0, 1, 2])
        for (const { rows, parityRows, rate } of shards) {
          // k = 2: half as many parity rows as data rows.
          expect(2 * parityRows).toBe(rows)
          expect(rate).toBeGreaterThan(0)
        }
      }
      ends.push(lines.at(-1)!)
      expect((await readCheckpoint(save)).step).toBe(48)
      expect((await readFile(join(folder, 'model.onnx'))).length).toBeGreaterThan(1_000)
    }
    const [calm, stormy, near] = ends as [Record<string, unknown>, Record<string, unknown>, Record<string, unknown>]
    expect(calm).toMatchObject({ type: 'end', replaced: 0, lost: [] })
    expect(stormy).toMatchObject({ replaced: 1, lost: [], auc: calm['auc'], logLoss: calm['logLoss'] })
    expect(near).toMatchObject({ replaced: 1, lost: [], auc: calm['auc'], logLoss: calm['logLoss'] })
    expect(calm['auc']).toBeGreaterThan(0.6)
    // The smaller of two tables was not at the shards.
    const pushed = ({ shards }: Record<string, unknown>): number =>
      (shards as ServerReport[]).reduce((sum, { pushedRows }) => sum + pushedRows, 0)
    expect(pushed(near)).toBeLessThan(0.7 * pushed(stormy))
    const { output } = printer(true)
    await expect(runTrain({ ...flags, r: 0, replicate: true }, { output, signal })).rejects.toThrow(/--replicate/)
  })

  it('leaves columns without parity, whose rows start over and are not called lost', async () => {
    const sizes = new Map<string, number>()
    for (const replicate of [false, true]) {
      const { output, text } = printer(true)
      await runTrain({ ...flags, leave: 'a', replicate, kill: ['shard:1@step:17'] }, { output, signal })
      const lines = text().trim().split('\n')
      const end = JSON.parse(lines.at(-1)!) as Record<string, unknown>
      expect(end).toMatchObject({ type: 'end', replaced: 1, lost: [] })
      expect(end['startedOver']).toBeGreaterThan(0)
      sizes.set(
        `${replicate}`,
        (end['shards'] as ServerReport[]).reduce((sum, { parityBytes }) => sum + parityBytes, 0),
      )
    }
    const { output, text } = printer(true)
    await runTrain({ ...flags, kill: ['shard:1@step:17'] }, { output, signal })
    const whole = JSON.parse(text().trim().split('\n').at(-1)!) as Record<string, unknown>
    expect(whole['startedOver']).toBe(0)
    const all = (whole['shards'] as ServerReport[]).reduce((sum, { parityBytes }) => sum + parityBytes, 0)
    // Only the other column has parity, whichever is larger; it is whole at the servers as its table is the largest that is kept.
    expect(sizes.get('false')).toBeLessThan(all)
    expect(sizes.get('true')).toBe(sizes.get('false'))
    await expect(runTrain({ ...flags, leave: 'a,c' }, { output, signal })).rejects.toThrow(/--leave/)
  })

  it('trains on shards elsewhere', async () => {
    const tokenFile = join(folder, 'token')
    await writeFile(tokenFile, 'sixteen letters or more')
    const how = { token: 'sixteen letters or more', listen: '127.0.0.1:0' }
    const hosts = await Promise.all([0, 1, 2].map(() => serveShards(how)))
    try {
      const shards = hosts.map(({ address }, i) => `${address}=rack${i}`).join(',')
      const { output, text } = printer(true)
      await runTrain({ ...flags, epochs: 1, shards, tokenFile, kill: ['shard:1@step:7'] }, { output, signal })
      expect(JSON.parse(text().trim().split('\n').at(-1)!)).toMatchObject({ type: 'end', replaced: 1, lost: [] })
      await expect(runTrain({ ...flags, shards }, { output, signal })).rejects.toThrow(/--token-file/)
    } finally {
      for (const one of hosts) await one.close()
    }
  })

  it.runIf(haveRedis)('trains on Redis nodes', async () => {
    const nodes = await Promise.all([0, 1, 2, 3].map(() => redisNode()))
    try {
      const { output, text } = printer(true)
      const redis = nodes.map(({ address }, i) => `${address}=rack${i}`).join(',')
      await runTrain({ ...flags, epochs: 1, redis, shards: '3', kill: ['shard:1@step:7'] }, { output, signal })
      expect(JSON.parse(text().trim().split('\n').at(-1)!)).toMatchObject({ type: 'end', replaced: 1, lost: [] })
    } finally {
      for (const one of nodes) await one.end()
    }
  })

  it('trains with several workers', async () => {
    const ends: unknown[] = []
    for (const kill of [[], ['shard:2@step:9']]) {
      const { output, text } = printer(true)
      await runTrain({ ...flags, epochs: 1, workers: 2, kill }, { output, signal })
      ends.push((JSON.parse(text().trim().split('\n').at(-1)!) as { auc: number }).auc)
    }
    expect(ends[1]).toBe(ends[0])
    const { output, text } = printer(true)
    await runTrain({ ...flags, epochs: 1, workers: 2, mode: 'async', kill: ['shard:0@step:9'] }, { output, signal })
    expect(JSON.parse(text().trim().split('\n').at(-1)!)).toMatchObject({ type: 'end', replaced: 1, lost: [] })
    await expect(runTrain({ ...flags, mode: 'both' }, { output, signal })).rejects.toThrow(fails('INVALID_ARGUMENT'))
  })

  it('trains on a column with several values, and exports it', async () => {
    const tags = join(folder, 'tags.csv')
    // Whether a row is late is in its tags: 'bad' makes it so, among others that say nothing; some rows have none.
    const lines = Array.from({ length: 1_000 }, (_, row) => {
      const late = row % 3 === 0
      const some = [`n${row % 7}`, ...(late ? ['bad'] : []), `n${(row * 5) % 11}`]
      return `${late ? 1 : 0},${row % 5},${row % 10 === 1 ? ' ' : some.join(' | ')}`
    })
    await writeFile(tags, ['late,x,tags', ...lines].join('\n'))
    const schema = join(folder, 'tags.json')
    const column = { column: 'tags', separator: '|', pooling: 'mean' }
    const write = (more: object) =>
      writeFile(schema, JSON.stringify({ label: 'late', dense: ['x'], categorical: [{ ...column, ...more }] }))
    await write({})
    const ends: unknown[] = []
    const onnx = join(folder, 'tags.onnx')
    for (const kill of [[], ['shard:1@step:17']]) {
      const { output, text } = printer(true)
      await runTrain({ ...flags, d: 8, epochs: 6, data: tags, schema, kill, onnx }, { output, signal })
      ends.push((JSON.parse(text().trim().split('\n').at(-1)!) as { auc: number }).auc)
    }
    expect(ends[1]).toBe(ends[0])
    // A tenth of the rows has no tags to tell by.
    expect(ends[0]).toBeGreaterThan(0.9)
    const session = await InferenceSession.create(onnx)
    expect(session.inputNames.toSorted()).toEqual(['dense', 'ids.0', 'weights.0'])
    for (const wrong of [{ separator: '' }, { pooling: 'max' }, { between: ',' }]) {
      await write(wrong)
      const { output } = printer(true)
      await expect(runTrain({ ...flags, data: tags, schema }, { output, signal })).rejects.toThrow(
        fails('CORRUPT_DATA'),
      )
    }
    await write({ column: 'label' })
    const { output } = printer(true)
    await expect(runTrain({ ...flags, data: tags, schema }, { output, signal })).rejects.toThrow(
      /lacks the columns label/,
    )
  })

  it('prints a table of shards and a conclusion', async () => {
    const { output, text } = printer(false)
    await runTrain({ ...flags, epochs: 1 }, { output, signal })
    expect(text()).toMatch(/step 20 {2}loss 0\.\d{4} {2}AUC 0\.\d{4}/)
    expect(text()).toMatch(/shard +rows +parity rows +degraded stripes +rows\/s +recovered\/s/)
    expect(text()).toMatch(/rows and state/)
    expect(text()).toMatch(/AUC 0\.\d{4}.*300 test rows; 0 shards replaced, 0 rows lost/)
  })

  it('writes metrics: a killed shard has recovered every row, and nothing waits', async () => {
    const { output } = printer(true)
    const metrics = join(folder, 'metrics.prom')
    await runTrain({ ...flags, epochs: 1, kill: ['shard:1@step:3'], metrics }, { output, signal })
    const text = await readFile(metrics, 'utf8')
    expect(text).toMatch(/^ft_ecrm_recovery_progress_ratio\{shard="1"\} 1$/m)
    expect(text).toMatch(/^ft_ecrm_replacements_total 1$/m)
    expect(text).toMatch(/^ft_ecrm_degraded_stripes 0$/m)
    const nowhere = join(folder, 'none', 'metrics.prom')
    const failing = runTrain({ ...flags, epochs: 1, metrics: nowhere }, { output, signal })
    await expect(failing).rejects.toThrow(fails('IO'))
  })

  it('finds before the training that its files could not be written', async () => {
    const { output, text } = printer(true)
    for (const path of [join(folder, 'none', 'x'), folder])
      for (const flag of ['save', 'onnx', 'metrics'])
        await expect(runTrain({ ...flags, [flag]: path }, { output, signal })).rejects.toThrow(`--${flag} ${path}`)
    expect(text()).toBe('')
  })

  it('finds before the training that there is nothing to tell apart', async () => {
    const { output, text } = printer(true)
    const rows = (await readFile(flags.data, 'utf8')).split('\n')
    const sorted = join(folder, 'sorted.csv')
    await writeFile(sorted, [rows[0], ...rows.slice(1).sort()].join('\n'))
    await expect(runTrain({ ...flags, data: sorted }, { output, signal })).rejects.toThrow(/300 of the 300 test rows/)
    const misspelt = join(folder, 'misspelt.json')
    await writeFile(misspelt, (await readFile(flags.schema, 'utf8')).replace('"yes"', '"Yes"'))
    await expect(runTrain({ ...flags, schema: misspelt }, { output, signal })).rejects.toThrow(/0 of the 1200 training/)
    await expect(runTrain({ ...flags, test: 0 }, { output, signal })).rejects.toThrow(/of the 1 test rows/)
    expect(text()).toBe('')
  })

  it('has saved what it trained when it is interrupted at its end', async () => {
    const { output } = printer(true)
    const save = join(folder, 'early.ftec')
    // The signal of an interrupt comes after the last step, while the model is scored.
    let fired = false
    const late = Object.defineProperty(new EventTarget(), 'aborted', {
      get: () => (fired ||= existsSync(save)),
    }) as AbortSignal
    await expect(runTrain({ ...flags, epochs: 1, save }, { output, signal: late })).rejects.toThrow(fails('ABORTED'))
    expect((await readCheckpoint(save)).step).toBe(24)
  })

  it('refuses what it cannot use', async () => {
    const { output } = printer(true)
    const run = (more: Partial<TrainFlags>) => runTrain({ ...flags, ...more }, { output, signal })
    await expect(run({ data: join(folder, 'none.csv') })).rejects.toThrow(fails('IO'))
    await expect(run({ schema: flags.data })).rejects.toThrow(fails('CORRUPT_DATA'))
    await writeFile(join(folder, 'bad.json'), '{"label":"nothing","dense":["x"],"categorical":["a"]}')
    await expect(run({ schema: join(folder, 'bad.json') })).rejects.toThrow(fails('CORRUPT_DATA'))
    await expect(run({ optimizer: 'best' })).rejects.toThrow(fails('INVALID_ARGUMENT'))
    for (const wrong of [{ every: 0 }, { batch: 0 }, { epochs: 0 }, { workers: 0 }])
      await expect(run(wrong)).rejects.toThrow(fails('INVALID_ARGUMENT'))
    // 1,200 rows in batches of 50, twice.
    for (const kill of ['shard:9@step:4', 'shard:3@step:4', 'shard:1@step:48'])
      await expect(run({ kill: [kill] })).rejects.toThrow(/--kill/)
    expect(() => parseKill('2@500')).toThrow(fails('INVALID_ARGUMENT'))
    expect(parseKill('shard:2@step:500')).toEqual({ shard: 2, step: 500 })
  })
})

it('rates of shards are of the time since the line before, and of a replaced one from 0', () => {
  const layout = createLayout({ rows: 12, k: 2, r: 1, servers: 3 })
  const live = createLiveShards(1_000)
  const report = (pulledRows: number, recoveredRows: number, missingRows: number) =>
    ({ pulledRows, pushedRows: 2 * pulledRows, recoveredRows, missingRows }) as ServerReport
  const [first] = live([report(100, 0, 0)], 3_000, layout)
  expect(first).toEqual({ shard: 0, rows: 4, parityRows: 2, degraded: 0, rate: 150, recoveredRate: 0 })
  expect(live([report(150, 0, 0)], 4_000, layout)[0]!.rate).toBe(150)
  const [replaced] = live([report(10, 3, 2)], 4_500, layout)
  expect(replaced).toMatchObject({ degraded: 2, rate: 60, recoveredRate: 6 })
})

describe('advise', () => {
  const costs = { mtbf: [4, 24], stall: 10, rebuild: 20, overhead: 0.04, slowdown: 0.13, seed: 1, runs: 20 }
  it('prints the model and a simulation of it', () => {
    const { output, text } = printer(false)
    runAdvise(costs, { output })
    expect(text()).toMatch(/33(\.0)? ?%/)
    expect(text()).toMatch(/A failure every 4 h: coding wastes 84\.6 ?% less/)
  })
  it('says when checkpoints are cheaper', () => {
    const { output, text } = printer(true)
    runAdvise({ ...costs, stall: 0.05 }, { output })
    const lines = text().trim().split('\n')
    expect(JSON.parse(lines[1]!)).toMatchObject({ hours: 24, best: { choose: 'checkpoint' } })
  })
})
