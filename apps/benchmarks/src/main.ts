// npm run bench -- NAME [--quick] [--json]: one bench, one figure a line.
import { mkdir } from 'node:fs/promises'
import process from 'node:process'
import { Command, InvalidArgumentError } from 'commander'
import type { Bench } from './bench.ts'
import { createContext, type Flags } from './support/context.ts'
import { deviceName } from './support/device.ts'

/** Every bench by its name; loaded when it is run, so that one bench never needs another's peers. */
const benches: Readonly<Record<string, () => Promise<Bench>>> = {
  abft: async () => (await import('./abft.ts')).abft,
  'abft-onnx': async () => (await import('./abftOnnx.ts')).abftOnnx,
  'abft-coverage': async () => (await import('./abftCoverage.ts')).abftCoverage,
  ecrm: async () => (await import('./ecrm.ts')).ecrm,
  'ecrm-recovery': async () => (await import('./ecrmRecovery.ts')).ecrmRecovery,
  'ecrm-scale': async () => (await import('./ecrmScale.ts')).ecrmScale,
  gemm: async () => (await import('./gemm.ts')).gemm,
  guide: async () => (await import('./guide.ts')).guide,
  'gemm-webgpu': async () => (await import('./gemmWebgpu.ts')).gemmWebgpu,
  'parm-accuracy': async () => (await import('./parmAccuracy.ts')).parmAccuracy,
  'parm-tail': async () => (await import('./parmTail.ts')).parmTail,
  'dart-quality': async () => (await import('./dartQuality.ts')).dartQuality,
  dart: async () => (await import('./dart.ts')).dart,
  tfjs: async () => (await import('./tfjs.ts')).tfjs,
  flights: async () => (await import('./flights.ts')).flights,
}

const program = new Command('bench')
  .argument('<name>', Object.keys(benches).join(', '))
  .option('--quick', 'fewer cases and rounds', false)
  .option('--json', 'one JSON object a line', false)
  .option('--seed <n>', 'seed of the data', wholeNumber, 1)
  .option('--case <part>', 'one part of a bench that has parts')
  .option('--resume <folder>', 'keep the state of trainings there, and go on from it')
  .action(run)

await program.parseAsync()

function wholeNumber(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 0) throw new InvalidArgumentError('must be a whole number')
  return value
}

async function run(name: string, flags: Flags): Promise<void> {
  const { quick, json, seed, case: part, resume } = flags
  const load = benches[name]
  if (!load) program.error(`no bench ${name}; benches: ${Object.keys(benches).join(', ')}`)
  const bench = await (load as () => Promise<Bench>)()
  const { parts = [] } = bench
  if (part !== undefined && !parts.includes(part))
    program.error(parts.length === 0 ? `bench ${name} has no parts` : `no part ${part}; parts: ${parts.join(', ')}`)
  const device = deviceName()
  if (!json) process.stdout.write(`${bench.title}\n${device}, seed ${seed}${quick ? ', quick' : ''}\n\n`)
  if (resume !== undefined) await mkdir(resume, { recursive: true })
  await bench.run(createContext(name, flags, device))
}
