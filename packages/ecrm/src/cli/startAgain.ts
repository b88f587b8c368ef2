// `ecrm shard` needs a flag of Node that a program cannot set for itself: it starts itself again with it.
import { spawn } from 'node:child_process'
import process from 'node:process'
import { FtError } from '@ft/core'
import { heapLimit } from '../network/heap.ts'

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** Whether this process was started with the flag. */
export const startedWithHeap = (): boolean => process.execArgv.includes(heapLimit)

/**
 * Runs a program of Node again, with the flag, and hands on what this process is told by signals. The other process is in a
 * group of its own, so that no signal reaches it twice, and ends with this one (`endWithParent`).
 *
 * @param argv - the program's file and its arguments
 * @returns what it exits with
 */
export async function startAgain(argv: readonly string[] = process.argv.slice(1)): Promise<number> {
  const child = spawn(process.execPath, [heapLimit, ...process.execArgv, ...argv], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    detached: true,
  })
  const handlers = signals.map((signal) => [signal, () => void child.kill(signal)] as const)
  for (const [signal, handler] of handlers) process.on(signal, handler)
  try {
    return await new Promise((resolve, reject) => {
      child.once('exit', (code) => resolve(code ?? 1))
      child.once('error', (cause) =>
        reject(new FtError('IO', `ecrm: ${process.execPath} cannot be started; look at the cause`, {}, { cause })),
      )
    })
  } finally {
    for (const [signal, handler] of handlers) process.off(signal, handler)
  }
}

/** Ends this process when the one that started it is gone; resolves to what lets it end by itself. */
export function endWithParent(): () => void {
  if (process.send === undefined) return () => undefined
  const end = (): never => process.exit(1)
  process.once('disconnect', end)
  return () => {
    process.off('disconnect', end)
    process.disconnect()
  }
}
