// The command line: its commands in this process, and the built file where there is one (campaign in shards, soak by core).
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { createOutput } from '@ft/report'
import { Writable } from 'node:stream'
import type { FtError } from '@ft/core'
import { createWasmEngine } from '@ft/tensor-core/wasm'
import { parseCampaign, runCampaign, type CampaignResult } from '../src/campaign.ts'
import { campaign } from '../src/cli/campaign.ts'
import { layersOf, positiveWhole, shapeOption } from '../src/cli/options.ts'
import { protect, runCalibrate } from '../src/cli/protect.ts'
import { runSoak } from '../src/cli/soak.ts'
import { convNet } from './onnx/models.ts'

const folder = mkdtempSync(join(tmpdir(), 'ft-cli-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const file = (name: string) => join(folder, name)

function capture() {
  let text = ''
  const stream = () =>
    new Writable({
      write(part: Buffer, _, done) {
        text += part.toString()
        done()
      },
    })
  return { output: createOutput({ stdout: stream(), stderr: stream() }), text: () => text }
}

describe('commands', () => {
  it('campaign counts, draws, saves and resumes', async () => {
    const { output, text } = capture()
    const flags = {
      engine: 'wasm',
      scheme: 'row',
      shape: shapeOption('16x32x24', []),
      input: {},
      trials: 60,
      seed: 1,
      confidence: 0.95,
      by: 'site',
      jobs: 1,
      out: file('campaign.json'),
      svg: file('detection.svg'),
    } as const
    await campaign({ ...flags, shape: [...flags.shape] }, output)
    expect(text()).toMatch(/accumulator/)
    expect(text()).toMatch(/harmful faults found|no fault was harmful/)
    expect(readFileSync(flags.svg, 'utf8')).toMatch(/^<svg/)
    const saved = readFileSync(flags.out, 'utf8')
    expect(parseCampaign(saved).trials).toBe(60)
    await campaign({ ...flags, shape: [...flags.shape] }, capture().output)
    expect(readFileSync(flags.out, 'utf8')).toBe(saved)
    for (const other of [{ seed: 2 }, { checksumWeights: 'random' }] as const)
      await expect(campaign({ ...flags, shape: [...flags.shape], ...other }, capture().output)).rejects.toMatchObject({
        code: 'FINGERPRINT_MISMATCH',
      })
    const random = capture()
    const own = { ...flags, out: file('random.json'), checksumWeights: 'random' } as const
    await campaign({ ...own, shape: [...flags.shape] }, random.output)
    expect(random.text()).toMatch(/Scheme row, random weights, on wasm/)
    expect(parseCampaign(readFileSync(own.out, 'utf8')).checksumWeights).toBe('random')
  })

  it('counts nothing again and loses nothing: a result, and shards of other processes, are refused', async () => {
    const out = file('finished.json')
    writeFileSync(out, 'kept')
    const flags = { engine: 'wasm', scheme: 'row', shape: [], input: {}, trials: 4, seed: 1, confidence: 0.95 } as const
    const run = (jobs: number) => campaign({ ...flags, shape: [], by: 'site', jobs, out }, capture().output)
    const two = run(2)
    await expect(two).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    await expect(two).rejects.toThrow(/no unfinished run with --jobs 2/)
    writeFileSync(`${out}.1-of-3`, 'a shard')
    for (const jobs of [1, 2]) await expect(run(jobs)).rejects.toThrow(/go on with --jobs 3/)
    expect([readFileSync(out, 'utf8'), readFileSync(`${out}.1-of-3`, 'utf8')]).toEqual(['kept', 'a shard'])
  })

  it('says before the first trial that a result cannot be written', async () => {
    const flags = {
      engine: 'wasm',
      scheme: 'row',
      input: {},
      trials: 4,
      seed: 1,
      confidence: 0.95,
      by: 'site',
    } as const
    const refused = expect.objectContaining({ code: 'IO', message: expect.stringContaining('cannot write') as string })
    for (const where of [{ out: file('absent/r.json') }, { svg: file('absent/r.svg') }, { out: folder }]) {
      const { output, text } = capture()
      await expect(campaign({ ...flags, shape: [], jobs: 1, ...where }, output)).rejects.toEqual(refused)
      expect(text()).not.toMatch(/accumulator/)
    }
    const noise = { engine: 'wasm', trials: 1, seed: 1, out: file('absent/n.json') } as const
    await expect(runCalibrate(noise, capture().output)).rejects.toEqual(refused)
    writeFileSync(file('plain.onnx'), convNet())
    const model = { scheme: 'row', input: {}, out: file('absent/safe.onnx') } as const
    expect(() => protect(file('plain.onnx'), model, capture().output)).toThrow('cannot write')
  })

  it('soak on no core concludes nothing', async () => {
    const { output, text } = capture()
    await expect(runSoak({ engine: 'wasm', seconds: 0.1, seed: 1, cores: 0 }, output)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    })
    expect(text()).toBe('')
    expect(() => positiveWhole('0')).toThrow(/at least 1/)
  })

  it('calibrate saves thresholds that campaign takes', async () => {
    const { output, text } = capture()
    await runCalibrate({ engine: 'wasm', trials: 1, seed: 1, out: file('noise.json') }, output)
    expect(text()).toMatch(/belong to this build/)
    const second = capture()
    await campaign(
      {
        engine: 'wasm',
        scheme: 'row',
        shape: shapeOption('16x32x24', []),
        input: {},
        trials: 26,
        seed: 1,
        confidence: 0.95,
        by: 'bit',
        jobs: 1,
        calibration: file('noise.json'),
      },
      second.output,
    )
    expect(second.text()).toMatch(/v-abft/)
  })

  it('protect writes a model and lists its layers', () => {
    writeFileSync(file('net.onnx'), convNet())
    const { output, text } = capture()
    protect(file('net.onnx'), { scheme: 'global', input: {}, out: file('safe.onnx') }, output)
    expect(text()).toMatch(/6 layers protected, 0 not/)
    expect(existsSync(file('safe.onnx'))).toBe(true)
    writeFileSync(file('plan.json'), '{"schema":"other"}')
    expect(() =>
      protect(file('net.onnx'), { scheme: 'row', plan: file('plan.json'), input: {}, out: file('x') }, output),
    ).toThrow(/no plan/)
    expect(() => protect(file('absent'), { scheme: 'row', input: {}, out: file('x') }, output)).toThrow(/cannot read/)
    expect(layersOf(file('net.onnx'), { x: [1, 3, 16, 16] }).map(({ id }) => id)).toEqual([
      'c1',
      'c2',
      'c3',
      'c4',
      'g1',
      'logits',
    ])
  })
})

const built = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url))
if (!existsSync(built)) console.log('skipped: the command as a process needs a build')
const command = (...args: string[]) => execFileSync(process.execPath, [built, ...args], { encoding: 'utf8' })

