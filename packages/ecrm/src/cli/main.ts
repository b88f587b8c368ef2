#!/usr/bin/env node
// npx @ft/ecrm: trains a table on erasure-coded shards, or says whether coding is worth it.
import process from 'node:process'
import { Command, InvalidArgumentError } from 'commander'
import { isFtError } from '@ft/core'
import { createOutput, terminalFromEnvironment, type Output } from '@ft/report'
import { runAdvise, type AdviseFlags } from './advise.ts'
import { endWithParent, startAgain, startedWithHeap } from './startAgain.ts'
import { runShard, type ShardFlags } from './shard.ts'
import { runTrain, type TrainFlags } from './train.ts'

const whole = (text: string): number => {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 0) throw new InvalidArgumentError('must be a whole number')
  return value
}
const number = (text: string): number => {
  const value = Number(text)
  if (!Number.isFinite(value) || value < 0) throw new InvalidArgumentError('must be a number, 0 or more')
  return value
}
const numbers = (text: string): number[] => text.split(',').map(number)
const collect = (text: string, before: string[]): string[] => [...before, text]

const program = new Command('ecrm')
  .description('Recommendation-model training that survives killed servers')
  // Wrong use ends with 2, as a bad file does.
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))
  .option('--json', 'one JSON object a line', false)
program
  .command('train')
  .description('trains a DLRM on a CSV file; its embeddings live in shard processes')
  .requiredOption('--data <file>', 'CSV with a header')
  .requiredOption('--schema <file>', 'JSON: { "label", "positive", "dense": [...], "categorical": [...] }')
  .option('--shards <n | list>', 'shard processes, default k + r; or shards elsewhere: host:port,host:port=domain,...')
  .option('--token-file <file>', 'the secret of shards elsewhere')
  .option('--redis <list>', 'Redis or Valkey nodes that hold the rows: host:port,host:port=domain,...; needs ioredis')
  .option('--owners <list>', 'ecrm shard processes that own the nodes instead of one here: host:port,host:port,...')
  .option('--name <name>', 'of the run: in the keys on nodes; at shards elsewhere, under which --resume finds it')
  .option('--resume', 'goes on where the trainer of this --name ended, however it did; shards elsewhere', false)
  .option(
    '--tls-ca <file>',
    'PEM; with --tls-cert and --tls-key connections to shards elsewhere or nodes are encrypted',
  )
  .option('--tls-cert <file>')
  .option('--tls-key <file>')
  .option('--k <n>', 'data rows a stripe', whole, 4)
  .option('--r <n>', 'shards that may die at once', whole, 1)
  .option('--d <n>', 'width of embeddings', whole, 16)
  .option('--epochs <n>', 'passes over the data', whole, 1)
  .option('--batch <n>', 'samples a step', whole, 128)
  .option('--optimizer <name>', 'of rows and dense network', 'adagrad')
  .option('--rate <x>', 'learning rate', number, 0.03)
  .option('--test <part>', 'the last part of the rows is for the test', number, 0.2)
  .option('--seed <n>', 'of weights and order', whole, 0)
  .option('--workers <n>', 'threads that train, each with its own way to the shards', whole, 1)
  .option('--mode <sync | async>', 'of several workers: together step by step, or each as fast as it can', 'sync')
  .option('--replicate', 'small hot tables stay with the trainer, as chooseProtection chooses; the same bits', false)
  .option('--leave <columns>', 'whose rows can be made again: no parity, those of a dead shard start over')
  .option('--kill <shard:2@step:500>', 'ends a shard at a step; repeat it', collect, [])
  .option('--every <n>', 'steps between lines', whole, 100)
  .option('--metrics <file>', 'Prometheus text, written again with every line')
  .option('--save <file>', 'writes a checkpoint at the end')
  .option('--onnx <file>', 'writes the model with its tables')
  .action((flags: TrainFlags) => run((output, signal) => runTrain(flags, { output, signal, command: again() })))
program
  .command('shard')
  .description('holds shards for trainers elsewhere, until it is interrupted')
  .requiredOption('--listen <host:port>', 'where; port 0: any that is free')
  .requiredOption('--token-file <file>', 'a secret that trainers must know, 16 characters or more')
  .option(
    '--tls-ca <file>',
    'PEM; with --tls-cert and --tls-key connections are encrypted and both sides show who they are',
  )
  .option('--tls-cert <file>')
  .option('--tls-key <file>')
  .action(async (flags: ShardFlags) => {
    if (!startedWithHeap()) {
      process.exitCode = await startAgain()
      return
    }
    const leave = endWithParent()
    await run((output, signal) => runShard(flags, { output, signal }))
    leave()
  })
program
  .command('advise')
  .description('checkpoints or coding: what each wastes, by a model and by simulation; times in minutes')
  .option('--mtbf <hours>', 'between failures of the job, several with commas', numbers, [4, 12, 24])
  .option('--stall <min>', 'training stands still for one checkpoint', number, 10)
  .option('--reload <min>', 'reading one back; default the stall', number)
  .option('--rebuild <min>', 'from a failure to full redundancy', number, 20)
  .option('--overhead <part>', 'of coding while nothing fails', number, 0.04)
  .option('--slowdown <part>', 'of throughput while rebuilding', number, 0.13)
  .option('--runs <n>', 'simulated runs', whole, 50)
  .option('--seed <n>', 'of the simulation', whole, 1)
  .action((flags: AdviseFlags) =>
    run((output) => {
      runAdvise(flags, { output, command: again() })
      return Promise.resolve()
    }),
  )

await program.parseAsync()

function again(): string {
  return ['npx @ft/ecrm', ...process.argv.slice(2)].join(' ')
}

async function run(command: (output: Output, signal: AbortSignal) => Promise<void>): Promise<void> {
  const { json } = program.opts<{ json: boolean }>()
  const terminal = terminalFromEnvironment({ json })
  const output = createOutput({ stdout: process.stdout, stderr: process.stderr, json, ...terminal })
  const stop = new AbortController()
  process.once('SIGINT', () => stop.abort())
  process.once('SIGTERM', () => stop.abort())
  try {
    await command(output, stop.signal)
  } catch (error) {
    if (!isFtError(error)) throw error
    process.stderr.write(`${error.message}\n`)
    process.exitCode = error.code === 'ABORTED' ? 130 : 2
  } finally {
    output.end()
  }
}
