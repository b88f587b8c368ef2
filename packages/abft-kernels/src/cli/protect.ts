// abft-kernels protect: checks written into an ONNX file. abft-kernels calibrate: an engine's rounding noise, measured.
import { FtError, type EngineName, type ProtectionPlan } from '@ft/core'
import type { Output } from '@ft/report'
import { calibrate, saveCalibration } from '../calibrate.ts'
import { protectOnnx } from '../onnx/protectOnnx.ts'
import type { OnnxScheme } from '../onnx/site.ts'
import { assertWritable, openEngine, readBytes, readText, writeOut } from './options.ts'

export interface ProtectFlags {
  readonly scheme: OnnxScheme
  readonly plan?: string
  readonly input: Record<string, number[]>
  readonly out: string
}

export function protect(path: string, flags: ProtectFlags, output: Output): void {
  const plan = flags.plan === undefined ? { scheme: flags.scheme } : parsePlan(readText(flags.plan))
  output.settings('protect', {
    model: path,
    ...(flags.plan === undefined ? { scheme: flags.scheme } : { plan: flags.plan }),
  })
  assertWritable(flags.out)
  const before = readBytes(path)
  const made = protectOnnx(before, plan, { inputs: flags.input })
  writeOut(flags.out, made.bytes)
  output.table(made.protected, [
    { header: 'layer', value: (row) => row.id },
    { header: 'operator', value: (row) => row.opType },
    { header: 'scheme', value: (row) => row.scheme },
    { header: 'rounding bound', value: (row) => row.bound, digits: 2 },
  ])
  for (const { id, reason } of made.unprotected) output.note(`unprotected: ${id}: ${reason}`)
  output.result({ protected: made.protected, unprotected: made.unprotected, bytes: made.bytes.length })
  const growth = (100 * (made.bytes.length / before.length - 1)).toFixed(1)
  output.conclusion(
    `${made.protected.length} layers protected, ${made.unprotected.length} not; ${flags.out} is ${growth} % larger.`,
  )
}

/** The plan's fields are checked where they are used; here only that it is one. */
function parsePlan(text: string): ProtectionPlan {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new FtError('CORRUPT_DATA', 'protect: the plan is not JSON', {}, { cause })
  }
  const plan = value as Partial<ProtectionPlan> | null
  const whole = plan?.schema === 'ft.plan' && Array.isArray(plan.layers) && typeof plan.model?.fingerprint === 'string'
  if (!whole)
    throw new FtError('CORRUPT_DATA', 'protect: the file is no plan: schema must be "ft.plan", with model and layers')
  return value as ProtectionPlan
}

export interface CalibrateFlags {
  readonly engine: EngineName
  readonly trials: number
  readonly seed: number
  readonly out?: string
}

export async function runCalibrate(flags: CalibrateFlags, output: Output): Promise<void> {
  const engine = await openEngine(flags.engine, { instrumented: false })
  try {
    const { trials, seed, out } = flags
    assertWritable(out)
    output.settings('calibrate', { build: engine.build, trials, seed })
    const calibration = await calibrate(engine, { trials, seed, onProgress: output.onProgress })
    output.table(calibration.points, [
      { header: 'k', value: (row) => row.k, format: 'plain' },
      { header: 'noise', value: (row) => row.noise, digits: 3 },
      { header: 'worst', value: (row) => row.worst, digits: 3 },
      { header: 'rows', value: (row) => row.rows, format: 'count' },
    ])
    output.result({ ...calibration })
    writeOut(out, saveCalibration(calibration))
    output.conclusion(
      `Thresholds for ${engine.build}${out === undefined ? '; --out keeps them' : ` are in ${out}`}: they belong to this build.`,
    )
  } finally {
    await engine.dispose()
  }
}
