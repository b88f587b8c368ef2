// A gateway as a process of its own, as `parm serve` starts it; what it says of itself comes from its /metrics.
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export interface GatewayProcess {
  readonly url: string
  /** When its configuration asks for gRPC. */
  readonly grpcUrl: string | undefined
  /** Value of a metric; labels as they are written, such as '{quality="exact"}'. */
  metric(name: string, labels?: string): Promise<number>
  stop(): Promise<void>
}

/** A bench that is ended, as by a time limit, leaves no gateway behind. */
const running = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})
for (const signal of ['SIGTERM', 'SIGINT'] as const)
  process.once(signal, () => {
    if (running.size > 0) process.exit(1)
    process.kill(process.pid, signal)
  })

/** @param config - as in the file that `parm serve` reads */
export async function startGateway(config: object): Promise<GatewayProcess> {
  const folder = await mkdtemp(join(tmpdir(), 'parm-bench-'))
  const file = join(folder, 'parm.json')
  await writeFile(file, JSON.stringify({ port: 0, ...config }))
  const cli = fileURLToPath(new URL('cli/main.js', import.meta.resolve('@ft/parm')))
  const child = spawn(process.execPath, [cli, 'serve', '--config', file], { stdio: ['ignore', 'pipe', 'inherit'] })
  running.add(child)
  child.once('exit', () => running.delete(child))
  const { url, grpcUrl } = await urlsOf(child)
  return {
    url,
    grpcUrl,
    async metric(name, labels = '') {
      const text = await (await fetch(`${url}/metrics`)).text()
      const line = text.split('\n').find((one) => one.startsWith(`${name}${labels} `))
      if (line === undefined) throw new Error(`the gateway has no metric ${name}${labels}`)
      return Number(line.slice(line.lastIndexOf(' ') + 1))
    },
    async stop() {
      const exited = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGTERM')
      await exited
      await rm(folder, { recursive: true, force: true })
    },
  }
}

function urlsOf(child: ChildProcess): Promise<{ url: string; grpcUrl: string | undefined }> {
  return new Promise((resolve, reject) => {
    let printed = ''
    child.stdout?.on('data', (chunk: Buffer) => {
      printed += chunk.toString()
      const [, url, grpcUrl] = /serving at (\S+)(?: and (\S+))?\n/.exec(printed) ?? []
      if (url !== undefined) resolve({ url, grpcUrl })
    })
    child.once('exit', (code) => reject(new Error(`the gateway ended with ${code}`)))
  })
}
