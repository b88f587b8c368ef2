// abft-kernels soak: one process a processor core, each multiplying and checking until the time is over.
import { spawn } from 'node:child_process'
import { cpus } from 'node:os'
import process from 'node:process'
import { assertInteger, type EngineName } from '@ft/core'
import type { Output } from '@ft/report'
import { soak, type SoakResult } from '../campaign/soak.ts'
import { openEngine } from './options.ts'

export interface SoakFlags {
  readonly engine: EngineName
  readonly seconds: number
  readonly seed: number
  readonly cores?: number
  readonly core?: number
}

export async function runSoak(flags: SoakFlags, output: Output): Promise<void> {
  if (flags.core !== undefined) return soakHere(flags, output)
  if (flags.cores !== undefined) assertInteger(flags.cores, { where: 'soak', argument: '--cores', min: 1 })
  // Systems that hide their processors have one all the same.
  const most = Math.max(1, cpus().length)
  // A GPU is one device: a second process on it would only share its time.
  const cores = Math.min(flags.cores ?? (flags.engine === 'webgpu' ? 1 : Infinity), most)
  output.settings('soak', { engine: flags.engine, seconds: flags.seconds, seed: flags.seed, cores })
  const results = await Promise.all(Array.from({ length: cores }, (_, core) => onCore(core, flags)))
  output.table(results, [
    { header: 'core', value: (row) => row.core, format: 'plain' },
    { header: 'pinned', value: (row) => row.pinned },
    { header: 'products', value: (row) => row.products, format: 'count' },
    { header: 'checks', value: (row) => row.checks, format: 'count' },
    { header: 'GFLOP', value: (row) => (2 * row.multiplyAdds) / 1e9 },
    { header: 'faults', value: (row) => row.faults, format: 'count' },
    { header: 'unrepeatable', value: (row) => row.unrepeatable, format: 'count' },
    { header: 'false alarms', value: (row) => row.falseAlarms, format: 'count' },
  ])
  for (const result of results) output.result({ ...result })
  const liars = results.filter(({ faults, unrepeatable }) => faults + unrepeatable > 0)
  if (liars.length > 0) process.exitCode = 1
  output.conclusion(
    liars.length === 0
      ? `No ${flags.engine === 'webgpu' ? 'product on the GPU was computed' : 'core computed'} wrongly in ${flags.seconds} s.`
      : `Computed wrongly: ${flags.engine === 'webgpu' ? `${liars[0]?.build} with ` : ''}core ${liars.map(({ core }) => core).join(', core ')}.`,
  )
}

async function soakHere(flags: SoakFlags, output: Output): Promise<void> {
  const engine = await openEngine(flags.engine, { instrumented: false })
  try {
    const { seconds, seed, core = 0 } = flags
    output.result({ build: engine.build, ...(await soak({ engine, seconds, seed: seed + core })) })
  } finally {
    await engine.dispose()
  }
}

type CoreResult = SoakResult & { readonly build: string; readonly core: number; readonly pinned: boolean }

/** The command again for one core, pinned where the system has `taskset`; a GPU's process belongs to no core. */
async function onCore(core: number, { engine, seconds, seed }: SoakFlags): Promise<CoreResult> {
  const own = [
    process.argv[1] ?? '',
    'soak',
    '--engine',
    engine,
    '--seconds',
    String(seconds),
    '--seed',
    String(seed),
    '--core',
    String(core),
    '--json',
  ]
  const node = [...process.execArgv, ...own]
  const pinned =
    engine === 'webgpu'
      ? undefined
      : await capture('taskset', ['-c', String(core), process.execPath, ...node]).catch(() => undefined)
  const text = pinned ?? (await capture(process.execPath, node))
  return { ...(JSON.parse(text) as Omit<CoreResult, 'core' | 'pinned'>), core, pinned: pinned !== undefined }
}

function capture(command: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    let text = ''
    child.stdout.setEncoding('utf8').on('data', (part: string) => (text += part))
    child.once('error', reject)
    child.once('exit', (code) => (code === 0 ? resolve(text) : reject(new Error(`${command} ended with code ${code}`))))
  })
}
