// The built command.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const command = fileURLToPath(new URL('../dist/main.js', import.meta.url))

it.skipIf(!existsSync(command))('says before the first step that its report cannot be written', () => {
  const run = spawnSync(process.execPath, [command, '--only', 'flights', '--html', 'none/report.html'], {
    encoding: 'utf8',
    timeout: 30_000,
  })
  expect([run.status, run.stdout]).toEqual([1, ''])
  expect(run.stderr).toMatch('cannot write none/report.html: ENOENT')
})
