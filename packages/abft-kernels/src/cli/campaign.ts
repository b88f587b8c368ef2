// abft-kernels campaign: faults injected into the kernels, counted and shown.
import process from 'node:process'
import { isFtError, type EngineName, type LinearLayer, type ProtectionScheme } from '@ft/core'
import type { Output } from '@ft/report'
import { chart } from '@ft/report/charts'
import { parseCalibration } from '../calibrate.ts'
import { runCampaign } from '../campaign/runCampaign.ts'
import { detectionByBit, summarise, type SummaryRow } from '../campaign/summary.ts'
import { parseCampaign } from '../campaign/tally.ts'
import type { CampaignResult } from '../campaign/types.ts'
import type { ChecksumWeights } from '../randomWeights/checksums.ts'
import { assertWritable, isFile, layersOf, openEngine, readText, writeOut } from './options.ts'
import { assertFresh, inProcesses } from './shards.ts'

export interface CampaignFlags {
  readonly engine: EngineName
  readonly scheme: ProtectionScheme
  /** Default 'ones'. */
  readonly checksumWeights?: ChecksumWeights
  readonly shape: LinearLayer[]
  readonly model?: string
  readonly input: Record<string, number[]>
  readonly trials: number
  readonly seed: number
  readonly confidence: number
  readonly calibration?: string
  readonly out?: string
  readonly svg?: string
  readonly by: string
  readonly jobs: number
  readonly shard?: string
}

const defaultShape: LinearLayer = {
  id: '64x256x64',
  m: 64,
  n: 64,
  k: 256,
  count: 1,
  dtype: 'float32',
  op: { kind: 'matmul', batch: 1 },
}

export async function campaign(flags: CampaignFlags, output: Output): Promise<void> {
  const { scheme, trials, seed, confidence, out } = flags
  output.settings('campaign', { engine: flags.engine, scheme, trials, seed, confidence, jobs: flags.jobs })
  const shards = { jobs: flags.jobs, out }
  assertWritable(out)
  assertWritable(flags.svg)
  if (!flags.shard) assertFresh(shards)
  const { result, done } =
    flags.jobs > 1 && !flags.shard
      ? await inProcesses(shards)
      : { result: await here(flags, output), done: () => undefined }
  // First what is not lost with a full disk.
  show(result, flags, output)
  writeOut(out, JSON.stringify(result))
  done()
  if (flags.svg !== undefined) writeOut(flags.svg, chart(detectionByBit(result, { confidence })))
}

/** Runs the trials, or one shard of them; stopped by Ctrl-C it saves what it has, and the same command goes on. */
async function here(flags: CampaignFlags, output: Output): Promise<CampaignResult> {
  const { scheme, checksumWeights, trials, seed, out } = flags
  const engine = await openEngine(flags.engine, { instrumented: true })
  const controller = new AbortController()
  const stop = () => controller.abort()
  // Again and again: a terminal and the process that started this one may both send it.
  process.on('SIGINT', stop)
  try {
    const resume = out !== undefined && isFile(out) ? parseCampaign(readText(out)) : undefined
    const [index = 0, count = 1] = flags.shard?.split('/').map(Number) ?? []
    return await runCampaign({
      engine,
      shapes:
        flags.model !== undefined
          ? layersOf(flags.model, flags.input)
          : flags.shape.length > 0
            ? flags.shape
            : [defaultShape],
      scheme,
      ...(checksumWeights !== undefined && { checksumWeights }),
      trials,
      seed,
      shard: { index, count },
      signal: controller.signal,
      onProgress: output.onProgress,
      ...(flags.calibration !== undefined && {
        calibration: parseCalibration(readText(flags.calibration), { build: engine.build }),
      }),
      ...(resume && { resume }),
    })
  } catch (error) {
    if (isFtError(error, 'ABORTED') && out !== undefined) {
      writeOut(out, JSON.stringify(error.details['result']))
      output.note(`stopped; the same command goes on from ${out}`)
    }
    throw error
  } finally {
    process.off('SIGINT', stop)
    await engine.dispose()
  }
}

function show(result: CampaignResult, { by, confidence }: CampaignFlags, output: Output): void {
  const rows = summarise(result, { by: by as 'site', confidence })
  output.table(rows, [
    { header: by, value: (row) => row.name },
    { header: 'faults', value: (row) => row.trials, format: 'count' },
    { header: 'masked', value: (row) => row.classes.masked, format: 'percent' },
    { header: 'benign', value: (row) => row.classes.benign, format: 'percent' },
    { header: 'critical', value: (row) => row.classes.critical, format: 'percent' },
    { header: 'unusable', value: (row) => row.classes.unusable, format: 'percent' },
    { header: 'detected, of changed outputs', value: (row) => row.detected, format: 'percent' },
    { header: 'of harmful', value: (row) => row.detectedHarmful, format: 'percent' },
    { header: 'corrected, of detected', value: (row) => row.corrected, format: 'percent' },
    { header: 'safe false alarms', value: (row) => row.falseAlarms, format: 'percent' },
  ])
  if (result.cells.some(({ site }) => site === 'input'))
    output.text("Site 'input' is wrong before the product reads it: no check can see it, and none is expected to.")
  output.result({ ...result })
  const [all] = summarise(result, { by: 'all', confidence })
  output.conclusion(sentence(result, all))
}

function sentence(result: CampaignResult, all: SummaryRow | undefined): string {
  const found = all?.detectedHarmful
  const share =
    found === undefined ? 'no fault was harmful' : `${(100 * found.value).toFixed(1)} % of harmful faults found`
  const weights = result.checksumWeights === undefined ? '' : `, ${result.checksumWeights} weights,`
  return `Scheme ${result.scheme}${weights} on ${result.build}, thresholds ${result.threshold}: ${share}.`
}