describe.skipIf(!existsSync(built))('as a process', () => {
  it('campaign in two processes counts what one counts', () => {
    const args = ['campaign', '--shape', '8x24x16', '--trials', '52', '--json']
    const cells = (text: string) =>
      parseCampaign(text)
        .cells.map((cell) => JSON.stringify(cell))
        .sort()
    expect(cells(command(...args, '--jobs', '2'))).toEqual(cells(command(...args)))
  })

  it('campaign in two processes goes on from what a stopped run saved, and counts what one run counts', async () => {
    const out = file('stopped.json')
    const [shape, trials] = ['16x32x24', 120]
    const engine = createWasmEngine({ threads: 1, instrumented: true })
    const controller = new AbortController()
    const stopped = (await runCampaign({
      engine,
      shapes: shapeOption(shape, []),
      trials,
      seed: 1,
      shard: { index: 1, count: 2 },
      signal: controller.signal,
      onProgress: ({ done }) => done >= 32 && controller.abort(),
    }).catch((error: unknown) => error)) as FtError
    await engine.dispose()
    writeFileSync(`${out}.1-of-2`, JSON.stringify(stopped.details['result']))
    const args = ['campaign', '--shape', shape, '--trials', String(trials), '--json']
    command(...args, '--jobs', '2', '--out', out)
    const result = parseCampaign(readFileSync(out, 'utf8'))
    expect(result.shards.map(({ index, done }) => [index, done])).toEqual([
      [0, trials],
      [1, trials],
    ])
    const sorted = ({ cells }: CampaignResult) => cells.map((cell) => JSON.stringify(cell)).sort()
    expect(sorted(result)).toEqual(sorted(parseCampaign(command(...args))))
    expect(existsSync(`${out}.1-of-2`)).toBe(false)
  })

  it('soak reports every core', () => {
    const text = command('soak', '--seconds', '0.3', '--cores', '2', '--json')
    const lines = text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { core: number; faults: number })
    expect(lines.every(({ faults }) => faults === 0)).toBe(true)
    expect(lines.map(({ core }) => core)).toEqual(lines.map((_, core) => core))
  })

  it('wrong usage ends with code 2 and says what was wrong', () => {
    expect(() => command('protect', '/absent.onnx')).toThrow(/cannot read/)
  })
})
