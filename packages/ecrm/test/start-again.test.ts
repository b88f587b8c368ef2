// A program started again with a flag of Node: that it has it, what it exits with, and that it ends with who started it.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { startAgain, startedWithHeap } from '../src/cli/startAgain.ts'
import { heapLimit } from '../src/network/heap.ts'

const folder = mkdtempSync(join(tmpdir(), 'ft-again-'))
afterEach(() => rmSync(folder, { recursive: true, force: true }))

it('has the flag and its arguments, is told signals, and hands on its exit', async () => {
  const [program, out] = [join(folder, 'program.mjs'), join(folder, 'out')]
  writeFileSync(
    program,
    `import { writeFileSync } from 'node:fs'
     setTimeout(() => process.exit(1), 20_000)
     process.on('SIGHUP', () => process.exit(7))
     writeFileSync(process.argv[2], JSON.stringify([process.execArgv, process.argv[3], process.send !== undefined]))`,
  )
  expect(startedWithHeap()).toBe(false)
  const before = process.listenerCount('SIGHUP')
  const exit = startAgain([program, out, 'given'])
  while (!existsSync(out) || readFileSync(out, 'utf8') === '') await new Promise((resolve) => setTimeout(resolve, 5))
  process.emit('SIGHUP', 'SIGHUP')
  expect(await exit).toBe(7)
  const [flags, given, channel] = JSON.parse(readFileSync(out, 'utf8')) as [string[], string, boolean]
  expect(flags).toContain(heapLimit)
  expect(given).toBe('given')
  expect(channel).toBe(true)
  expect(process.listenerCount('SIGHUP')).toBe(before)
})
