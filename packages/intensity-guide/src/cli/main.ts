#!/usr/bin/env node
// npx @ft/intensity-guide: plans the protection of a model or of a network of the zoo, on the command line.
import process from 'node:process'
import { Command, InvalidArgumentError, Option } from 'commander'
import { isFtError, type FtError } from '@ft/core'
import { createOutput, terminalFromEnvironment } from '@ft/report'
import { zooNames } from '../zoo/index.ts'
import { plan, type Flags } from './plan.ts'

const program = new Command('intensity-guide')
  .description('Which fault protection should each layer of a network get on this device?')
  // Wrong use ends with 2, as a bad file does.
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))
  .option('--device <name>', "device of the catalogue; with a runner also 'measured'. Default t4, or measured")
  .option('--target <target>', 'wasm, webgpu, gpujs, onnx or tfjs; default webgpu, or with a runner its engine')
  .option('--rule <rule>', "'intensity' (the paper's) or 'cost' (the cheapest by the cost model)", 'intensity')
  .option('--sensitivity <share>', 'largest error that may go unseen, as a share of the outputs’ rms', positive)
  .option('--budget <percent>', 'at most so much extra time, least residual risk', notNegative)
  .option('--dtype <type>', 'element type served in; default the device’s')
  .option(
    '--profile [layers]',
    "measure on this machine: 'all' layers one by one, those of the 'band' around the ridge, or all in passes over the 'network'",
  )
  .option('--runner <module>', 'what runs layers when measuring', '@ft/abft-kernels/runner')
  .option('--cache <folder>', 'where measurements are kept, so that profiling resumes')
  .addOption(
    new Option('--rounds <n>', 'rounds of measuring: half of them choose, half judge').argParser(whole).default(24),
  )
  .addOption(new Option('--seed <n>', 'seed of operands and order').argParser(Number).default(1))
  .option('--input <name=1x3x224x224>', 'shape of an input of the model; repeat it', shapeOption, {})
  .option('--bind <name=n>', 'size of a named dimension; repeat it', bindOption, {})
  .option('--value <name=n>', 'whole number that an input holds, where it decides shapes; repeat it', valueOption, {})
  .option('--batch <n>', 'samples a pass', whole)
  .option('--resolution <HxW>', 'input pixels, for the zoo', resolutionOption)
  .option('--tokens <n>', 'tokens of a prompt, for language models', whole)
  .option('--phase <phase>', "of language models: 'prefill' or 'decode'", 'prefill')
  .option('--json', 'the plan as JSON', false)
  .option('--html <file>', 'also write a report, one file')
  .option('--svg <file>', 'also write the roofline as a picture')
  .option('--sweep <what=values>', 'what if: totals for batch=1,8,64, resolution=, tokens= or device=t4,h100')
program
  .command('plan <model>', { isDefault: true })
  .description(
    'an ONNX file, a TensorFlow.js model.json, a config.json, a JSON list of layers, or a network of the zoo',
  )
  .action((model: string) => run(model))
program
  .command('zoo [network]')
  .description('the built-in networks, or the plan of one')
  .action((network?: string) => (network === undefined ? list() : run(network, { zooOnly: true })))
program.addHelpText(
  'after',
  '\nExamples:\n' +
    '  intensity-guide zoo resnet50 --resolution 1080x1920 --device t4 --html plan.html\n' +
    '  intensity-guide model.onnx --input data=1x3x224x224 --profile --json > plan.json\n' +
    '  intensity-guide config.json --tokens 2048 --phase decode --device h100',
)

await program.parseAsync()

function list(): void {
  process.stdout.write(`${zooNames.join('\n')}\n`)
}

async function run(model: string, options: { zooOnly?: boolean } = {}): Promise<void> {
  const flags = program.opts<Flags>()
  const output = createOutput({
    stdout: process.stdout,
    stderr: process.stderr,
    json: flags.json,
    ...terminalFromEnvironment({ json: flags.json }),
  })
  const stop = new AbortController()
  process.once('SIGINT', () => stop.abort())
  try {
    const command = ['npx @ft/intensity-guide', ...process.argv.slice(2)].join(' ')
    await plan(model, { flags, output, command, signal: stop.signal, ...options })
  } catch (error) {
    if (!isFtError(error)) throw error
    process.stderr.write(`${error.message}${advice(error)}\n`)
    process.exitCode = error.code === 'ABORTED' ? 130 : 2
  } finally {
    output.end()
  }
}

/** Which flag mends it, where one does. */
function advice(error: FtError): string {
  const { unbound } = error.details
  if (Array.isArray(unbound)) {
    // 'x[1]' is a dimension without a name.
    const [, input] = /^(.*)\[\d+\]$/.exec(String(unbound[0])) ?? []
    const named = input === undefined ? `--bind ${unbound[0]}=N, or --input NAME` : `or --input ${input}`
    return `\nbind it with --batch N, ${named}=1x3x224x224`
  }
  if (error.code === 'ABORTED')
    return '\nwhat was measured is kept where --cache was given: the same command goes on from there'
  return ''
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

function notNegative(text: string): number {
  const value = Number(text)
  if (!(value >= 0 && value < Infinity)) throw new InvalidArgumentError('must be a percentage of at least 0')
  return value
}

function shapeOption(text: string, all: Record<string, number[]>): Record<string, number[]> {
  const at = text.lastIndexOf('=')
  const [name, shape] = [text.slice(0, Math.max(0, at)), text.slice(at + 1)]
  if (!name || !/^\d+(x\d+)*$/.test(shape)) throw new InvalidArgumentError('must read name=1x3x224x224')
  return { ...all, [name]: shape.split('x').map(whole) }
}

function bindOption(text: string, all: Record<string, number>): Record<string, number> {
  const at = text.lastIndexOf('=')
  if (at < 1) throw new InvalidArgumentError('must read name=8')
  return { ...all, [text.slice(0, at)]: whole(text.slice(at + 1)) }
}

function valueOption(text: string, all: Record<string, number[]>): Record<string, number[]> {
  const at = text.lastIndexOf('=')
  const value = Number(text.slice(at + 1))
  if (at < 1 || text.endsWith('=') || !Number.isSafeInteger(value))
    throw new InvalidArgumentError('must read name=16000')
  return { ...all, [text.slice(0, at)]: [value] }
}

function resolutionOption(text: string): [number, number] {
  const [height = '', width = '', ...more] = text.split('x')
  if (more.length > 0) throw new InvalidArgumentError('must read 1080x1920')
  return [whole(height), whole(width)]
}
