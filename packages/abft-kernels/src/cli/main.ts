#!/usr/bin/env node
// npx @ft/abft-kernels: campaigns, calibration, protected ONNX models, soak runs.
import process from 'node:process'
import { Command, Option } from 'commander'
import { isFtError } from '@ft/core'
import { createOutput, terminalFromEnvironment, type Output } from '@ft/report'
import { checksumWeightKinds } from '../randomWeights/checksums.ts'
import { allSchemes } from '../runner.ts'
import { campaign, type CampaignFlags } from './campaign.ts'
import { engineName, inputOption, positive, positiveWhole, shapeOption, whole } from './options.ts'
import { protect, runCalibrate, type CalibrateFlags, type ProtectFlags } from './protect.ts'
import { STOPPED } from './shards.ts'
import { runSoak, type SoakFlags } from './soak.ts'

const program = new Command('abft-kernels')
  .description(
    'Matrix products that find, locate and correct their own errors: try them, tune them, put them into models',
  )
  // Wrong use ends with 2, as a bad file does.
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))

program
  .command('campaign')
  .description('inject faults into the kernels and count what the checks find')
  .option('--engine <name>', 'wasm, reference or webgpu', engineName, 'wasm')
  .addOption(
    new Option('--scheme <name>', 'the check').choices(allSchemes.filter((name) => name !== 'none')).default('row'),
  )
  .addOption(
    new Option('--checksum-weights <kind>', 'of row, column, row-column and global checks')
      .choices(checksumWeightKinds)
      .default('ones'),
  )
  .option('--shape <MxKxN>', 'a product; repeat it', shapeOption, [])
  .option('--model <file>', 'an ONNX model: its products, each on its own')
  .option('--input <name=1x3x224x224>', 'shape of an input of the model; repeat it', inputOption, {})
  .option('--trials <n>', 'faults', positiveWhole, 2000)
  .option('--seed <n>', 'seed of data and faults', whole, 1)
  .option('--confidence <share>', 'of the intervals', positive, 0.95)
  .option('--calibration <file>', 'thresholds made by calibrate; default hard bounds')
  .option('--out <file>', 'result as JSON; the same command goes on from an unfinished one')
  .option('--svg <file>', 'picture of detection by bit')
  .addOption(
    new Option('--by <what>', 'rows of the table').choices(['site', 'layer', 'bit', 'model', 'all']).default('site'),
  )
  .option('--jobs <n>', 'processes', positiveWhole, 1)
  .addOption(new Option('--shard <i/n>').hideHelp())
  .option('--json', 'one JSON object', false)
  .action((flags: CampaignFlags & { json: boolean }) => run(flags, (output) => campaign(flags, output)))

program
  .command('calibrate')
  .description("measure an engine's rounding noise, for tight thresholds")
  .option('--engine <name>', 'wasm, reference or webgpu', engineName, 'wasm')
  .option('--trials <n>', 'matrices of each distribution and length', positiveWhole, 12)
  .option('--seed <n>', 'seed of the data', whole, 1)
  .option('--out <file>', 'thresholds as JSON')
  .option('--json', 'one JSON object', false)
  .action((flags: CalibrateFlags & { json: boolean }) => run(flags, (output) => runCalibrate(flags, output)))

program
  .command('protect <model>')
  .description('write checks into an ONNX model')
  .addOption(new Option('--scheme <name>', 'for every layer').choices(['global', 'row', 'replication']).default('row'))
  .option('--plan <file>', 'a plan of intensity-guide for target onnx, instead of one scheme')
  .option('--input <name=1x3x224x224>', 'shape of an input; repeat it', inputOption, {})
  .option('--out <file>', 'the protected model', 'protected.onnx')
  .option('--json', 'one JSON object', false)
  .action((model: string, flags: ProtectFlags & { json: boolean }) =>
    run(flags, (output) => protect(model, flags, output)),
  )

program
  .command('soak')
  .description('multiply and check on every core, or on the GPU, until the time is over, and name the one that lies')
  .option('--engine <name>', 'wasm, reference or webgpu', engineName, 'wasm')
  .option('--seconds <n>', 'how long', positive, 10)
  .option('--seed <n>', 'seed of the products', whole, 1)
  .option('--cores <n>', 'how many cores; default all, one process for webgpu', positiveWhole)
  .addOption(new Option('--core <n>').argParser(whole).hideHelp())
  .option('--json', 'one JSON object a core', false)
  .action((flags: SoakFlags & { json: boolean }) => run(flags, (output) => runSoak(flags, output)))

program.addHelpText(
  'after',
  '\nExamples:\n  abft-kernels campaign --shape 128x1024x256 --scheme row --trials 5000 --svg detection.svg\n' +
    '  abft-kernels protect model.onnx --scheme global --out safe.onnx',
)

await program.parseAsync()

async function run({ json }: { json: boolean }, work: (output: Output) => void | Promise<void>): Promise<void> {
  const output = createOutput({
    stdout: process.stdout,
    stderr: process.stderr,
    json,
    ...terminalFromEnvironment({ json }),
  })
  try {
    await work(output)
  } catch (error) {
    if (!isFtError(error)) throw error
    process.stderr.write(`${error.message}\n`)
    process.exitCode = error.code === 'ABORTED' ? STOPPED : 2
  } finally {
    output.end()
  }
}
