#!/usr/bin/env node
// npx @ft/intensity-guide: plans the protection of a model or of a network of the zoo, on the command line.
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import process from 'node:process'
import { Command, InvalidArgumentError } from 'commander'
import { FtError, isFtError } from '@ft/core'
import { createOutput, terminalFromEnvironment } from '@ft/report'
import { findDevice } from '../devices.ts'
import { savePlan } from '../plan.ts'
import { readLayerList, readOnnx, type ReadNetwork } from '../readModel.ts'
import { zoo, zooNames, type ZooName } from '../zoo/index.ts'
import { showPlan, type PlanFlags } from './show.ts'

interface Flags extends PlanFlags {
  readonly device: string
  readonly input: Record<string, number[]>
  readonly bind: Record<string, number>
  readonly json: boolean
  readonly resolution?: [number, number]
  readonly batch: number
}

const program = new Command('intensity-guide')
  .description('Which fault protection should each layer of a network get on this device?')
  .option('--device <name>', 'device of the catalogue', 't4')
  .option('--target <target>', 'wasm, webgpu, gpujs, onnx or tfjs', 'webgpu')
  .option('--rule <rule>', "'intensity' (the paper's) or 'cost' (the cheapest by the cost model)", 'intensity')
  .option('--sensitivity <share>', 'largest error that may go unseen, as a share of the outputs’ rms', positive)
  .option('--dtype <type>', 'element type served in; default the device’s')
  .option('--input <name=1x3x224x224>', 'shape of an input of the model; repeat it', shapeOption, {})
  .option('--bind <name=n>', 'size of a named dimension; repeat it', bindOption, {})
  .option('--batch <n>', 'samples a pass, for the zoo', whole, 1)
  .option('--resolution <HxW>', 'input pixels, for the zoo', resolutionOption)
  .option('--json', 'the plan as JSON', false)
program
  .command('plan <model>', { isDefault: true })
  .description('an ONNX file, a JSON list of layers, or a network of the zoo')
  .action((model: string) => run(model))
program
  .command('zoo')
  .description('the built-in networks')
  .action(() => void process.stdout.write(`${zooNames.join('\n')}\n`))
program.addHelpText(
  'after',
  '\nExamples:\n  intensity-guide resnet50 --resolution 1080x1920 --device t4\n  intensity-guide model.onnx --input data=1x3x224x224 --device h100 --rule cost',
)

await program.parseAsync()

function run(model: string): void {
  const flags = program.opts<Flags>()
  const output = createOutput({
    stdout: process.stdout,
    stderr: process.stderr,
    json: flags.json,
    ...terminalFromEnvironment({ json: flags.json }),
  })
  try {
    const network = open(model, flags)
    const plan = showPlan(network, findDevice(flags.device), flags, output)
    if (flags.json) process.stdout.write(`${savePlan(plan)}\n`)
  } catch (error) {
    if (!isFtError(error)) throw error
    process.stderr.write(`${error.message}\n`)
    process.exitCode = 2
  }
}

function open(model: string, flags: Flags): ReadNetwork {
  if ((zooNames as readonly string[]).includes(model)) {
    const { batch, resolution } = flags
    return { ...zoo(model as ZooName, { batch, ...(resolution ? { resolution } : {}) }), skipped: [], unsupported: [] }
  }
  let bytes: Uint8Array
  try {
    bytes = readFileSync(model)
  } catch (cause) {
    const message = `${model} is neither a readable file nor a network of the zoo (${zooNames.join(', ')})`
    throw new FtError('IO', message, { model }, { cause })
  }
  const name = basename(model)
  return model.endsWith('.json')
    ? readLayerList(new TextDecoder().decode(bytes), { name })
    : readOnnx(bytes, { name, inputs: flags.input, bind: flags.bind })
}

function whole(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 1) throw new InvalidArgumentError('must be a whole number above 0')
  return value
}

function positive(text: string): number {
  const value = Number(text)
  if (!(value > 0)) throw new InvalidArgumentError('must be a number above 0')
  return value
}

function shapeOption(text: string, all: Record<string, number[]>): Record<string, number[]> {
  const [name = '', shape = ''] = text.split('=')
  if (!name || !/^\d+(x\d+)*$/.test(shape)) throw new InvalidArgumentError('must read name=1x3x224x224')
  return { ...all, [name]: shape.split('x').map(whole) }
}

function bindOption(text: string, all: Record<string, number>): Record<string, number> {
  const [name = '', size = ''] = text.split('=')
  if (!name) throw new InvalidArgumentError('must read name=8')
  return { ...all, [name]: whole(size) }
}

function resolutionOption(text: string): [number, number] {
  const [height = '', width = ''] = text.split('x')
  return [whole(height), whole(width)]
}
