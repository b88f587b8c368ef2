// Starting and ending worker processes.
import { fork, type ChildProcess } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { FtError } from '@ft/core'
import type { WorkerFaults } from './faults.ts'
import type { WorkerModel, WorkerOrder } from './served.ts'

export interface StartWorkerOptions {
  readonly model: WorkerModel
  /** Faults that it injects into itself. Default: none. */
  readonly faults?: WorkerFaults
  /** The process's entry. Default: the one in this package's build. */
  readonly workerFile?: string
  /** Milliseconds that it may take to load its model. Default 30,000. */
  readonly startTimeoutMs?: number
}

export interface WorkerProcess {
  /** Path of its local socket. */
  readonly address: string
  readonly pid: number
  /** Resolves when it has ended, for whatever reason. */
  readonly exited: Promise<void>
  /** Default SIGKILL: workers leave SIGTERM and SIGINT to their parent. */
  kill(signal?: NodeJS.Signals): void
  /** Ends it and removes its socket. */
  stop(): Promise<void>
}

/**
 * Starts a process that serves one model on a local socket.
 *
 * @throws FtError `IO` when it ends or stays silent instead, with what it said
 */
export async function startWorker(options: StartWorkerOptions): Promise<WorkerProcess> {
  const { model, faults, workerFile = builtEntry(), startTimeoutMs = 30_000 } = options
  const folder = await mkdtemp(join(tmpdir(), 'ft-parm-'))
  const order: WorkerOrder = { model, ...(faults ? { faults } : {}), socketPath: join(folder, 'worker.sock') }
  const child = fork(workerFile, [JSON.stringify(order)], {
    execArgv: [],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => resolve())
    child.once('error', () => resolve())
  })
  const stop = async () => {
    child.kill('SIGKILL')
    await exited
    await rm(folder, { recursive: true, force: true })
  }
  try {
    await untilReady(child, { exited, startTimeoutMs })
  } catch (error) {
    await stop()
    throw error
  }
  return {
    address: order.socketPath,
    pid: child.pid as number,
    exited,
    kill: (signal = 'SIGKILL') => void child.kill(signal),
    stop,
  }
}

async function untilReady(child: ChildProcess, o: { exited: Promise<void>; startTimeoutMs: number }): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const reason = await Promise.race([
    new Promise<string | undefined>((resolve) =>
      child.once('message', (message: { failed?: string }) => resolve(message.failed)),
    ),
    o.exited.then(() => 'it ended'),
    new Promise<string>((resolve) => {
      timer = setTimeout(() => resolve(`it was silent for ${o.startTimeoutMs} ms`), o.startTimeoutMs)
    }),
  ])
  clearTimeout(timer)
  if (reason !== undefined) throw new FtError('IO', `startWorker: the worker did not start: ${reason}`, { reason })
}

/** The built entry lies beside the file that this code ends up in, or one folder above. */
function builtEntry(): string {
  const candidates = ['./workers/main.js', '../workers/main.js'].map((path) =>
    fileURLToPath(new URL(path, import.meta.url)),
  )
  const found = candidates.find((path) => existsSync(path))
  if (found !== undefined) return found
  throw new FtError('IO', 'startWorker: the worker entry is not there; pass `workerFile`, or build the package', {
    candidates,
  })
}
