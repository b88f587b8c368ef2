#!/usr/bin/env node
// The command `parm`: serves a model in coding groups by a configuration file.
import { isFtError } from '@ft/core'
import { Command, InvalidArgumentError } from 'commander'
import { createGateway } from '../gateway/gateway.ts'
import { printAdvice } from './advise.ts'
import { readConfig } from './config.ts'

const program = new Command('parm')
  .description('Serves predictions; late ones are answered from coded ones.')
  // Wrong use ends with 2, as a bad file does.
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))

program
  .command('serve')
  .description('Serve a model by a configuration file, until SIGTERM or SIGINT')
  .requiredOption('--config <file>', 'JSON configuration')
  .action(async ({ config }: { config: string }) => {
    const gateway = await createGateway(await readConfig(config))
    console.log(`serving at ${[gateway.url, gateway.grpcUrl].filter(Boolean).join(' and ')}`)
    await new Promise<void>((resolve) => {
      process.once('SIGTERM', resolve)
      process.once('SIGINT', resolve)
    })
    console.log('draining')
    await gateway.close()
    const { counts } = gateway.snapshot()
    console.log(
      `answered ${counts.query ?? 0} queries: ${counts.exact ?? 0} exact, ${counts.reconstructed ?? 0} reconstructed`,
    )
  })

program
  .command('advise')
  .description('Say which redundancy a service should use, by simulating all on its own trace')
  .argument('<trace>', 'CSV with columns arrival_ms, latency_ms and, where known, instance')
  .requiredOption('--instances <n>', 'instances that served the trace', whole(1))
  .option('--target <ms>', 'the p99.9 that would do', positive)
  .option('--queries <n>', 'simulated queries a choice', whole(1), 30_000)
  .option('--seed <n>', 'seed of the simulation', whole(0), 1)
  .option('--json', 'print JSON', false)
  .action(
    (trace: string, flags: { instances: number; target?: number; queries: number; seed: number; json: boolean }) =>
      printAdvice(trace, {
        ...flags,
        ...(flags.target === undefined ? {} : { targetMs: flags.target }),
      }),
  )

function positive(text: string): number {
  const value = Number(text)
  if (!(value > 0) || !Number.isFinite(value)) throw new InvalidArgumentError('must be a positive number')
  return value
}

function whole(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (text.trim() !== '' && Number.isSafeInteger(value) && value >= least) return value
    throw new InvalidArgumentError(`must be an integer of at least ${least}`)
  }
}

program.parseAsync().catch((error: unknown) => {
  console.error(isFtError(error) ? error.message : error)
  process.exitCode = isFtError(error) ? 2 : 1
})
