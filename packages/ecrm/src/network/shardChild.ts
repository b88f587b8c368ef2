// Starts and ends the processes that shards live in.
import { spawn, type ChildProcess } from 'node:child_process'
import { FtError } from '@ft/core'
import { shardProcess } from '../generated/shardProcess.ts'
import { heapLimit } from './heap.ts'

export interface ShardChild {
  readonly pid: number
  /** Resolves to the loopback port it listens on, 0 where it listens at a path; rejects when it ends before. */
  readonly port: Promise<number>
  /** Resolves when the process has ended, however it did; to the last lines it wrote to its standard error. */
  readonly ended: Promise<string>
  /** It stands by, and may use the time: see warmUp.ts. Does it once, however often it is told. */
  warmUp(): void
  kill(signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): void
}

const keptErrors = 2_000

/**
 * Differs from a fork of a file: the program is handed over as text, so that it runs alike from sources, ESM and CommonJS.
 *
 * @param path - of a socket to listen at, in a folder that is this run's alone; default a port of the loopback
 * @param redis - where ioredis is, for a process that owns Redis nodes
 */
export function startShardChild(token: Uint32Array, path?: string, redis?: string): ShardChild {
  const child: ChildProcess = spawn(process.execPath, [heapLimit, '-'], {
    stdio: ['pipe', 'ignore', 'pipe', 'ipc'],
    env: {},
  })
  let errors = ''
  child.stderr!.setEncoding('utf8').on('data', (text: string) => (errors = (errors + text).slice(-keptErrors)))
  const ended = new Promise<string>((resolve) => {
    child.once('exit', () => resolve(errors))
    child.once('error', (error) => resolve(String(error)))
  })
  const port = new Promise<number>((resolve, reject) => {
    child.once('message', (message) => resolve((message as { port: number }).port))
    void ended.then((text) =>
      reject(
        new FtError('IO', `shard: the process ended before it listened; ${text || 'it said nothing'}`, {
          errors: text,
        }),
      ),
    )
  })
  // Who does not ask is not told: a spare may die before it is needed.
  port.catch(() => undefined)
  child.stdin!.on('error', () => undefined)
  child.stdin!.end(shardProcess)
  child.send({ token: Array.from(token), path, redis }, () => undefined)
  const warmUp = (): void => {
    if (child.connected) child.send('warm up', () => undefined)
  }
  return { pid: child.pid ?? -1, port, ended, warmUp, kill: (signal) => void child.kill(signal) }
}
