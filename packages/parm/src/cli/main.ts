#!/usr/bin/env node
// The command `parm`: serves a model in coding groups by a configuration file.
import { readFile } from 'node:fs/promises'
import { isFtError } from '@ft/core'
import { Command } from 'commander'
import { createGateway } from '../gateway/gateway.ts'
import { parseConfig } from './config.ts'

const program = new Command('parm').description('Serves predictions; late ones are answered from coded ones.')

program
  .command('serve')
  .description('Serve a model by a configuration file, until SIGTERM or SIGINT')
  .requiredOption('--config <file>', 'JSON configuration')
  .action(async ({ config }: { config: string }) => {
    const gateway = await createGateway(parseConfig(await readFile(config, 'utf8'), config))
    console.log(`serving at ${gateway.url}`)
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

program.parseAsync().catch((error: unknown) => {
  console.error(isFtError(error) ? error.message : error)
  process.exitCode = 1
})
