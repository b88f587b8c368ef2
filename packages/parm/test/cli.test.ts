// The command as it is run: a process of its own, with workers, that answers, drains and ends.
import { spawn, type ChildProcess } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { buildCommand, tripleModule } from './support/worker.ts'

let built: Awaited<ReturnType<typeof buildCommand>>
const running: ChildProcess[] = []
beforeAll(async () => {
  built = await buildCommand()
})
afterEach(() => {
  for (const child of running.splice(0)) {
    try {
      process.kill(-(child.pid as number), 'SIGKILL')
    } catch {
      // All of it has ended
    }
  }
})
afterAll(() => built.remove())

/** Runs the command; a group of its own, so that a signal can reach all of it. */
function run(...args: string[]) {
  const child = spawn(process.execPath, [built.command, ...args], {
    detached: true,
    cwd: built.folder,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  running.push(child)
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (said += chunk.toString()))
  // Its end, and that of all who write where it wrote
  const ended = new Promise<number | NodeJS.Signals | null>((resolve) =>
    child.once('close', (code, signal) => resolve(code ?? signal)),
  )
  return {
    pid: child.pid as number,
    kill: (signal: NodeJS.Signals) => void child.kill(signal),
    ended,
    said: () => said,
  }
}

async function serve(config: object) {
  const file = join(built.folder, 'parm.json')
  writeFileSync(file, JSON.stringify({ model: 'm', port: 0, ...config }))
  const own = run('serve', '--config', file)
  await expect.poll(own.said, { timeout: 20_000 }).toMatch(/serving at \S+\n/)
  const url = /serving at (\S+)/.exec(own.said())?.[1] as string
  return { ...own, url }
}

const ask = async (url: string) => {
  const body = JSON.stringify({ inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 2] }] })
  const response = await fetch(`${url}/v2/models/m/infer`, { method: 'POST', body })
  return { status: response.status, ...((await response.json()) as object) }
}

const workers = (options: object = {}) => [{ module: tripleModule, options, workers: 2 }]

describe('parm serve', { timeout: 30_000 }, () => {
  it('serves by its file, drains on SIGTERM and ends well', async () => {
    const gateway = await serve({ instances: workers({ delayMs: 300 }) })
    expect(await ask(gateway.url)).toMatchObject({ status: 200, outputs: [{ data: [3, 6] }] })
    const asked = ask(gateway.url)
    await new Promise((resolve) => setTimeout(resolve, 100))
    gateway.kill('SIGTERM')
    expect(await asked).toMatchObject({ status: 200, outputs: [{ data: [3, 6] }] })
    expect(await gateway.ended).toBe(0)
    expect(gateway.said()).toMatch(/draining\nanswered 2 queries: 2 exact, 0 reconstructed\n$/)
  })

  it.each(['SIGTERM', 'SIGINT'] as const)('answers what is in progress when all its group gets %s', async (signal) => {
    const gateway = await serve({ instances: workers({ delayMs: 500 }) })
    const asked = ask(gateway.url)
    await new Promise((resolve) => setTimeout(resolve, 200))
    process.kill(-gateway.pid, signal)
    expect(await asked).toMatchObject({ status: 200, outputs: [{ data: [3, 6] }] })
    expect(await gateway.ended).toBe(0)
  })

  it('takes its workers with it when it is killed', async () => {
    const gateway = await serve({ instances: workers() })
    gateway.kill('SIGKILL')
    // That is: nobody has the standard error any more that they have from it
    expect(await gateway.ended).toBe('SIGKILL')
  })
})

async function outcome(...args: string[]): Promise<[unknown, string]> {
  const own = run(...args)
  return [await own.ended, own.said()]
}

it('says in a line what is wrong with a file that is not there, and lists what is wrong with one that is', async () => {
  expect(await outcome('serve', '--config', 'none.json')).toEqual([2, 'cannot read the configuration none.json\n'])
  expect(await outcome('advise', 'none.csv', '--instances', '4')).toEqual([2, 'cannot read the trace none.csv\n'])
  writeFileSync(join(built.folder, 'bad.json'), '{ "model": "m", "instances": [], "polcy": 1 }')
  const [code, said] = await outcome('serve', '--config', 'bad.json')
  expect([code, said]).toEqual([2, expect.stringMatching(/^bad.json has 2 mistake\(s\):\n {2}\S+: .+\n {2}\S+: .+\n$/)])
})

describe('parm advise', { timeout: 30_000 }, () => {
  /** A trace with one late answer in fifty, and half the instances busy. */
  const write = () => {
    const line = (i: number) => `${10 * i},${20 + (i % 50 === 0 ? 100 : 0)},i${i % 4}`
    const lines = ['arrival_ms,latency_ms,instance', ...Array.from({ length: 600 }, (_, i) => line(i))]
    writeFileSync(join(built.folder, 'trace.csv'), lines.join('\n'))
  }

  it('recommends by a trace, the same for the same seed', async () => {
    write()
    const ask = async (seed: string) => {
      const flags = ['--instances', '4', '--target', '60', '--queries', '3000', '--seed', seed, '--json']
      const [code, said] = await outcome('advise', 'trace.csv', ...flags)
      expect([code, said]).toEqual([0, expect.stringContaining('recommended')])
      return JSON.parse(said) as {
        cause: string
        found: { lateShare: number }
        choices: { name: string; p50: number }[]
      }
    }
    const [first, again, other] = [await ask('0'), await ask('0'), await ask('7')]
    expect(first).toMatchObject({ cause: 'chance', found: { lateShare: 0.02 } })
    expect(again).toEqual(first)
    expect(other.choices).not.toEqual(first.choices)
    const [code, said] = await outcome('advise', 'trace.csv', '--instances', '4', '--queries', '3000')
    expect([code, said]).toEqual([0, expect.stringMatching(/2.00 % late[^]*choice[^]*p99.9[^]*\nuse: .+\.\n$/)])
  })

  it.each([
    ['--instances', '2.5'],
    ['--queries', '0'],
    ['--seed', '-1'],
    ['--target', 'x'],
  ])('refuses %s %s', async (flag, value) => {
    write()
    const flags = flag === '--instances' ? [flag, value] : ['--instances', '4', flag, value]
    expect(await outcome('advise', 'trace.csv', ...flags)).toEqual([2, expect.stringContaining(flag)])
  })
})
